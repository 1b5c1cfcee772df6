"""Who collects traces sees in one of them what became of a command, to the agent's words in Slack."""

import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from relay.app import StartError
from relay.sandbox.environment import UseTool
from tests.apart import loaded_by_default, ran
from tests.collector import Collector, Step, collector
from tests.scenarios.acts import ask_tool
from tests.scrapes import logged
from tests.world import ADA, APPROVALS, GRACE, GUEST, OPS, World, world

AT_ONCE = {"OTEL_BSP_SCHEDULE_DELAY": "20"}
INPUT = {"command": "make the zanzibar release"}
MISSING = """
import asyncio, sys, tempfile
from pathlib import Path
sys.modules["opentelemetry"] = None
from tests.world import world

async def main():
    with tempfile.TemporaryDirectory() as folder:
        async with world(Path(folder)) as made:
            await made.start_relay({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"})
            print(made.log.getvalue())
            await made.stop_relay()
            (made.folder / "relay.toml").write_text('[tracing]\\nendpoint = "http://127.0.0.1:9"\\n')
            try:
                await made.start_relay()
            except Exception as problem:
                print(problem)

asyncio.run(main())
"""


@pytest.fixture
async def collected() -> AsyncIterator[Collector]:
    """A collector."""
    async with collector() as made:
        yield made


@pytest.fixture(params=["http", "socket_mode"])
async def idle(
    request: pytest.FixtureRequest, tmp_path: Path, collected: Collector, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[World]:
    """A relay that tells the collector, over either way in."""
    for name, value in AT_ONCE.items():  # what the library reads by itself
        monkeypatch.setenv(name, value)
    async with world(tmp_path, socket_mode=request.param == "socket_mode") as made:
        await made.start_relay({"OTEL_EXPORTER_OTLP_ENDPOINT": collected.url})
        yield made


def _ways_to_cards(collected: Collector) -> list[list[str]]:
    return [collected.ancestors(one) for one in collected.named("deliver card")]


async def the(collected: Collector, name: str, **facts: str) -> Step:
    """Wait for a step and return it."""
    found = {f"relay.{key}": value for key, value in facts.items()}
    step: Step = (await collected.seen(lambda seen: seen.named(name, **found)))[0]
    return step


async def test_a_command_and_its_answer_are_one_trace(idle: World, collected: Collector) -> None:
    await idle.slack.slash(ADA, OPS, "hello")
    await idle.thread_says("echo: hello")
    arrival = await the(collected, "slack command", outcome="taken")
    sent = await the(collected, "deliver message", outcome="delivered", environment="default")
    posted = await the(collected, "deliver reply", outcome="delivered")
    replied = await the(collected, "environment replies")
    assert {one.trace_id for one in (sent, posted, replied)} == {arrival.trace_id}
    assert collected.ancestors(sent) == ["slack command"]
    assert collected.ancestors(posted) == ["environment replies", "slack command"]
    assert any(one.parent_id == arrival.span_id for one in collected.named("store"))
    assert {one.service for one in collected.steps} == {"relay"}


async def test_a_card_is_in_the_trace_of_the_message_and_a_decision_in_that_of_its_click(
    idle: World, collected: Collector
) -> None:
    card = await ask_tool(idle, INPUT)
    command = await the(collected, "slack command")
    posted = await the(collected, "deliver card")
    assert collected.ancestors(posted) == ["environment asks", "slack command"]
    await idle.slack.click(GRACE, APPROVALS, card.ts, "approve")
    await idle.card_says("Delivered.")
    click = await the(collected, "slack action")
    decided = await the(collected, "deliver decision")
    assert collected.ancestors(decided) == ["slack action"]
    acted = await the(collected, "environment acts")
    await collected.seen(lambda seen: ["environment acts", "slack action"] in _ways_to_cards(seen))
    assert {one.trace_id for one in (decided, acted)} == {click.trace_id} != {command.trace_id}
    assert decided.facts["relay.subject_id"] == logged(idle, "answer.taken")[0]["approval_id"]


async def test_the_lines_of_the_log_have_the_trace(idle: World, collected: Collector) -> None:
    await ask_tool(idle, INPUT)
    arrival = await the(collected, "slack command")
    await the(collected, "deliver card")
    queued, requested = logged(idle, "message.queued")[0], logged(idle, "approval.requested")[0]
    attempted = [line for line in logged(idle, "delivery.attempted") if line["kind"] in ("message", "card")]
    assert {line["trace_id"] for line in (queued, requested, *attempted)} == {arrival.trace_id}
    listening = logged(idle, "environment.listening")
    assert all("trace_id" not in line for line in listening)


async def test_a_conversation_that_a_message_began_is_listened_to_in_no_trace(
    tmp_path: Path, collected: Collector
) -> None:
    variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": collected.url, "LETTA_CONVERSATION_ID": "thread"}
    async with world(tmp_path) as made:
        await made.start_relay(variables)
        await made.slack.slash(ADA, OPS, "hello")
        await made.thread_says("echo: hello")
        listening = logged(made, "environment.listening")
    assert len(listening) == 1
    assert "trace_id" in logged(made, "message.queued")[0]
    assert "trace_id" not in listening[0]


async def test_what_is_refused_is_told_and_what_failed(idle: World, collected: Collector) -> None:
    await idle.slack.slash(GUEST, OPS, "let me in")
    await the(collected, "slack command", outcome="refused")
    idle.environment.fail_posts(status=503)
    await idle.slack.slash(ADA, OPS, "hello")
    await idle.thread_says("echo: hello")
    first = await the(collected, "deliver message", outcome="retry")
    second = await the(collected, "deliver message", outcome="delivered")
    assert (first.facts["relay.attempt"], second.facts["relay.attempt"]) == (1, 2)
    assert (first.trace_id, first.parent_id) == (second.trace_id, second.parent_id)


async def test_nothing_that_people_wrote_and_no_secret_is_in_a_trace(
    idle: World, collected: Collector
) -> None:
    idle.environment.script = lambda turn: [UseTool("Bash", INPUT)]
    await idle.slack.slash(ADA, OPS, "tell nobody of the treasure")
    card = await idle.card()
    await idle.slack.click(GRACE, APPROVALS, card.ts, "approve")
    await idle.card_says("Delivered.")
    await the(collected, "environment acts")
    slack = idle.slack
    secrets = [slack.bot_token, slack.app_token, slack.signing_secret, idle.environment.api_key]
    private = ["treasure", "zanzibar", *slack.workspace.response_urls, *slack.workspace.triggers, ADA, OPS]
    assert [one for one in secrets + private if one.encode() in collected.wire] == []


async def test_a_collector_that_is_away_holds_nothing_up(tmp_path: Path, unused_tcp_port: int) -> None:
    async with world(tmp_path) as made:
        await made.start_relay({"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{unused_tcp_port}"})
        await made.slack.slash(ADA, OPS, "hello")
        await made.thread_says("echo: hello")
        await made.stop_relay()
        assert logged(made, "relay.stopped")


async def test_a_collector_that_refuses_is_told_of_once(
    tmp_path: Path, collected: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "20")
    async with world(tmp_path) as made:
        await made.start_relay({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{collected.url}/unknown"})
        for text in ("one", "two"):
            await made.slack.slash(ADA, OPS, text)
            await made.thread_says(f"echo: {text}")
        await made.stop_relay()
        assert len(logged(made, "tracing.not_sent")) == 1


async def test_a_collector_that_sends_relay_elsewhere_is_not_followed(
    tmp_path: Path, collected: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "20")
    async with world(tmp_path) as made:
        await made.start_relay({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{collected.url}/elsewhere"})
        await made.slack.slash(ADA, OPS, "hello")
        await made.thread_says("echo: hello")
        await made.stop_relay()
    assert collected.sent_elsewhere > 0
    assert collected.steps == []


async def test_the_table_of_the_file_and_the_standards_headers_are_as_good(
    tmp_path: Path, collected: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-team=workshop")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "workshop-relay")
    async with world(tmp_path) as made:
        (tmp_path / "relay.toml").write_text(f'[tracing]\nendpoint = "{collected.url}"\n')
        await made.start_relay()
        await made.slack.slash(ADA, OPS, "hello")
        await made.thread_says("echo: hello")
        await made.stop_relay()  # the last ones are sent then
    assert (await the(collected, "slack command")).service == "workshop-relay"
    assert collected.headers[0]["x-team"] == "workshop"


def test_by_default_nothing_is_followed_and_the_library_is_not_loaded() -> None:
    assert loaded_by_default("opentelemetry", "relay.app.tracing", unsaid="trace_id") == "[]\n"


async def test_a_library_that_is_there_in_parts_is_as_good_as_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "relay.app.tracing", None)  # as what it imports fails
    async with world(tmp_path) as made:
        await made.start_relay({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"})
        await made.slack.slash(ADA, OPS, "hello")
        await made.thread_says("echo: hello")
        assert "tracing.off" in made.log.getvalue()


def test_without_the_library_a_variable_is_said_to_do_nothing_and_the_table_ends_the_start() -> None:
    *log, ended = ran(MISSING).strip().splitlines()
    [said] = [line for line in map(json.loads, filter(None, log)) if line["event"] == "tracing.off"]
    assert "OTEL_EXPORTER_OTLP_ENDPOINT" in said["reason"] and "'.[tracing]'" in said["reason"]
    assert ended.startswith("relay.toml: line 2: tracing.endpoint asks for traces")
    assert ended.endswith("with the pip of where relay is installed: pip install '.[tracing]'")
    assert issubclass(StartError, Exception)
