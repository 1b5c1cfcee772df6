"""The environment moves, goes away and comes back; its device and its agent are as they are."""

import asyncio
import json

import pytest

from relay.sandbox.environment import Fail, Say, Turn, UseTool, Wait
from tests.world import ADA, APPROVALS, GRACE, OPS, World, button, everything

# Where the environment is.


@pytest.mark.parametrize("status", [404, 409, 410])
async def test_a_message_follows_a_connection_that_moved(here: World, status: int) -> None:
    here.environment.offline_status = status
    before = here.environment.connection_id
    await here.slack.slash(ADA, OPS, "before")
    await here.thread_says("echo: before")
    await here.environment.rotate()
    await here.slack.slash(ADA, OPS, "after")
    await here.thread_says("echo: after")
    paths = [post.path for post in here.environment.posts if post.status == 200]
    assert before in paths[0] and here.environment.connection_id in paths[1]
    assert [one.last_line for one in here.environment.received] == ["before", "after"]


async def test_a_reply_comes_over_the_sockets_of_the_new_connection(here: World) -> None:
    await here.environment.rotate()
    await here.environment.wait_for(lambda environment: len(environment.sockets) == 2)
    assert {one.connection_id for one in here.environment.sockets} == {here.environment.connection_id}
    await here.slack.slash(ADA, OPS, "after")
    await here.thread_says("echo: after")


async def test_whoever_writes_to_an_offline_environment_is_told_at_once(idle: World) -> None:
    idle.environment.offline = True
    await idle.start_relay()
    ack = await idle.slack.slash(ADA, OPS, "are you there")
    assert ack.in_time
    await idle.told(ADA, "It has been offline since")
    await idle.thread_says("has been offline since")
    assert idle.environment.received == []


async def test_a_message_waits_for_an_environment_that_was_offline_from_the_start(idle: World) -> None:
    idle.environment.offline = True
    await idle.start_relay()
    await idle.slack.slash(ADA, OPS, "are you there")
    waiting = await idle.thread_says("has been offline since")
    await idle.environment.come_back(rotate=True)
    await idle.thread_says("echo: are you there")
    delivered = await idle.thread_says("Delivered to")
    assert delivered.ts == waiting.ts
    assert [one.duplicate for one in idle.environment.received] == [False]


async def test_a_message_waits_for_an_environment_that_went_offline(here: World) -> None:
    await here.slack.slash(ADA, OPS, "before")
    await here.thread_says("echo: before")
    await here.environment.go_offline()
    await here.slack.slash(ADA, OPS, "are you there")
    await here.thread_says("has been offline since")
    await here.environment.come_back()
    await here.thread_says("echo: are you there")
    assert [one.last_line for one in here.environment.received] == ["before", "are you there"]


async def test_a_decision_waits_for_an_environment_that_went_offline(here: World) -> None:
    await here.slack.slash(ADA, OPS, "TOOL: rm -rf build")
    card = await here.card()
    await here.environment.go_offline()
    await here.slack.click(GRACE, APPROVALS, card.ts, "approve")
    waiting = await here.card_says("has been offline since")
    assert button(waiting, "approve") is None
    await here.environment.come_back(rotate=True)
    await here.card_says("Delivered.")
    assert len(here.environment.tool_runs) == 1


async def test_a_decision_that_nobody_asks_for_any_more_is_not_sent_when_the_environment_is_back(
    here: World,
) -> None:
    await here.slack.slash(ADA, OPS, "TOOL: rm -rf build")
    card = await here.card()
    await here.environment.go_offline()
    await here.slack.click(GRACE, APPROVALS, card.ts, "approve")
    await here.card_says("has been offline since")
    await here.environment.restart()
    await here.card_says("no longer asked")
    await here.slack.slash(ADA, OPS, "and now?")
    await here.thread_says("echo: and now?")
    assert [post.body["messages"][0].get("type") for post in here.environment.posts] == [None, None]


async def test_a_connection_id_serves_instead_of_a_device_id(idle: World) -> None:
    del idle.variables["LETTA_DEVICE_ID"]
    await idle.start_relay({"LETTA_CONNECTION_ID": idle.environment.connection_id})
    await idle.slack.slash(ADA, OPS, "hello there")
    await idle.thread_says("echo: hello there")
    assert idle.environment.connection_id in idle.environment.posts[0].path


async def test_the_device_behind_a_configured_connection_is_followed_when_it_moves(idle: World) -> None:
    del idle.variables["LETTA_DEVICE_ID"]
    await idle.start_relay({"LETTA_CONNECTION_ID": idle.environment.connection_id})
    await idle.slack.slash(ADA, OPS, "before")
    await idle.thread_says("echo: before")
    await idle.environment.rotate()
    await idle.slack.slash(ADA, OPS, "after")
    await idle.thread_says("echo: after")
    assert idle.environment.connection_id in idle.environment.posts[-1].path


async def test_a_message_to_an_unknown_agent_is_said_to_have_failed_and_harms_nothing(idle: World) -> None:
    await idle.start_relay({"LETTA_AGENT_ID": "agent-of-another"})
    await idle.slack.slash(ADA, OPS, "hello there")
    failed = await idle.thread_says("its device does not know the agent or the conversation")
    assert button(failed, "retry") is not None
    assert idle.environment.posts == []
    assert (await idle.slack.slash(ADA, OPS, "help")).in_time


# What the device is.


async def test_a_device_too_old_for_the_endpoint_is_warned_about(idle: World) -> None:
    idle.environment.place.message_protocol = None
    await idle.start_relay()
    await idle.environment.wait_for(lambda environment: len(environment.sockets) == 2)
    assert warnings(idle) == ["environment.too_old"]


@pytest.mark.parametrize("mode", ["unrestricted", "bypassPermissions"])
async def test_a_device_that_never_asks_is_warned_about(idle: World, mode: str) -> None:
    idle.environment.current_mode = mode
    await idle.start_relay()
    await idle.environment.wait_for(lambda environment: len(environment.sockets) == 2)
    assert warnings(idle) == ["environment.never_asks"]


async def test_a_device_as_it_should_be_is_not_warned_about(here: World) -> None:
    await here.environment.wait_for(lambda environment: len(environment.sockets) == 2)
    assert warnings(here) == []


def warnings(world: World) -> list[str]:
    """The warnings about the environment in the log."""
    entries = [json.loads(line) for line in world.log.getvalue().splitlines()]
    return [one["event"] for one in entries if one["level"] == "warning" and one["event"].startswith("env")]


# What the agent does.


def times_said(world: World, words: str) -> int:
    """How many messages in the channel say something."""
    return sum(words in everything(one) for one in world.slack.channels[OPS].messages)


async def test_a_model_failure_is_said_once_in_plain_words(here: World) -> None:
    here.environment.script = lambda turn: [Fail()] if "FAIL" in turn.text else [Say("still here")]
    await here.slack.slash(ADA, OPS, "FAIL")
    failed = await here.thread_says("scripted HTTP 400")
    await here.slack.slash(ADA, OPS, "and now")
    await here.thread_says("still here")
    assert times_said(here, "scripted HTTP 400") == 1
    assert "{" not in everything(failed)


async def test_messages_taken_into_one_turn_get_its_answer_in_the_newest_thread_and_a_line_elsewhere(
    here: World,
) -> None:
    gate = asyncio.Event()

    def script(turn: Turn) -> list[Wait | Say]:
        return [Wait(gate), Say("one")] if len(turn.messages) == 1 else [Say("both at once")]

    here.environment.script = script
    for word in ("first", "second", "third"):
        await here.slack.slash(ADA, OPS, word)
    await here.environment.wait_for(lambda environment: len(environment.received) == 3)
    gate.set()
    line = await here.thread_says("Answered together with a later message")
    messages = here.slack.channels[OPS].messages
    [second] = [one.ts for one in messages if "second" in everything(one)]
    [third] = [one.ts for one in messages if "third" in everything(one)]
    assert [one.thread_ts for one in messages if "both at once" in everything(one)] == [third]
    assert line.thread_ts == second


async def test_a_message_sent_while_a_tool_is_asked_for_leaves_the_question_as_it_is(here: World) -> None:
    await here.slack.slash(ADA, OPS, "TOOL: rm -rf build")
    card = await here.card()
    await here.slack.slash(GRACE, OPS, "be careful")
    await here.environment.wait_for(lambda environment: len(environment.received) == 2)
    await here.slack.click(GRACE, APPROVALS, card.ts, "approve")
    await here.card_says("Delivered.")
    await here.thread_says("Answered together with a later message")
    assert times_said(here, "FINAL: tool said") == 1
    assert len(here.slack.channels[APPROVALS].messages) == 1


async def test_a_tool_that_is_allowed_asks_nobody(here: World) -> None:
    here.environment.script = lambda turn: [UseTool("Bash", {"command": "ls"}, allowed=True), Say("listed")]
    await here.slack.slash(ADA, OPS, "look around")
    await here.thread_says("listed")
    assert here.slack.channels[APPROVALS].messages == []
