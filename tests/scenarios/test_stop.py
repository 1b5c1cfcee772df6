"""People stop what the agent is doing, and see what came of it."""

import asyncio
import re

import pytest

from relay.sandbox.environment import Say, Wait
from relay.sandbox.slack.workspace import Message
from tests.scenarios.acts import ask_tool, audited
from tests.world import ADA, GRACE, GUEST, LINUS, OPS, World, button, everything


async def begun(world: World) -> Message:
    """Have the agent work on something that does not end; return the root of its thread."""
    world.environment.script = lambda turn: [Wait(asyncio.Event()), Say("never said")]
    await world.slack.slash(ADA, OPS, "work")
    await world.environment.wait_for(lambda environment: environment.busy())
    await world.slack.wait_for(lambda slack: slack.statuses or slack.channels[OPS].messages[1:])
    return world.slack.channels[OPS].messages[0]


def stopped(world: World) -> list[str]:
    """Return every sentence in #ops that says that a turn was stopped."""
    return [one.text for one in world.slack.channels[OPS].messages if "stopped" in one.text]


async def test_a_command_stops_the_turn_and_the_thread_says_who_did_once(both_ways: World) -> None:
    root = await begun(both_ways)
    ack = await both_ways.slack.slash(GRACE, OPS, "stop")
    assert ack.in_time
    said = await both_ways.thread_says("stopped the agent's turn")
    told = await both_ways.told(GRACE, "Stopped")
    assert re.fullmatch(rf"Stopped what <@{ADA}> asked: “work” \(\d+ s\)\.", told)
    assert said.thread_ts == root.ts
    assert f"<@{GRACE}>" in said.text
    assert not both_ways.environment.busy()
    assert stopped(both_ways) == [said.text]
    assert audited(both_ways, "turn.stopped") == [GRACE]


async def test_a_word_in_the_thread_stops_the_turn(here: World) -> None:
    root = await begun(here)
    await here.slack.say(LINUS, OPS, "!stop", thread_ts=root.ts)
    said = await here.thread_says("stopped the agent's turn")
    assert f"<@{LINUS}>" in said.text
    assert not here.environment.busy()


async def test_slacks_own_stop_stops_the_turn(both_ways: World) -> None:
    root = await begun(both_ways)
    await both_ways.slack.press_stop(ADA, OPS, root.ts)
    said = await both_ways.thread_says("stopped the agent's turn")
    assert f"<@{ADA}>" in said.text
    assert not both_ways.environment.busy()


async def test_the_button_of_the_working_message_stops_the_turn(here: World) -> None:
    here.slack.fail("assistant.threads.setStatus", "missing_scope", times=100)
    await begun(here)
    working = await here.thread_says("Working…")
    await here.slack.click(LINUS, OPS, working.ts, "stop")
    said = await here.thread_says("stopped the agent's turn")
    assert f"<@{LINUS}>" in said.text
    await here.slack.wait_for(lambda slack: working not in slack.channels[OPS].messages)


async def test_words_said_before_the_stop_stay_in_one_finished_message(here: World) -> None:
    here.environment.script = lambda turn: [Say("Once upon a time", hold=asyncio.Event())]
    await here.slack.slash(ADA, OPS, "talk")
    await here.slack.wait_for(lambda slack: [one for one in slack.channels[OPS].messages if one.streaming])
    root = here.slack.channels[OPS].messages[0]
    await here.slack.press_stop(ADA, OPS, root.ts)
    await here.thread_says("stopped the agent's turn")
    words = [one for one in here.slack.channels[OPS].messages if "Once" in one.text]
    assert len(words) == 1
    assert not words[0].streaming


async def test_a_stop_while_a_card_waits_withdraws_the_card(here: World) -> None:
    await ask_tool(here, {"command": "ls"})
    await here.slack.slash(ADA, OPS, "stop")
    card = await here.card_says("The agent asks no longer")
    assert button(card, "approve") is None
    await here.thread_says(f"<@{ADA}> stopped")


@pytest.mark.parametrize("how", ["command", "word", "slack"])
async def test_who_may_not_send_may_not_stop_and_is_told_why(here: World, how: str) -> None:
    root = await begun(here)
    if how == "command":
        await here.slack.slash(GUEST, OPS, "stop")
    elif how == "word":
        await here.slack.say(GUEST, OPS, "!stop", thread_ts=root.ts)
    else:
        await here.slack.press_stop(GUEST, OPS, root.ts)
    await here.told(GUEST, "Nothing was stopped: guests cannot do that here.")
    assert here.environment.busy()
    assert audited(here, "turn.stop_refused") == [GUEST]


async def test_where_nothing_runs_that_is_said(here: World) -> None:
    await here.slack.slash(ADA, OPS, "hello")
    await here.thread_says("echo: hello")
    await here.slack.slash(ADA, OPS, "stop")
    await here.told(ADA, "Nothing is running there")
    assert stopped(here) == []


async def test_an_environment_that_cannot_be_reached_is_said_to_be_so(here: World) -> None:
    await begun(here)
    await here.environment.go_offline()
    await here.slack.slash(ADA, OPS, "stop")
    await here.told(ADA, "I could not reach the environment")
    assert stopped(here) == []
    assert audited(here, "turn.stop_not_delivered") == [ADA]


async def test_a_turn_stopped_at_the_terminal_is_said_to_be_stopped_by_nobody_here(here: World) -> None:
    await begun(here)
    await here.environment.abort()
    said = await here.thread_says("The agent's turn was stopped.")
    assert "<@" not in everything(said)


async def test_the_same_press_told_twice_counts_once(here: World) -> None:
    root = await begun(here)
    happened = {"type": "agent_session_stopped", "user": ADA, "channel": OPS, "thread_ts": root.ts}
    event = here.slack.event_payload({**happened, "event_ts": "1.2", "streaming_message_ts": []})
    await here.slack.event(event)
    await here.slack.event(event, retry_num=1)
    await here.thread_says("stopped the agent's turn")
    await here.told(ADA, "Stopped what")
    assert audited(here, "turn.stopped") == [ADA]
    assert len([one for one in here.slack.ephemerals if one.text.startswith("Stopped")]) == 1
