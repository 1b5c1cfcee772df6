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


async def told_that_nothing_was_stopped(world: World) -> None:
    """Wait until Grace is told that her denial stopped nothing; it takes as long as a stop may wait."""
    said = "Denied, but not stopped"
    await world.slack.wait_for(lambda seen: [one for one in seen.ephemerals if one.text.startswith(said)], 30)
    assert audited(world, "turn.stopped") == []


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


async def test_who_stood_in_line_before_the_denial_is_not_stopped_when_their_turn_has_begun(
    idle: World,
) -> None:
    await idle.start_relay()
    card = await asked(idle)
    await idle.slack.slash(LINUS, OPS, "mine is next")
    await idle.environment.wait_for(lambda seen: len(seen.received) == 2)
    idle.environment.fail_posts(hang=True, approvals_only=True)
    await deny_and_stop(idle, card)
    await idle.card_says("to be stopped as well")
    await idle.stop_relay()
    # Meanwhile the turn that asked ends, and the one that was in line begins.
    await idle.environment.abort()
    await idle.environment.wait_for(lambda seen: seen.busy())
    await idle.start_relay()
    await told_that_nothing_was_stopped(idle)
    assert idle.environment.busy()


@pytest.mark.parametrize("goes_on", [True, False])
async def test_of_turns_begun_at_a_terminal_the_one_that_asked_alone_is_stopped(
    idle: World, goes_on: bool
) -> None:
    await idle.start_relay()
    idle.environment.script = lambda turn: [UseTool("Bash", {"command": "ls"}), Wait(asyncio.Event())]
    await idle.environment.wait_for(lambda seen: len(seen.sockets) == 2)
    take = idle.environment.device.take_messages
    take("default", [{"client_message_id": "cm-first", "content": "typed at a terminal", "role": "user"}])
    card = await idle.card()
    idle.environment.fail_posts(hang=True, approvals_only=True)
    await deny_and_stop(idle, card)
    await idle.card_says("to be stopped as well")
    await idle.stop_relay()
    if not goes_on:
        await idle.environment.abort()
        idle.environment.script = lambda turn: [Wait(asyncio.Event())]
        take("default", [{"client_message_id": "cm-next", "content": "typed later", "role": "user"}])
    await idle.start_relay()
    if goes_on:
        await idle_again(idle)
        return
    await told_that_nothing_was_stopped(idle)
    assert idle.environment.busy()
