"""A thread, a channel or a direct conversation is a conversation of the agent's, by the route's rule."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from relay.sandbox.environment import UserMessage
from relay.sandbox.slack.workspace import Message
from tests.scenarios.acts import rows
from tests.world import ADA, APPROVALS, GRACE, LINUS, OPS, World, everything, world

DM = f"D{ADA}"


@pytest.fixture(params=["http", "socket_mode"])
async def threads(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    """A running relay with a conversation for each thread, over HTTP and in Socket Mode."""
    async with world(tmp_path, socket_mode=request.param == "socket_mode") as made:
        await start_with(made, "thread")
        yield made


@pytest.fixture
async def here_by_thread(tmp_path: Path) -> AsyncIterator[World]:
    """A running relay with a conversation for each thread."""
    async with world(tmp_path) as made:
        await start_with(made, "thread")
        yield made


async def start_with(made: World, conversation: str) -> None:
    """Start the relay with one route for all, under this rule."""
    written = f'[[routes]]\nconversation = "{conversation}"\n'
    (made.folder / "relay.toml").write_text(written, encoding="utf-8")
    await made.start_relay()


async def echoed(made: World, words: str, channel: str = OPS) -> Message:
    """Wait until the agent has echoed `words`, and return its reply."""
    return await made.thread_says(f"echo: {words}", channel)


def taken(made: World, words: str) -> UserMessage:
    """Return what reached the agent and ended in `words`."""
    [found] = [one for one in made.environment.received if one.last_line == words and not one.duplicate]
    return found


async def root_of(made: World, words: str, channel: str = OPS) -> Message:
    """Wait for the message in a channel that says `words`, and return it."""
    return await made.thread_says(words, channel)


async def test_a_mention_is_answered_in_the_thread_below_it(threads: World) -> None:
    acks = await threads.slack.say(ADA, OPS, "@relay build it")
    assert all(ack.ok for ack in acks)
    reply = await echoed(threads, "build it")
    asked = threads.slack.channels[OPS].messages[0]
    assert reply.thread_ts == asked.ts
    assert taken(threads, "build it").conversation_id == threads.environment.conversations_made[0]


async def test_two_threads_are_two_conversations(here_by_thread: World) -> None:
    made = here_by_thread
    await made.slack.say(ADA, OPS, "@relay first")
    await made.slack.say(LINUS, OPS, "@relay second")
    await echoed(made, "first")
    await echoed(made, "second")
    assert {taken(made, "first").conversation_id, taken(made, "second").conversation_id} == set(
        made.environment.conversations_made
    )
    assert len(made.environment.conversations_made) == 2


async def test_a_reply_in_the_thread_continues_its_conversation_without_a_mention(threads: World) -> None:
    await threads.slack.say(ADA, OPS, "@relay first")
    root = (await echoed(threads, "first")).thread_ts
    await threads.slack.say(LINUS, OPS, "and then this", root)
    reply = await echoed(threads, "and then this")
    assert reply.thread_ts == root
    assert len(threads.environment.conversations_made) == 1
    assert taken(threads, "and then this").conversation_id == taken(threads, "first").conversation_id


async def test_a_thread_begun_by_a_command_is_continued_by_mention(here_by_thread: World) -> None:
    made = here_by_thread
    await made.slack.slash(ADA, OPS, "from a command")
    root = (await echoed(made, "from a command")).thread_ts
    await made.slack.say(GRACE, OPS, "@relay go on", root)
    await echoed(made, "go on")
    assert taken(made, "go on").conversation_id == taken(made, "from a command").conversation_id


async def test_a_mention_within_a_thread_of_others_begins_a_conversation_there(here_by_thread: World) -> None:
    made = here_by_thread
    await made.slack.say(LINUS, OPS, "shall we?")
    root = made.slack.channels[OPS].messages[0]
    await made.slack.say(ADA, OPS, "@relay what do you say", root.ts)
    assert (await echoed(made, "what do you say")).thread_ts == root.ts


async def test_the_messages_of_a_thread_stay_in_order_while_its_conversation_is_made(
    here_by_thread: World,
) -> None:
    made = here_by_thread
    made.environment.refuse_conversations(503, 503)
    await made.slack.say(ADA, OPS, "@relay one")
    root = made.slack.channels[OPS].messages[0].ts
    for words in ("two", "three", "four"):
        await made.slack.say(ADA, OPS, f"@relay {words}", root)
    await made.environment.wait_for(lambda seen: len(seen.received) == 4)
    assert [one.last_line for one in made.environment.received] == ["one", "two", "three", "four"]
    assert len(made.environment.conversations_made) == 1


async def test_the_api_that_makes_no_conversation_is_asked_again(here_by_thread: World) -> None:
    made = here_by_thread
    made.environment.refuse_conversations(500, 429)
    await made.slack.say(ADA, OPS, "@relay patience")
    await echoed(made, "patience")


async def test_a_conversation_whose_making_was_never_confirmed_is_left_unused(here_by_thread: World) -> None:
    made = here_by_thread
    made.environment.refuse_conversations(0)
    await made.slack.say(ADA, OPS, "@relay anybody there")
    await echoed(made, "anybody there")
    unused, used = made.environment.conversations_made
    assert taken(made, "anybody there").conversation_id == used != unused


async def test_an_answer_that_names_no_conversation_is_no_answer(here_by_thread: World) -> None:
    made = here_by_thread
    made.environment.refuse_conversations(200)
    await made.slack.say(ADA, OPS, "@relay which one")
    await echoed(made, "which one")


async def test_stop_typed_in_a_thread_stops_the_turn_of_its_conversation(here_by_thread: World) -> None:
    made = here_by_thread
    await made.slack.say(ADA, OPS, "@relay TOOL: rm -rf build")
    await made.card()
    root = made.slack.channels[OPS].messages[0].ts
    await made.slack.say(LINUS, OPS, "!stop", root)
    await made.thread_says(f"<@{LINUS}> stopped the agent's turn.")
    assert [one.last_line for one in made.environment.received] == ["TOOL: rm -rf build"]


async def test_a_refused_conversation_is_said_in_the_thread(here_by_thread: World) -> None:
    made = here_by_thread
    made.environment.refuse_conversations(401)
    await made.slack.say(ADA, OPS, "@relay no key")
    told = await made.thread_says("no conversation could be made")
    assert told.thread_ts == made.slack.channels[OPS].messages[0].ts
    assert made.environment.received == []


async def test_a_thread_keeps_its_conversation_over_a_restart(here_by_thread: World) -> None:
    made = here_by_thread
    await made.slack.say(ADA, OPS, "@relay before")
    root = (await echoed(made, "before")).thread_ts
    await made.stop_relay()
    await made.start_relay()
    await made.slack.say(ADA, OPS, "after", root)
    await echoed(made, "after")
    assert taken(made, "after").conversation_id == taken(made, "before").conversation_id
    assert len(made.environment.conversations_made) == 1


async def test_a_conversation_begun_while_the_environment_was_away_is_made_when_it_is_back(
    here_by_thread: World,
) -> None:
    made = here_by_thread
    made.environment.offline = True
    await made.slack.say(ADA, OPS, "@relay are you there")
    await made.thread_says("offline")
    assert made.environment.conversations_made == []
    made.environment.offline = False
    await echoed(made, "are you there")
    assert rows(made, "conversations") == 1


async def test_under_the_rule_channel_all_threads_of_a_channel_are_one_conversation(tmp_path: Path) -> None:
    async with world(tmp_path) as made:
        await start_with(made, "channel")
        await made.slack.say(ADA, OPS, "@relay first")
        await made.slack.slash(LINUS, OPS, "second")
        await made.slack.say(ADA, APPROVALS, "@relay elsewhere")
        await echoed(made, "first")
        await echoed(made, "second")
        await echoed(made, "elsewhere", APPROVALS)
        assert taken(made, "first").conversation_id == taken(made, "second").conversation_id
        assert taken(made, "elsewhere").conversation_id != taken(made, "first").conversation_id


async def test_under_the_rule_default_a_mention_goes_to_the_one_conversation(here: World) -> None:
    await here.slack.say(ADA, OPS, "@relay hello there")
    reply = await echoed(here, "hello there")
    assert reply.thread_ts == here.slack.channels[OPS].messages[0].ts
    assert taken(here, "hello there").conversation_id == "default"
    assert here.environment.conversations_made == []


async def test_a_fixed_conversation_is_used_as_it_is(tmp_path: Path) -> None:
    async with world(tmp_path) as made:
        await start_with(made, "conv-of-ours")
        await made.slack.say(ADA, OPS, "@relay hello there")
        await echoed(made, "hello there")
        assert taken(made, "hello there").conversation_id == "conv-of-ours"


async def test_a_direct_message_is_answered_beside_it(threads: World) -> None:
    await threads.slack.say(ADA, DM, "between us")
    reply = await echoed(threads, "between us", DM)
    assert reply.thread_ts is None
    assert threads.slack.ephemerals == []


async def test_a_direct_conversation_is_one_and_each_thread_in_it_another(here_by_thread: World) -> None:
    made = here_by_thread
    await made.slack.say(ADA, DM, "first of all")
    await made.slack.say(ADA, DM, "second of all")
    root = (await echoed(made, "first of all", DM)).ts
    await made.slack.say(ADA, DM, "aside from that", root)
    assert (await echoed(made, "aside from that", DM)).thread_ts == root
    await echoed(made, "second of all", DM)
    together = {taken(made, words).conversation_id for words in ("first of all", "second of all")}
    assert len(together) == 1
    assert taken(made, "aside from that").conversation_id not in together


async def test_a_card_is_posted_where_the_route_of_its_thread_says(here_by_thread: World) -> None:
    made = here_by_thread
    await made.slack.say(ADA, OPS, "@relay TOOL: rm -rf build")
    card = await made.card()
    assert "rm -rf build" in everything(card)
    await made.slack.click(GRACE, APPROVALS, card.ts, "approve")
    await made.card_says("Delivered.")
    final = await made.thread_says("FINAL: tool said")
    assert final.thread_ts == made.slack.channels[OPS].messages[0].ts


async def test_a_card_of_a_thread_is_answered_after_a_restart(here_by_thread: World) -> None:
    made = here_by_thread
    await made.slack.say(ADA, OPS, "@relay TOOL: rm -rf build")
    card = await made.card()
    await made.stop_relay()
    await made.start_relay()
    await made.slack.click(GRACE, APPROVALS, card.ts, "approve")
    await made.card_says("Delivered.")
    await made.thread_says("FINAL: tool said")
