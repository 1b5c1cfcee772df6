"""Deny and stop at a relay that is killed or restarted: the stop is carried out, and ends no other turn."""

import asyncio
import signal
from typing import Any

import pytest

from relay.sandbox.environment import UseTool, Wait
from relay.sandbox.slack.workspace import Message
from tests.crash.relay_process import KILLED, doomed, running
from tests.scenarios.acts import audited
from tests.world import ADA, APPROVALS, GRACE, LINUS, OPS, World, everything


async def asked(world: World) -> Message:
    """Have a tool asked for by an agent that goes on whatever the answer; return the card."""
    world.environment.script = lambda turn: [UseTool("Bash", {"command": "ls"}), Wait(asyncio.Event())]
    await world.slack.slash(ADA, OPS, "please use your tool")
    return await world.card()


async def deny_and_stop(world: World, card: Message) -> None:
    """Choose "Deny and stop…" on a card."""
    menus: list[dict[str, Any]] = [
        one for block in card.blocks for one in block.get("elements", []) if one.get("type") == "overflow"
    ]
    [value] = [one["value"] for menu in menus for one in menu["options"] if "deny_stop" in one["value"]]
    await world.slack.click(GRACE, APPROVALS, card.ts, "more", value=value)


async def idle_again(world: World) -> None:
    """Wait until the agent works on nothing."""
    await world.environment.wait_for(lambda seen: not seen.busy(), 30)


async def test_a_stop_is_carried_out_by_the_relay_after_the_one_that_was_killed(idle: World) -> None:
    async with running(idle) as process:
        card = await asked(idle)
        idle.environment.fail_posts(hang=True, approvals_only=True)
        await deny_and_stop(idle, card)
        await idle.card_says("to be stopped as well")
        await process.kill()
    assert idle.environment.busy()
    async with running(idle):
        await idle_again(idle)
        await idle.told(GRACE, "Stopped.")
    assert [one.approve for one in idle.environment.decisions] == [False]
    assert audited(idle, "turn.stopped") == [GRACE]


@pytest.mark.parametrize("passes", [2, 3, 4])
async def test_wherever_it_is_killed_the_turn_is_stopped_in_the_end(idle: World, passes: int) -> None:
    async with running(idle, doomed("dispatcher.claimed", passes, armed=False)) as process:
        card = await asked(idle)
        process.send(signal.SIGUSR1)
        await deny_and_stop(idle, card)
        ends = {asyncio.create_task(process.ended()), asyncio.create_task(idle_again(idle))}
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        for one in ends:
            one.cancel()
        if process.is_alive:
            await process.kill()
        assert await process.ended() == KILLED
    async with running(idle):
        await idle_again(idle)
        await idle.card_says("denied")
    assert {one.approve for one in idle.environment.decisions} == {False}


async def test_a_relay_that_is_restarted_stops_the_turn_as_well(idle: World) -> None:
    await idle.start_relay()
    card = await asked(idle)
    idle.environment.fail_posts(hang=True, approvals_only=True)
    await deny_and_stop(idle, card)
    await idle.card_says("to be stopped as well")
    await idle.stop_relay()
    await idle.start_relay()
    await idle_again(idle)
    said = await idle.thread_says("stopped the agent's turn")
    assert f"<@{GRACE}>" in everything(said)


async def test_nobody_s_turn_is_stopped_who_wrote_since_the_denial(idle: World) -> None:
    await idle.start_relay()
    card = await asked(idle)
    idle.environment.fail_posts(hang=True, approvals_only=True)
    await deny_and_stop(idle, card)
    await idle.card_says("to be stopped as well")
    await idle.slack.slash(LINUS, OPS, "and now something else")
    await idle.stop_relay()
    await idle.start_relay()
    await idle.told(GRACE, "Denied, but not stopped: somebody has written to the agent since")
    assert audited(idle, "turn.stopped") == []
    assert idle.environment.busy()
