"""The status sockets drop, stutter and lie in wait: no question is lost, none is asked twice."""

from typing import Any

import pytest

from relay.sandbox.environment import FakeEnvironment, Say, Turn, UseTool, UseTools
from relay.sandbox.slack.workspace import Message
from tests.world import ADA, APPROVALS, GRACE, OPS, World, button, everything

AGENT, CONVERSATION = "agent-1", "default"


async def pending_card(world: World, text: str = "TOOL: rm -rf build") -> Message:
    """Have the agent ask for a tool and return its card."""
    await world.slack.slash(ADA, OPS, text)
    return await world.card()


async def listening_again(world: World, greetings: int = 2) -> None:
    """Wait until the relay has greeted that many times and both sockets are open."""
    await world.environment.wait_for(
        lambda environment: len(greeted(environment)) == greetings and len(environment.sockets) == 2
    )


def greeted(environment: FakeEnvironment) -> list[dict[str, Any]]:
    """Every runtime_start the relay sent."""
    return [one for one in environment.commands if one["type"] == "runtime_start"]


def cards(world: World) -> list[Message]:
    """Every card there is."""
    return world.slack.channels[APPROVALS].messages


async def answered(world: World) -> None:
    """See that a message still gets its answer: whatever came before has been dealt with."""
    await world.slack.slash(ADA, OPS, "are you still there")
    await world.thread_says("echo: are you still there")


# Opening.


async def test_both_sockets_of_the_conversation_are_opened_and_greeted_once(here: World) -> None:
    await listening_again(here, 1)
    opened = {(one.channel, one.agent, one.conversation) for one in here.environment.sockets}
    assert opened == {("control", AGENT, CONVERSATION), ("stream", AGENT, CONVERSATION)}
    [greeting] = greeted(here.environment)
    assert (greeting["agent_id"], greeting["conversation_id"]) == (AGENT, CONVERSATION)
    assert greeting["recover_approvals"] is True and greeting["force_device_status"] is True


async def test_a_question_asked_before_the_relay_started_gets_its_card(idle: World) -> None:
    idle.environment.device.take_messages("default", [{"client_message_id": "x", "content": "TOOL: ls /"}])
    await idle.environment.wait_for(FakeEnvironment.pending)
    await idle.start_relay()
    card = await idle.card()
    assert "ls /" in everything(card) and "outside Slack" in everything(card)


async def test_every_frame_with_a_seq_is_acknowledged_on_its_own_socket(here: World) -> None:
    await listening_again(here, 1)
    await answered(here)
    await here.environment.wait_for(
        lambda environment: all(
            one.acked == list(range(1, one.seq + 1)) and one.seq > 20 for one in environment.sockets
        )
    )


# What comes over them.

NOISE: dict[str, str | dict[str, Any]] = {
    "half a frame": '{"type":"stream_delta","delta":{"message_type":"assistant_m',
    "no JSON": "<html>504</html>",
    "empty": "",
    "null": "null",
    "a list": "[1,2,3]",
    "deep": "[" * 100_000,
    "a type that is no word": '{"type":17,"seq":1}',
    "pong": '{"type":"pong"}',
    "unknown": {"type": "update_weather", "sky": "blue"},
    "a known type of another shape": {"type": "control_request", "request": {"tool_name": "Bash"}},
    "a status of another shape": {"type": "update_device_status", "device_status": []},
    "a far position": {"type": "update_loop_status", "event_seq": 10**30, "loop_status": {"status": "X"}},
    "a very far position": {"type": "turn_finished", "event_seq": 2**62, "stop_reason": "end_turn"},
}


@pytest.mark.parametrize("noise", NOISE)
async def test_noise_on_the_sockets_harms_nothing(here: World, noise: str) -> None:
    await listening_again(here, 1)
    await here.environment.send_frame(NOISE[noise])
    await answered(here)
    card = await pending_card(here)
    await here.slack.click(GRACE, APPROVALS, card.ts, "approve")
    await here.card_says("Delivered.")
    assert len(greeted(here.environment)) == 1


@pytest.mark.parametrize("noise", ["unknown", "a known type of another shape", "a far position"])
async def test_a_frame_that_cannot_be_used_is_acknowledged_all_the_same(here: World, noise: str) -> None:
    await listening_again(here, 1)
    frame = NOISE[noise]
    assert isinstance(frame, dict)
    await here.environment.send_frame(frame)
    await here.environment.wait_for(
        lambda environment: all(one.acked[-1:] == [one.seq] for one in environment.sockets)
    )


async def test_a_binary_frame_harms_nothing(here: World) -> None:
    await listening_again(here, 1)
    for socket in here.environment.sockets:
        await socket.socket.send_bytes(b"\x00\xff{")
    await answered(here)
    assert len(greeted(here.environment)) == 1


TROUBLED: dict[str, dict[str, Any]] = {
    "half a character": {"command": "echo \ud83d", "description": "\udc00"},
    "half a character in a name": {"na\ud83dme": "x"},
    "a null character": {"command": "printf 'a\x00b'"},
    "no number": {"count": float("nan"), "more": float("inf")},
    "a huge number": {"count": 10**400},
    "deep": {"deep": [[[[[[[[[[{"deeper": {}}]]]]]]]]]]},
    "nothing": {},
}


@pytest.mark.parametrize("trouble", TROUBLED)
async def test_a_question_with_a_strange_input_is_asked_and_decided(here: World, trouble: str) -> None:
    here.environment.script = lambda turn: [UseTool("Bash", TROUBLED[trouble])]
    card = await pending_card(here, "go on")
    await here.slack.click(GRACE, APPROVALS, card.ts, "approve")
    await here.card_says("Delivered.")
    assert len(here.environment.tool_runs) == 1


@pytest.mark.parametrize("strange", ["half \ud83d a character", "a null \x00 character"])
async def test_strange_words_of_the_agent_reach_the_thread(here: World, strange: str) -> None:
    here.environment.script = lambda turn: [Say(f"so: {strange} and on", whole=True)]
    await here.slack.slash(ADA, OPS, "go on")
    await here.thread_says("so: ")


# Dropped and opened again.


@pytest.mark.parametrize("hard", [False, True])
async def test_sockets_that_drop_are_opened_again_and_greeted_again(here: World, hard: bool) -> None:
    await listening_again(here, 1)
    await here.environment.drop_sockets(hard=hard)
    await listening_again(here, 2)
    await answered(here)


async def test_when_one_socket_ends_both_are_opened_again(here: World) -> None:
    await listening_again(here, 1)
    first = list(here.environment.sockets)
    await first[0].close()
    await listening_again(here, 2)
    assert not set(map(id, first)) & set(map(id, here.environment.sockets))


async def test_a_question_that_is_still_asked_after_a_reconnect_keeps_its_card(here: World) -> None:
    card = await pending_card(here)
    await here.environment.drop_sockets()
    await listening_again(here, 2)
    await here.slack.click(GRACE, APPROVALS, card.ts, "approve")
    await here.card_says("Delivered.")
    assert len(cards(here)) == 1
    assert len(here.environment.tool_runs) == 1


async def test_a_question_asked_while_the_sockets_were_down_gets_its_card(here: World) -> None:
    await listening_again(here, 1)
    await here.environment.drop_sockets()
    here.environment.device.take_messages("default", [{"client_message_id": "x", "content": "TOOL: ls /"}])
    assert "ls /" in everything(await here.card())


async def test_a_question_that_ended_while_the_sockets_were_down_is_taken_back(here: World) -> None:
    await pending_card(here)
    here.environment.place.leave()
    here.environment.router.cut_sockets()
    await here.environment.abort()
    await here.environment.come_back()
    assert button(await here.card_says("asks no longer"), "approve") is None


# The device.


async def test_a_device_that_restarts_takes_its_question_back(here: World) -> None:
    card = await pending_card(here)
    await here.environment.restart()
    withdrawn = await here.card_says("asks no longer")
    assert button(withdrawn, "approve") is None
    await here.slack.click(GRACE, APPROVALS, card.ts, "approve", value=str(button_value(card)))
    await here.told(GRACE, "no longer asks")
    assert here.environment.decisions == []


def button_value(card: Message) -> str | None:
    """The value of the Approve button before the card was rewritten."""
    for _, blocks in card.history:
        for block in blocks:
            for element in block.get("elements", []) if block["type"] == "actions" else []:
                if element.get("action_id") == "approve":
                    return str(element["value"])
    return None


async def test_a_tool_asked_for_after_a_restart_under_the_same_id_gets_a_card_of_its_own(here: World) -> None:
    here.environment.script = same_call
    await pending_card(here, "first")
    await here.environment.restart()
    await here.card_says("asks no longer")
    await listening_again(here, 2)
    await here.slack.slash(ADA, OPS, "second")
    card = await here.card(2)
    await here.slack.click(GRACE, APPROVALS, card.ts, "approve")
    await here.card_says("Delivered.", 2)


async def test_a_restart_that_only_its_numbers_show_takes_the_question_back_when_it_speaks(
    here: World,
) -> None:
    here.environment.script = lambda turn: same_call(turn) if "first" in turn.text else [Say("hello again")]
    await pending_card(here, "first")
    await here.environment.restart(rotate=False)
    await here.slack.slash(ADA, OPS, "second")
    await here.thread_says("hello again")
    await here.card_says("asks no longer")


async def test_a_tool_asked_for_after_a_restart_that_only_its_numbers_show_gets_a_card(here: World) -> None:
    here.environment.script = same_call
    await pending_card(here, "first")
    await here.environment.restart(rotate=False)
    await here.slack.slash(ADA, OPS, "second")
    card = await here.card(2)
    await here.slack.click(GRACE, APPROVALS, card.ts, "approve")
    await here.card_says("Delivered.", 2)
    assert button(cards(here)[0], "approve") is None


async def test_a_device_whose_socket_drops_asks_the_same_on_the_same_card(here: World) -> None:
    card = await pending_card(here)
    await here.environment.drop_device_socket()
    await answered_while_pending(here)
    await here.slack.click(GRACE, APPROVALS, card.ts, "approve")
    await here.card_says("Delivered.")
    assert len(cards(here)) == 1


async def answered_while_pending(world: World) -> None:
    """See that everything said so far over the sockets has been taken in."""
    await world.environment.wait_for(
        lambda environment: all(one.acked[-1:] == [one.seq] for one in environment.sockets)
    )


async def test_a_device_that_asks_again_after_losing_the_answer_gets_the_same_answer_again(
    here: World,
) -> None:
    lost = {"message": "Message sent", "success": True}
    here.environment.fail_posts(status=200, body=lost, approvals_only=True)
    card = await pending_card(here)
    await here.slack.click(GRACE, APPROVALS, card.ts, "deny")
    await here.environment.wait_for(lambda environment: environment.posts[-1].status == 200)
    await here.environment.wait_for(lambda environment: len(environment.posts) == 2)
    await here.card_says("Delivering…")
    await here.environment.drop_device_socket()
    await here.card_says("Delivered.")
    [taken] = here.environment.decisions
    assert (taken.approve, taken.reason, taken.accepted) == (False, "Denied by grace in Slack.", True)
    assert len(cards(here)) == 1


async def test_an_answer_given_at_the_terminal_first_is_told_on_the_card(here: World) -> None:
    card = await pending_card(here)
    assert await here.environment.answer_at_terminal("call_1_0", approve=True)
    told = await here.card_says("answered outside Slack")
    assert button(told, "approve") is None
    await here.slack.click(GRACE, APPROVALS, card.ts, "deny", value=str(button_value(told)))
    await here.told(GRACE, "answered this outside Slack")
    assert here.environment.decisions == []


async def test_a_denial_given_at_the_terminal_first_is_told_on_the_card(here: World) -> None:
    await pending_card(here)
    assert await here.environment.answer_at_terminal("call_1_0", approve=False, reason="not on a Friday")
    assert button(await here.card_says("answered outside Slack"), "approve") is None


async def test_an_answer_at_the_terminal_while_ours_is_on_its_way_is_not_called_ours(here: World) -> None:
    here.environment.fail_posts(times=2, status=503, approvals_only=True)
    card = await pending_card(here)
    await here.slack.click(GRACE, APPROVALS, card.ts, "approve")
    await here.environment.wait_for(lambda environment: len(environment.posts) == 2)
    assert await here.environment.answer_at_terminal("call_1_0", approve=False, reason="not on a Friday")
    await here.slack.wait_for(lambda _: "being delivered" not in cards(here)[0].text)
    assert "Delivered." not in everything(cards(here)[0])
    assert here.environment.tool_runs == []


async def test_a_turn_aborted_while_its_tool_is_asked_for_takes_the_question_back(here: World) -> None:
    await pending_card(here)
    await here.environment.abort()
    assert button(await here.card_says("asks no longer"), "approve") is None
    await answered(here)


# Which call is which.


def same_call(turn: Turn) -> list[UseTool | Say]:
    """Ask for a tool under an id that comes again."""
    return [UseTool("Bash", {"command": "make clean"}, tool_call_id="call_1_0"), Say("done")]


async def test_an_id_asked_for_again_after_its_tool_ran_is_a_new_question(here: World) -> None:
    here.environment.script = same_call
    for number in (1, 2):
        await here.slack.slash(ADA, OPS, "clean up")
        card = await here.card(number)
        await here.slack.click(GRACE, APPROVALS, card.ts, "approve")
        await here.card_says("Delivered.", number)
    assert [one.occurrence for one in here.environment.decisions] == [1, 2]
    assert len(here.environment.tool_runs) == 2


async def test_an_id_asked_for_with_another_input_supersedes_the_old_card(here: World) -> None:
    card = await pending_card(here)
    [asked] = here.environment.pending()
    changed = {**asked["request"], "input": {"command": "rm -rf /"}}
    await here.environment.send_event({"type": "control_request", **asked, "request": changed})
    assert "rm -rf /" in everything(await here.card(2))
    old = await here.card_says("asks anew, on another card")
    assert old.ts == card.ts and button(old, "approve") is None


async def test_parallel_tools_are_asked_and_decided_one_by_one(here: World) -> None:
    await here.slack.slash(ADA, OPS, "TOOLS: make one || make two")
    for number, action in ((1, "approve"), (2, "deny")):
        card = await here.card(number)
        await here.slack.click(GRACE, APPROVALS, card.ts, action)
    for number in (1, 2):
        await here.card_says("Delivered.", number)
    assert [tool_input["command"] for _, _, tool_input in here.environment.tool_runs] == ["make one"]
    await here.thread_says("Denied by grace in Slack.")


# Frames that overtake each other.


@pytest.mark.parametrize("action", ["approve", "deny"])
async def test_a_question_is_decided_though_frames_overtake_each_other(here: World, action: str) -> None:
    here.environment.overtake = True
    card = await pending_card(here)
    await here.slack.click(GRACE, APPROVALS, card.ts, action)
    await here.card_says("Delivered.")
    await here.thread_says("FINAL: tool said")
    assert len(cards(here)) == 1


async def test_words_come_whole_and_in_order_though_frames_overtake_each_other(here: World) -> None:
    here.environment.overtake = True
    words = " ".join(str(number) for number in range(200))
    here.environment.script = lambda turn: [Say(f"first {words}"), Say(f"second {words}")]
    await here.slack.slash(ADA, OPS, "count")
    await here.thread_says(f"second {words}")
    first, second = (everything(one) for one in here.slack.channels[OPS].messages[1:])
    assert f"first {words}" in first
    assert f"second {words}" in second


async def test_an_abort_is_seen_though_frames_overtake_each_other(here: World) -> None:
    here.environment.overtake = True
    await pending_card(here)
    await here.environment.abort()
    await here.card_says("asks no longer")
    assert len(cards(here)) == 1


async def test_parallel_tools_are_decided_though_frames_overtake_each_other(here: World) -> None:
    here.environment.overtake = True
    here.environment.script = lambda turn: [
        UseTools([UseTool("Bash", {"command": f"make {one}"}) for one in ("one", "two", "three")]),
        Say("all done"),
    ]
    await here.slack.slash(ADA, OPS, "make everything")
    for number in (1, 2, 3):
        card = await here.card(number)
        await here.slack.click(GRACE, APPROVALS, card.ts, "approve")
    for number in (1, 2, 3):
        await here.card_says("Delivered.", number)
    await here.thread_says("all done")
    assert len(cards(here)) == 3
