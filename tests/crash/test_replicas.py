"""Several relays on one database keep the promises of one, whichever of them is killed or stopped."""

import asyncio
import os
import random
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import pytest

from relay.sandbox.environment import Say, UseTool, Wait
from tests import postgres
from tests.crash import facts
from tests.crash.fleet import Fleet, fleet
from tests.crash.load import Crowd
from tests.crash.test_deny_stop import deny_and_stop
from tests.world import ADA, GRACE, OPS, World

NIGHTLY = os.environ.get("HYPOTHESIS_PROFILE") == "nightly"
MISDATED = (str(Path(__file__).with_name("misdated_relay.py")), "300")
Trouble = Callable[[Fleet, postgres.Server], Awaitable[None]]


async def kill_the_holder(relays: Fleet, _: postgres.Server) -> None:
    """Kill who holds the environment, and start another."""
    holder = await relays.holder()
    await holder.kill()
    await relays.add()
    await relays.holder(holder)


async def freeze_the_holder(relays: Fleet, _: postgres.Server) -> None:
    """Stop who holds the environment in its tracks until another one holds it, and let it go on."""
    holder = await relays.holder()
    relays.freeze(holder)
    await relays.holder(holder)
    relays.wake(holder)
    await holder.logged(event="environment.let_go")


async def restart_the_server(_: Fleet, server: postgres.Server) -> None:
    """Have the database crash, and start again."""
    await asyncio.to_thread(server.stop)
    await asyncio.to_thread(server.start)


async def cut_every_connection(_: Fleet, server: postgres.Server) -> None:
    """End every connection that relays have to the database."""
    ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'relay'"
    await asyncio.to_thread(server.run, ended)


async def kill_another(relays: Fleet, _: postgres.Server) -> None:
    """Kill one that does not hold the environment, and start another."""
    holder = await relays.holder()
    other = next(one for one in relays.serving if one is not holder)
    await other.kill()
    await relays.add()


TROUBLES = (kill_the_holder, cut_every_connection, freeze_the_holder, restart_the_server, kill_another)


async def under_load(shared: World, server: postgres.Server, troubles: Sequence[Trouble]) -> None:
    """Have people type and click at three relays while they are in trouble, and look what came of it.

    One of the three has a clock that is five minutes ahead.
    """
    crowd = Crowd(shared, commands=24 * len(troubles), clicks=4 * len(troubles))
    async with fleet(shared, 2) as relays:
        await relays.add(MISDATED)
        crowd.up.set()
        load = asyncio.create_task(crowd.run())
        for trouble in troubles:
            await crowd.until_arrived(min(len(crowd.arrived()) + 4, crowd.commands))
            await trouble(relays, server)
        await load
        await crowd.settled()
        assert [await one.stop() for one in relays.serving] == [0, 0, 0]
    facts.holds(crowd)


@pytest.mark.parametrize("seed", range(7 if NIGHTLY else 1))
async def test_one_effect_each_and_in_order_with_relays_killed_and_frozen_under_load(
    shared: World, server: postgres.Server, seed: int
) -> None:
    chosen = random.Random(seed).choices(TROUBLES, k=6) if seed else TROUBLES[:4]
    await under_load(shared, server, chosen)


async def test_a_stop_is_carried_out_by_whoever_holds_the_sockets_and_the_person_is_told(
    shared: World,
) -> None:
    shared.environment.script = lambda _: [Wait(asyncio.Event()), Say("never said")]
    async with fleet(shared, 2) as relays:
        holder = await relays.holder()
        [other] = [one for one in relays.serving if one is not holder]
        shared.slack.request_url = f"{other.url}/slack/events"
        await shared.slack.slash(ADA, OPS, "work")
        await shared.environment.wait_for(lambda environment: environment.busy())
        assert (await other.ready(), await holder.ready()) == (200, 200)
        status = await shared.slack.slash(ADA, OPS, "status")
        assert "I do not listen to it myself: another relay has its sockets." in str(status.body)
        await shared.slack.slash(GRACE, OPS, "stop")
        await shared.told(GRACE, "Stopped what")
        said = await shared.thread_says("stopped the agent's turn")
        assert f"<@{GRACE}>" in said.text
        assert not shared.environment.busy()


async def test_deny_and_stop_at_a_relay_without_the_sockets_stops_the_turn_that_asked(shared: World) -> None:
    shared.environment.script = lambda _: [
        UseTool("Bash", {"command": "make release"}), Wait(asyncio.Event()), Say("never said"),
    ]  # fmt: skip
    async with fleet(shared, 2) as relays:
        holder = await relays.holder()
        [other] = [one for one in relays.serving if one is not holder]
        shared.slack.request_url = f"{other.url}/slack/events"
        await shared.slack.slash(ADA, OPS, "release")
        card = await shared.card()
        await deny_and_stop(shared, card)
        said = await shared.thread_says("stopped the agent's turn")
        assert f"<@{GRACE}>" in said.text
        assert not shared.environment.busy()
