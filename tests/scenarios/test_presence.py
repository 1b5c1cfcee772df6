"""What people see while the agent works: a status, its words as they come."""

import asyncio
from functools import partial

from relay.sandbox.environment import Fail, Say, UseTool, Wait
from relay.sandbox.environment.script import Step, Turn
from relay.sandbox.slack import FakeSlack
from relay.sandbox.slack.workspace import Message
from tests.world import ADA, APPROVALS, OPS, World, button, everything

DM = f"D{ADA}"


def replies(world: World) -> list[Message]:
    """Return what stands in the thread under the first message of #ops."""
    root = world.slack.channels[OPS].messages[0]
    return [one for one in world.slack.channels[OPS].messages if one.thread_ts == root.ts]


def calls(world: World, method: str) -> list[dict[str, object]]:
    """Return the arguments of every call of a method."""
    return [one.arguments for one in world.slack.calls if one.method == method]


async def working(world: World, *steps: Step) -> asyncio.Event:
    """Have the agent work until the event that is returned is set, and then take `steps`."""
    go_on = asyncio.Event()
    world.environment.script = lambda turn: [Wait(go_on), *steps]
    await world.slack.slash(ADA, OPS, "work")
    return go_on


async def talking(world: World, text: str) -> asyncio.Event:
    """Have the agent say its first word, and the others when the event that is returned is set."""
    go_on = asyncio.Event()
    world.environment.script = lambda turn: [Say(text, hold=go_on)]
    await world.slack.slash(ADA, OPS, "talk")
    await world.slack.wait_for(lambda slack: [one for one in slack.channels[OPS].messages if one.streaming])
    return go_on


def saying(slack: FakeSlack, words: str) -> list[Message]:
    """Return the messages of #ops that say `words`."""
    return [one for one in slack.channels[OPS].messages if words in one.text]


def _says(text: str, go_on: asyncio.Event, _: Turn) -> list[Step]:
    return [Say(text, hold=go_on)]


async def finished(world: World) -> None:
    """Wait until no stream is open."""
    await world.slack.wait_for(lambda slack: not any(one.streaming for one in slack.channels[OPS].messages))


async def test_while_the_agent_works_its_thread_says_so_and_no_longer(here: World) -> None:
    go_on = await working(here, Say("done"))
    await here.slack.wait_for(lambda slack: slack.statuses)
    root = here.slack.channels[OPS].messages[0]
    assert here.slack.statuses == {(OPS, root.ts): "is thinking…"}
    assert len(calls(here, "assistant.threads.setStatus")[0]["loading_messages"]) <= 10  # type: ignore[arg-type]
    go_on.set()
    await here.slack.wait_for(lambda slack: not slack.statuses)
    await here.thread_says("done")


async def test_a_turn_that_is_over_at_once_shows_no_status(here: World) -> None:
    await here.slack.slash(ADA, OPS, "hello")
    await here.thread_says("echo: hello")
    assert calls(here, "assistant.threads.setStatus") == []
    assert calls(here, "chat.startStream") == []


async def test_the_status_is_gone_before_a_card_is_posted(here: World) -> None:
    go_on = await working(here, UseTool("Bash", {"command": "ls"}), Say("done"))
    await here.slack.wait_for(lambda slack: slack.statuses)
    go_on.set()
    card = await here.card()
    told = [one for one in here.slack.calls if one.method == "assistant.threads.setStatus"]
    posted = next(
        one
        for one in here.slack.calls
        if one.method == "chat.postMessage" and one.arguments["channel"] == APPROVALS
    )
    assert told[-1].arguments["status"] == ""
    assert here.slack.calls.index(told[-1]) < here.slack.calls.index(posted)
    assert here.slack.statuses == {}
    assert "ls" in everything(card)


async def test_the_status_names_the_tool_that_runs(here: World) -> None:
    go_on = await working(here, Say("done"))
    await here.slack.wait_for(lambda slack: slack.statuses)
    started = {"message_type": "client_tool_start", "tool_call_id": "call_9", "tool_name": "Ba`sh"}
    await here.environment.send_event({"type": "stream_delta", "delta": started})
    await here.slack.wait_for(lambda slack: "is running `Ba'sh`…" in slack.statuses.values())
    go_on.set()
    await here.thread_says("done")


async def test_a_direct_message_shows_the_status_and_is_answered_beside_it(here: World) -> None:
    go_on = asyncio.Event()
    here.environment.script = lambda turn: [Wait(go_on), Say("between us")]
    await here.slack.say(ADA, DM, "work")
    await here.slack.wait_for(lambda slack: slack.statuses)
    [asked] = here.slack.channels[DM].messages
    assert here.slack.statuses == {(DM, asked.ts): "is thinking…"}
    go_on.set()
    reply = await here.thread_says("between us", DM)
    await here.slack.wait_for(lambda slack: not slack.statuses)
    assert reply.thread_ts is None
    assert calls(here, "chat.startStream") == []


async def test_a_direct_message_without_a_status_is_told_beside_it_that_the_agent_works(here: World) -> None:
    here.slack.fail("assistant.threads.setStatus", "missing_scope", times=100)
    go_on = asyncio.Event()
    here.environment.script = lambda turn: [Wait(go_on), Say("between us")]
    await here.slack.say(ADA, DM, "work")
    said = await here.thread_says("Working…", DM)
    assert said.thread_ts is None
    go_on.set()
    await here.thread_says("between us", DM)
    await here.slack.wait_for(lambda slack: said not in slack.channels[DM].messages)


async def test_where_slack_has_no_status_a_message_with_a_stop_button_says_so_and_goes(here: World) -> None:
    here.slack.fail("assistant.threads.setStatus", "missing_scope", times=100)
    go_on = await working(here, Say("done"))
    said = await here.thread_says("Working…")
    assert button(said, "stop") is not None
    go_on.set()
    await here.thread_says("done")
    await here.slack.wait_for(lambda slack: said not in slack.channels[OPS].messages)
    assert len(calls(here, "assistant.threads.setStatus")) == 1


async def test_a_channel_that_refuses_a_status_is_not_asked_again(here: World) -> None:
    here.slack.fail("assistant.threads.setStatus", "not_allowed", times=1)
    for answer in ("first answer", "second answer"):
        go_on = await working(here, Say(answer))
        await here.thread_says("Working…")
        go_on.set()
        await here.thread_says(answer)
        await here.slack.wait_for(lambda slack: not saying(slack, "Working…"))
    assert len(calls(here, "assistant.threads.setStatus")) == 1


async def test_when_slack_is_busy_the_status_is_dropped_and_the_reply_is_not(here: World) -> None:
    here.slack.fail("assistant.threads.setStatus", "ratelimited", times=100, retry_after=30)
    go_on = await working(here, Say("done"))
    await here.slack.wait_for(lambda _: calls(here, "assistant.threads.setStatus"))
    go_on.set()
    await here.thread_says("done")
    assert len(calls(here, "assistant.threads.setStatus")) == 1
    assert not any("Working" in everything(one) for one in replies(here))


async def test_a_reply_is_seen_as_it_comes_and_is_one_message(here: World) -> None:
    go_on = await talking(here, "Once upon a time")
    [begun] = replies(here)
    assert begun.text == "Once"
    go_on.set()
    await here.thread_says("Once upon a time")
    await finished(here)
    assert [everything(one) for one in replies(here)] == [everything(begun)]
    [started] = calls(here, "chat.startStream")
    assert (started["recipient_user_id"], started["recipient_team_id"]) == (ADA, here.slack.team_id)


async def test_words_are_added_at_most_about_once_a_second(here: World) -> None:
    words = Say(" ".join(f"word{number}" for number in range(300)))
    here.environment.agent.delta_seconds = 0.01
    here.environment.script = lambda turn: [words]
    await here.slack.slash(ADA, OPS, "talk")
    await here.thread_says("word299")
    await finished(here)
    assert 1 <= len(calls(here, "chat.appendStream")) <= 4
    assert len(replies(here)) == 1


async def test_a_stream_that_died_is_finished_by_rewriting_its_message(here: World) -> None:
    go_on = await talking(here, "Once upon a time")
    here.slack.end_streams()
    go_on.set()
    reply = await here.thread_says("Once upon a time")
    await finished(here)
    assert replies(here) == [reply]
    assert calls(here, "chat.stopStream")


async def test_a_crash_between_start_and_finish_leaves_one_message_with_all_the_words(here: World) -> None:
    go_on = await talking(here, "Once upon a time")
    await here.stop_relay()
    await here.start_relay()
    go_on.set()
    reply = await here.thread_says("Once upon a time")
    await finished(here)
    assert replies(here) == [reply]


async def test_a_stream_whose_start_was_never_confirmed_is_found_again(here: World) -> None:
    here.slack.fail("chat.startStream", "cut", after=True)
    go_on = await talking(here, "Once upon a time")
    go_on.set()
    reply = await here.thread_says("Once upon a time")
    await finished(here)
    assert replies(here) == [reply]


async def test_a_stream_that_somebody_deleted_is_posted_anew(here: World) -> None:
    go_on = await talking(here, "Once upon a time")
    here.slack.channels[OPS].messages.remove(replies(here)[0])
    go_on.set()
    await here.thread_says("Once upon a time")
    assert len(replies(here)) == 1


async def test_where_slack_refuses_streams_replies_are_posted_and_it_is_asked_once(here: World) -> None:
    here.slack.fail("chat.startStream", "not_allowed_token_type", times=1)
    for text in ("first words here", "second words here"):
        go_on = asyncio.Event()
        here.environment.script = partial(_says, text, go_on)
        await here.slack.slash(ADA, OPS, "talk")
        await here.slack.wait_for(lambda _: calls(here, "chat.startStream"))
        go_on.set()
        await here.thread_says(text)
    assert len(calls(here, "chat.startStream")) == 1


async def test_a_streamed_ping_pings_nobody_even_when_it_comes_in_pieces(here: World) -> None:
    go_on = await talking(here, "Look: <!chan nel> <!channel> done")
    go_on.set()
    await here.thread_says("done")
    await finished(here)
    sent = [str(one.arguments.get("markdown_text")) for one in here.slack.calls if "Stream" in one.method]
    assert not any("<!channel" in words for words in sent)
    assert "&lt;!channel>" in everything(replies(here)[0])


async def test_words_beyond_one_message_finish_the_stream_and_go_on_in_others(here: World) -> None:
    text = "start " + "paragraph of words\n\n" * 1000 + "the end"
    go_on = await talking(here, text)
    go_on.set()
    await here.thread_says("the end")
    await finished(here)
    assert len(replies(here)) == 2
    assert not any(one.streaming for one in replies(here))
    assert replies(here)[0].text.startswith("start paragraph")


async def test_a_turn_that_fails_after_its_first_words_leaves_no_stream_open(here: World) -> None:
    go_on = asyncio.Event()
    here.environment.script = lambda turn: [Say("Half a word", hold=go_on), Fail()]
    await here.slack.slash(ADA, OPS, "talk")
    await here.slack.wait_for(lambda slack: [one for one in slack.channels[OPS].messages if one.streaming])
    go_on.set()
    await here.thread_says("could not finish")
    await finished(here)
    assert sum("Half a word" in everything(one) for one in replies(here)) == 1


async def test_a_stop_of_the_stream_that_was_cut_short_still_leaves_one_message(here: World) -> None:
    go_on = await talking(here, "Once upon a time")
    here.slack.fail("chat.stopStream", "cut", after=True)
    go_on.set()
    reply = await here.thread_says("Once upon a time")
    await here.slack.wait_for(lambda _: calls(here, "chat.update"))
    assert replies(here) == [reply]


async def test_when_slack_is_busy_a_stream_is_finished_later(here: World) -> None:
    go_on = await talking(here, "Once upon a time")
    here.slack.fail("chat.appendStream", "ratelimited", times=100)
    here.slack.fail("chat.stopStream", "ratelimited", times=1)
    go_on.set()
    reply = await here.thread_says("Once upon a time")
    await finished(here)
    assert replies(here) == [reply]
    assert len(calls(here, "chat.stopStream")) == 2


async def test_a_relay_that_starts_again_leaves_no_word_that_it_works_behind(here: World) -> None:
    here.slack.fail("assistant.threads.setStatus", "missing_scope", times=100)
    go_on = await working(here, Say("done"))
    first = await here.thread_says("Working…")
    await here.stop_relay()
    await here.start_relay()
    await here.slack.wait_for(lambda slack: first not in slack.channels[OPS].messages)
    go_on.set()
    await here.thread_says("done")
    await here.slack.wait_for(lambda slack: not saying(slack, "Working…"))


async def test_messages_of_one_thread_that_are_answered_together_get_one_reply(here: World) -> None:
    go_on = asyncio.Event()
    here.environment.script = lambda turn: [Wait(go_on), UseTool("Bash", {}, allowed=True), Say("to both")]
    await here.slack.say(ADA, OPS, "@relay one")
    root = here.slack.channels[OPS].messages[0]
    await here.environment.wait_for(lambda environment: environment.busy())
    await here.slack.say(ADA, OPS, "@relay two", thread_ts=root.ts)
    await here.environment.wait_for(lambda environment: len(environment.received) == 2)
    go_on.set()
    await here.thread_says("to both")
    await here.environment.wait_for(lambda environment: not environment.busy())
    here.environment.script = partial(_says, "the end", go_on)
    await here.slack.say(ADA, OPS, "@relay three", thread_ts=root.ts)
    await here.thread_says("the end")
    assert len(saying(here.slack, "to both")) == 1
