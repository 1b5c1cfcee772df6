"""One thing is followed through everything: by its id in the log, by its trace over a kill."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from relay.sandbox.environment import UseTool
from tests.collector import Collector, collector
from tests.crash.relay_process import RelayProcess, running
from tests.world import ADA, APPROVALS, GRACE, OPS, World

TRACING = {"OTEL_BSP_SCHEDULE_DELAY": "20"}


@pytest.fixture
async def collected(idle: World) -> AsyncIterator[Collector]:
    """A collector, which the relay's process will be told of."""
    async with collector() as made:
        idle.variables |= {**TRACING, "OTEL_EXPORTER_OTLP_ENDPOINT": made.url}
        yield made


def _lines(process: RelayProcess, name: str, value: Any) -> list[dict[str, Any]]:
    return [line for line in process.log if value == line.get(name) or value in (line.get(f"{name}s") or ())]


def _told(lines: list[dict[str, Any]]) -> list[str]:
    return [f"{line['kind']} {line['outcome']}" if "kind" in line else line["event"] for line in lines]


async def test_a_command_is_followed_through_the_log_by_its_id(idle: World) -> None:
    async with running(idle) as process:
        idle.environment.fail_posts(status=503)
        await idle.slack.slash(ADA, OPS, "hello")
        await idle.thread_says("echo: hello")
        which = (await process.logged(event="message.queued"))["message_id"]
        await process.logged(message_id=which, kind="reply", outcome="delivered")
        told = _told(_lines(process, "message_id", which))
    assert told[0] == "message.queued"
    assert sorted(told[1:]) == ["message delivered", "message retry", "reply delivered", "root delivered"]


async def test_a_request_is_followed_through_the_log_by_its_id_and_found_by_that_of_its_message(
    idle: World,
) -> None:
    idle.environment.script = lambda turn: [UseTool("Bash", {"command": "true"})]
    async with running(idle) as process:
        await idle.slack.slash(ADA, OPS, "use your tool")
        card = await idle.card()
        await idle.slack.click(GRACE, APPROVALS, card.ts, "approve")
        await idle.card_says("Delivered.")
        message = (await process.logged(event="message.queued"))["message_id"]
        [requested] = [one for one in _lines(process, "message_id", message) if "approval_id" in one]
        which = requested["approval_id"]
        await process.logged(approval_id=which, kind="decision", outcome="delivered")
        told = _told(_lines(process, "approval_id", which))
    assert requested["event"] == "approval.requested"
    assert told[:3] == ["approval.requested", "card delivered", "answer.taken"]
    assert {"decision delivered", "card delivered"} == set(told[3:])


async def test_a_message_goes_on_with_its_trace_after_a_kill(idle: World, collected: Collector) -> None:
    idle.environment.offline = True
    async with running(idle) as process:
        await idle.slack.slash(ADA, OPS, "hello")
        await collected.seen(lambda seen: seen.named("deliver message") and seen.named("slack command"))
        await process.kill()
    [arrival] = collected.named("slack command")
    before = len(collected.steps)
    async with running(idle):
        idle.environment.offline = False
        await idle.thread_says("echo: hello")
        await collected.seen(lambda seen: seen.named("deliver reply"))
    [reply] = collected.named("deliver reply")
    delivered = collected.named("deliver message", **{"relay.outcome": "delivered"})
    assert collected.steps.index(delivered[0]) >= before
    assert [one.parent_id for one in delivered] == [arrival.span_id]
    assert reply.trace_id == arrival.trace_id
    assert collected.ancestors(reply) == ["environment replies", "slack command"]


async def test_a_decision_goes_on_with_its_trace_after_a_kill(idle: World, collected: Collector) -> None:
    idle.environment.script = lambda turn: [UseTool("Bash", {"command": "true"})]
    async with running(idle) as process:
        await idle.slack.slash(ADA, OPS, "use your tool")
        card = await idle.card()
        idle.environment.fail_posts(status=503, times=1_000, approvals_only=True)
        await idle.slack.click(GRACE, APPROVALS, card.ts, "approve")
        await collected.seen(lambda seen: seen.named("deliver decision") and seen.named("slack action"))
        await process.kill()
    [click] = collected.named("slack action")
    idle.environment.router.troubles.to_come.clear()
    async with running(idle):
        await idle.card_says("Delivered.")
        await collected.seen(lambda seen: seen.named("deliver decision", **{"relay.outcome": "delivered"}))
    decided = collected.named("deliver decision")
    assert {(one.trace_id, one.parent_id) for one in decided} == {(click.trace_id, click.span_id)}
