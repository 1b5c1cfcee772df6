"""Socket Mode with a whole relay: nothing lost, nothing twice, and never silently deaf."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from relay.app.errors import StartError
from tests.scenarios.acts import rows
from tests.scenarios.test_health import readiness
from tests.world import ADA, GRACE, LINUS, OPS, World, world

PEOPLE = (ADA, GRACE, LINUS)


@pytest.fixture
async def beside(tmp_path: Path) -> AsyncIterator[World]:
    """Both stand-ins, and a relay over Socket Mode that the test starts itself."""
    async with world(tmp_path, socket_mode=True) as made:
        yield made


@pytest.fixture
async def linked(beside: World) -> World:
    """A running relay with both of its connections open."""
    await beside.start_relay()
    await readiness(beside, 200, "connected (2 of 2)")
    return beside


def tickets(world: World) -> int:
    return sum(call.method == "apps.connections.open" for call in world.slack.calls)


async def test_no_command_is_lost_or_taken_twice_while_connections_are_refreshed(linked: World) -> None:
    refreshed = asyncio.Event()
    sent = 0

    async def talk(person: str) -> None:
        nonlocal sent
        while not refreshed.is_set():
            assert (await linked.slack.slash(person, OPS, f"word of {person} {sent}")).ok
            sent += 1

    async def refresh() -> None:
        await linked.slack.disconnect("warning", 1)
        await linked.slack.wait_for(lambda slack: tickets(linked) == 3 and slack.connected == 2)
        await linked.slack.disconnect("refresh_requested", 1)
        await linked.slack.wait_for(lambda slack: tickets(linked) == 4 and slack.connected == 2)
        refreshed.set()

    await asyncio.gather(refresh(), *(talk(person) for person in PEOPLE))
    assert (tickets(linked), rows(linked, "messages")) == (4, sent)
    assert sent > len(PEOPLE)
    assert all(ack.ok for ack in linked.slack.acks)


async def test_by_one_connection_alone_the_relay_is_ready_and_says_so(linked: World) -> None:
    linked.slack.refuse_tickets = 1_000
    linked.slack.cut(1)
    assert (await readiness(linked, 200, "connected (1 of 2)"))["ready"] is True
    assert (await linked.slack.slash(ADA, OPS, "hello")).ok
    linked.slack.refuse_tickets = 0
    await readiness(linked, 200, "connected (2 of 2)")


async def test_without_any_connection_the_relay_is_not_ready_until_one_is_open_again(linked: World) -> None:
    linked.slack.refuse_tickets = 1_000
    linked.slack.cut()
    body = await readiness(linked, 503, "not open (0 of 2): ")
    assert body["ready"] is False
    linked.slack.refuse_tickets = 0
    await readiness(linked, 200, "connected (2 of 2)")
    assert (await linked.slack.slash(ADA, OPS, "hello again")).ok


async def test_a_message_whose_acknowledgement_is_lost_comes_again_and_counts_once(linked: World) -> None:
    linked.slack.lose_acknowledgements()
    acks = await linked.slack.say(ADA, OPS, "@relay are you there?")
    assert all(ack.ok for ack in acks)
    await linked.thread_says("echo: are you there?")
    assert rows(linked, "messages") == 1
    await readiness(linked, 200, "connected (2 of 2)")


async def test_a_command_that_comes_by_both_connections_counts_once(linked: World) -> None:
    command = linked.slack.slash_payload(ADA, OPS, "once")
    acks = await asyncio.gather(*(linked.slack.deliver("command", command) for _ in range(2)))
    assert all(ack.ok for ack in acks)
    await linked.thread_says("echo: once")
    assert (rows(linked, "messages"), len(linked.environment.received)) == (1, 1)


async def test_a_wrong_app_level_token_ends_the_start_and_is_named(beside: World) -> None:
    with pytest.raises(StartError, match="Slack refuses SLACK_APP_TOKEN: invalid_auth; it needs connections"):
        await beside.start_relay({"SLACK_APP_TOKEN": "xapp-of-somebody-else"})


async def test_a_relay_that_slack_gives_no_connection_at_first_starts_and_is_ready_later(
    beside: World,
) -> None:
    beside.slack.fail("apps.connections.open", "internal_error")
    await beside.start_relay()
    await readiness(beside, 200, "connected (2 of 2)")


async def test_it_stops_in_time_with_one_connection_deaf(linked: World) -> None:
    linked.slack.fall_silent()
    async with asyncio.timeout(5):
        await linked.stop_relay()
    assert linked.slack.connected == 0
