"""What operators see at /metrics is what happened, and nobody is named in it."""

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import yaml

from relay.app import StartError
from relay.sandbox.environment import UseTool
from tests.apart import ROOT, loaded_by_default
from tests.scenarios.acts import ask_tool, post_raw
from tests.scrapes import at_rest, logged, scraped, scraped_until, told, whole_answer
from tests.world import ADA, APPROVALS, GRACE, GUEST, OPS, World, world

DASHBOARD = ROOT / "deploy/grafana/relay.json"
ALERTS = ROOT / "deploy/prometheus/alerts.yml"
ANY_PORT = {"RELAY_METRICS_PORT": "0"}
INPUT = {"command": "make the zanzibar release"}


@pytest.fixture(params=["http", "socket_mode"])
async def idle(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    """A relay that tells its figures, over either way in."""
    async with world(tmp_path, socket_mode=request.param == "socket_mode") as made:
        await made.start_relay(ANY_PORT)
        yield made


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[World]:
    """A relay that tells its figures, over signed HTTP."""
    async with world(tmp_path) as made:
        await made.start_relay(ANY_PORT)
        yield made


async def restart(made: World, rule: str) -> None:
    """Start the relay again, under one rule."""
    await made.stop_relay()
    (made.folder / "relay.toml").write_text(f'[[policies]]\nname = "careful"\ntools = ["*"]\n{rule}')
    await made.start_relay(ANY_PORT)


async def test_a_command_a_card_and_a_decision_are_counted_as_they_happened(idle: World) -> None:
    card = await ask_tool(idle, INPUT)
    await idle.slack.click(GRACE, APPROVALS, card.ts, "approve")
    await idle.card_says("Delivered.")
    await idle.environment.wait_for(lambda environment: not environment.busy())
    figures = await at_rest(idle)
    arrivals = {("command", "taken"): 1, ("action", "taken"): 1}
    assert told(figures, "relay_arrivals_total") == arrivals
    assert told(figures, "relay_acknowledgement_seconds_count") == {("command",): 1, ("action",): 1}
    assert 0 < figures["relay_acknowledgement_seconds_sum", "action"] < 3
    assert told(figures, "relay_decisions_total") == {("approved",): 1}
    assert told(figures, "relay_decision_seconds_count") == {("approved",): 1}
    tried = told(figures, "relay_delivery_attempts_total")
    assert [tried[kind, "delivered"] for kind in ("message", "root", "decision")] == [1, 1, 1]
    assert {outcome for _, outcome in tried} == {"delivered"}
    assert figures["relay_deliveries_overdue_seconds",] == 0
    assert figures["relay_store_up",] == 1
    assert figures["relay_store_failures_total",] == 0
    assert figures["relay_store_commit_works_sum",] >= figures["relay_store_commit_works_count",] > 0


async def test_the_sockets_are_counted_and_how_often_they_were_opened_again(here: World) -> None:
    figures = await scraped_until(
        here, lambda seen: seen.get(("relay_environment_sockets_open", "default")) == 2
    )
    assert figures["relay_conversations_listened", "default"] == 1
    assert told(figures, "relay_environment_reconnects_total") == {}
    await here.environment.go_offline()
    await scraped_until(here, lambda seen: seen["relay_environment_sockets_open", "default"] == 0)
    await here.environment.come_back()
    figures = await scraped_until(here, lambda seen: seen["relay_environment_sockets_open", "default"] == 2)
    assert figures["relay_environment_reconnects_total", "default"] == 1


async def test_slacks_sockets_are_told_where_there_are_some(idle: World) -> None:
    if idle.slack.request_url is None:
        await scraped_until(idle, lambda seen: told(seen, "relay_slack_sockets_open") == {(): 2})
    else:
        assert told(await scraped(idle), "relay_slack_sockets_open") == {}


async def test_what_waits_is_told_with_its_age(here: World) -> None:
    await here.environment.go_offline()
    await here.slack.slash(ADA, OPS, "keep me")
    await here.thread_says("has been offline since")
    figures = await scraped_until(
        here, lambda seen: told(seen, "relay_deliveries_waiting") == {("message", "pending"): 1}
    )
    assert 0 < figures["relay_deliveries_oldest_seconds", "message"] < 10
    assert figures["relay_delivery_attempts_total", "message", "retry"] >= 1
    await here.environment.come_back()
    await here.thread_says("echo: keep me")
    figures = await at_rest(here)
    assert told(figures, "relay_deliveries_oldest_seconds") == {}


async def test_what_slack_wants_to_be_left_alone_for_is_counted(here: World) -> None:
    here.slack.fail("chat.postMessage", "ratelimited", status=429, retry_after=1, times=2)
    await here.slack.slash(ADA, OPS, "hello")
    await here.thread_says("echo: hello")
    limited = [call for call in here.slack.calls if call.error == "ratelimited"]
    figures = await at_rest(here)
    assert figures["relay_slack_rate_limit_wait_seconds_count",] == len(limited) == 2
    assert figures["relay_slack_rate_limit_wait_seconds_sum",] == 2


async def test_what_is_refused_or_strange_is_counted_apart(idle: World) -> None:
    await idle.slack.slash(GUEST, OPS, "let me in")
    await idle.told(GUEST, "guests")
    card = await ask_tool(idle, INPUT)
    await idle.slack.click(GUEST, APPROVALS, card.ts, "deny")
    await idle.slack.slash(ADA, OPS, "hello", command="/nobody")
    arrivals = told(await scraped(idle), "relay_arrivals_total")
    assert arrivals == {
        ("command", "taken"): 1,
        ("command", "refused"): 1,
        ("command", "unknown"): 1,
        ("action", "refused"): 1,
    }


async def test_what_nobody_signed_is_no_arrival(here: World) -> None:
    assert (await post_raw(here, b"payload={}", signature="v0=false")).status == 401
    assert told(await scraped(here), "relay_arrivals_total") == {}


async def test_who_denies_by_a_form_denies_and_the_form_is_an_arrival(here: World) -> None:
    card = await ask_tool(here, INPUT)
    await here.slack.click(GRACE, APPROVALS, card.ts, "deny_reason")
    view = await here.slack.wait_for(lambda slack: slack.modal_of(GRACE))
    await here.slack.submit_view(GRACE, view, {"words": {"entered": "Not on a Friday."}})
    await here.card_says("Delivered.")
    figures = await scraped(here)
    assert told(figures, "relay_decisions_total") == {("denied",): 1}
    assert figures["relay_arrivals_total", "view", "taken"] == 1


async def test_what_a_rule_decides_is_counted_as_the_rules(here: World) -> None:
    await restart(here, 'action = "deny"\nreason = "Never here."')
    await ask_tool(here, INPUT)
    await here.card_says("Delivered.")
    assert told(await scraped(here), "relay_decisions_total") == {("by_rule",): 1}


@pytest.mark.parametrize("silence", ["wait", "deny"])
async def test_what_nobody_answers_is_counted_as_expired(here: World, silence: str) -> None:
    await restart(here, f'expires_after = "1s"\non_silence = "{silence}"')
    await ask_tool(here, INPUT)
    figures = await scraped_until(here, lambda seen: bool(told(seen, "relay_decisions_total")))
    assert told(figures, "relay_decisions_total") == {("expired",): 1}
    assert figures["relay_decision_seconds_sum", "expired"] >= 1


async def test_nobody_is_named_and_nothing_is_quoted(idle: World) -> None:
    idle.environment.script = lambda turn: [UseTool("Zanzibar", INPUT)]
    await idle.slack.slash(ADA, OPS, "tell nobody of the treasure")
    card = await idle.card()
    await idle.slack.click(GRACE, APPROVALS, card.ts, "approve")
    await idle.card_says("Delivered.")
    said = (await whole_answer(idle)).lower()
    people = [person.id.lower() for person in idle.slack.workspace.people.values()]
    words = ["treasure", "zanzibar", "agent-", "device-", "xoxb", OPS.lower(), APPROVALS.lower()]
    assert [one for one in (*people, *words) if one in said] == []


def test_by_default_there_is_no_port_and_the_library_is_not_loaded() -> None:
    assert loaded_by_default("prometheus_client", "relay.app.metrics", unsaid="metrics.serving") == "[]\n"


async def test_a_port_that_is_taken_ends_the_start_with_one_clear_line(idle: World) -> None:
    taken = str(logged(idle, "metrics.serving")[0]["port"])
    variables = {**idle.variables, "RELAY_STORE_URL": f"sqlite:///{idle.folder}/other.db"}
    other = World(idle.slack, idle.folder, variables, environment=idle.environment)
    url = idle.slack.request_url
    with pytest.raises(
        StartError, match=rf"cannot tell metrics on 127\.0\.0\.1 port {taken}: .*RELAY_METRICS_PORT"
    ):
        await other.start_relay({"RELAY_METRICS_PORT": taken})
    idle.slack.request_url = url


async def test_the_port_of_the_file_is_as_good(tmp_path: Path) -> None:
    async with world(tmp_path) as made:
        (tmp_path / "relay.toml").write_text('[metrics]\nport = 0\nhost = "127.0.0.1"\n')
        await made.start_relay()
        assert (await scraped(made))["relay_store_up",] == 1


def asked_in(files: list[Path]) -> set[str]:
    """Return the names of ours that the expressions in some files use."""
    expressions: list[str] = []
    for path in files:
        read = yaml.safe_load if path.suffix == ".yml" else json.loads
        expressions += _expressions(read(path.read_text(encoding="utf-8")))
    return set(re.findall(r"\b(?:relay|process)_\w+", "\n".join(expressions)))


def _expressions(value: object) -> list[str]:
    if isinstance(value, dict):
        own = [value["expr"]] if "expr" in value else []
        return own + [one for part in value.values() for one in _expressions(part)]
    return [one for part in value for one in _expressions(part)] if isinstance(value, list) else []


async def test_the_dashboard_and_the_alerts_ask_for_what_is_told(tmp_path: Path) -> None:
    asked = asked_in([DASHBOARD, ALERTS])
    assert len(asked_in([ALERTS])) > 8
    async with world(tmp_path, socket_mode=True) as made:
        await made.start_relay(ANY_PORT)
        found = {name for name, *_ in await scraped(made)}
    assert asked - found == set()
    # And the dashboard leaves nothing out.
    ours = {re.sub(r"_(bucket|count|sum)$", "", name) for name in found if name.startswith("relay_")}
    assert ours - {re.sub(r"_(bucket|count|sum)$", "", name) for name in asked_in([DASHBOARD])} == set()


def test_the_dashboard_loads_and_every_panel_asks_its_data_source() -> None:
    board = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    panels = [panel for panel in board["panels"] if panel["type"] != "row"]
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    assert board["uid"] == "relay" and board["schemaVersion"] >= 39
    assert all(panel["title"] and panel["description"] and panel["targets"] for panel in panels)
    assert {panel["datasource"]["uid"] for panel in panels} == {"${datasource}"}
    assert "datasource" in {one["name"] for one in board["templating"]["list"]}
