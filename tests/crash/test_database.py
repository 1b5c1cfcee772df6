"""The same promises on PostgreSQL: relay is killed, its server crashes, and two relays share it."""

import asyncio

import pytest

from tests import postgres
from tests.crash import facts
from tests.crash.load import Crowd, click_struck, survive
from tests.crash.relay_process import KILLED, doomed, running
from tests.world import ADA, OPS, World

DOOMS = (("store.committed", 60), ("dispatcher.claimed", 40))
POINTS = ("dispatcher.waking", "dispatcher.attempted")


async def test_what_was_acknowledged_or_decided_survives_every_kill(shared: World) -> None:
    crowd = Crowd(shared, commands=80, clicks=20)
    await survive(crowd, DOOMS)
    assert len(crowd.typed) == 80
    facts.holds(crowd)


async def test_a_server_that_crashes_under_load_costs_nothing_that_was_acknowledged(
    shared: World, server: postgres.Server
) -> None:
    crowd = Crowd(shared, commands=60, clicks=12)
    async with running(shared) as relay:
        crowd.up.set()
        load = asyncio.create_task(crowd.run())
        for number in (10, 30):
            await crowd.until_arrived(number)
            await asyncio.to_thread(server.stop)
            await asyncio.to_thread(server.start)
        await load
        await crowd.settled()
        assert await relay.stop() == 0
    facts.holds(crowd)


@pytest.mark.parametrize("point", POINTS)
async def test_a_click_that_the_kill_hits_is_decided_once_and_its_card_ends_true(
    shared: World, point: str
) -> None:
    facts.holds(await click_struck(shared, point))


async def test_while_its_server_is_away_a_relay_says_so_and_afterwards_goes_on(
    shared: World, server: postgres.Server
) -> None:
    async with running(shared) as relay:
        assert (await shared.slack.slash(ADA, OPS, "before")).ok
        await shared.thread_says("echo: before")
        assert await relay.ready() == 200
        await asyncio.to_thread(server.stop)
        try:
            await shared.slack.slash(ADA, OPS, "meanwhile")
            await shared.told(ADA, "I could not store that, so nothing was sent or decided.")
            assert await relay.ready() == 503
        finally:
            await asyncio.to_thread(server.start)
        assert (await shared.slack.slash(ADA, OPS, "after")).ok
        await shared.thread_says("echo: after")
        assert await relay.ready() == 200
        assert await relay.stop() == 0
    assert [message.last_line for message in shared.environment.received] == ["before", "after"]


async def test_what_a_killed_relay_had_claimed_another_one_sends(shared: World) -> None:
    async with running(shared, doomed("dispatcher.claimed", 1)) as relay, running(shared) as other:
        shared.slack.request_url = f"{other.url}/slack/events"
        crowd = Crowd(shared, commands=20, clicks=1)
        crowd.up.set()
        await asyncio.gather(*(crowd.type(number) for number in range(20)))
        assert await relay.ended() == KILLED
        texts = {typed.text for typed in crowd.typed}
        await shared.environment.wait_for(lambda _: texts <= set(crowd.arrived()), 40)
        assert await other.stop() == 0
    assert facts.lost(crowd) + facts.arrived_as_two(crowd) == []
