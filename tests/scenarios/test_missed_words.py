"""What the agent says while nobody listens is read from the conversation afterwards, and posted once."""

import asyncio

import pytest

from relay.sandbox.environment import Fail, Say, UseTool, Wait
from tests.world import ADA, GRACE, OPS, World, everything


def said(world: World, words: str) -> int:
    """How many messages in the channel say something."""
    return sum(words in everything(one) for one in world.slack.channels[OPS].messages)


async def cut_in_mid_answer(world: World, *, hard: bool) -> None:
    """Have the sockets end between two words of an answer, and the answer go on after they are back."""
    gate = asyncio.Event()
    world.environment.script = lambda turn: [Say("one two three four", hold=gate)]
    await world.slack.slash(ADA, OPS, "count")
    await world.environment.wait_for(lambda environment: environment.busy() and environment.acked)
    first = list(world.environment.sockets)
    await world.environment.drop_sockets(hard=hard)
    await world.environment.wait_for(lambda environment: len(set(environment.sockets) - set(first)) == 2)
    gate.set()


@pytest.mark.parametrize("hard", [True, False])
async def test_an_answer_cut_by_a_drop_is_posted_whole(here: World, hard: bool) -> None:
    await cut_in_mid_answer(here, hard=hard)
    await here.thread_says("one two three four")
    await here.slack.slash(ADA, OPS, "count")
    await here.slack.wait_for(lambda _: said(here, "one two three four") == 2)
    assert said(here, "three four") == 2


async def test_an_answer_given_while_the_relay_was_down_is_posted_when_it_is_back(here: World) -> None:
    gate, looks = asyncio.Event(), UseTool("Bash", {"command": "ls"}, allowed=True)
    here.environment.script = lambda turn: [Say("before"), looks, Wait(gate), Say("away"), Say("and after")]
    await here.slack.slash(ADA, OPS, "go on")
    await here.thread_says("before")
    await here.stop_relay()
    gate.set()
    await here.environment.wait_for(lambda environment: not environment.busy())
    await here.start_relay()
    await here.thread_says("and after")
    assert [said(here, words) for words in ("before", "away", "and after")] == [1, 1, 1]


async def test_an_answer_that_was_posted_is_not_posted_again_after_a_restart(here: World) -> None:
    await here.slack.slash(ADA, OPS, "hello there")
    await here.thread_says("echo: hello there")
    for _ in range(2):
        await here.stop_relay()
        await here.start_relay()
    await here.slack.slash(ADA, OPS, "once more")
    await here.thread_says("echo: once more")
    assert said(here, "echo: hello there") == 1


async def test_a_turn_that_failed_while_nobody_listened_is_told_to_have_ended(here: World) -> None:
    gate = asyncio.Event()
    here.environment.script = lambda turn: [Wait(gate), Fail()]
    await here.slack.slash(ADA, OPS, "go on")
    await here.environment.wait_for(lambda environment: environment.busy())
    await here.stop_relay()
    gate.set()
    await here.environment.wait_for(lambda environment: not environment.busy())
    await here.start_relay()
    await here.slack.wait_for(lambda _: said(here, "left no words that I can read") == 1, timeout=20)


async def test_words_before_a_question_are_posted_once_though_the_sockets_drop_meanwhile(here: World) -> None:
    here.environment.script = lambda turn: [
        Say("I look first."),
        UseTool("Bash", {"command": "make"}),
        Say("Done."),
    ]
    await here.slack.slash(ADA, OPS, "build it")
    card = await here.card()
    await here.environment.drop_sockets(hard=True)
    await here.environment.wait_for(lambda environment: len(environment.sockets) == 2)
    await here.slack.click(GRACE, card.channel, card.ts, "approve")
    await here.thread_says("Done.")
    await here.card_says("Delivered.")
    assert [said(here, words) for words in ("I look first.", "Done.")] == [1, 1]


async def test_a_message_that_the_device_never_got_is_told_to_have_left_no_sign(here: World) -> None:
    here.environment.fail_posts(status=200, body={"message": "forwarded", "success": True})
    await here.slack.slash(ADA, OPS, "hello?")
    await here.environment.wait_for(lambda environment: environment.posts)
    await here.stop_relay()
    await here.start_relay()
    await here.slack.wait_for(lambda _: said(here, "shows no sign of it") == 1, timeout=20)


async def test_answers_are_read_page_by_page_back_to_the_message(here: World) -> None:
    gate = asyncio.Event()
    here.environment.script = lambda turn: [
        Wait(gate),
        *(Say(f"answer {number:02}.") for number in range(60)),
    ]
    await here.slack.slash(ADA, OPS, "count")
    await here.environment.wait_for(lambda environment: environment.busy())
    await here.stop_relay()
    gate.set()
    await here.environment.wait_for(lambda environment: not environment.busy())
    await here.start_relay()
    await here.thread_says("answer 59.")
    assert [said(here, f"answer {number:02}.") for number in range(60)] == [1] * 60
    pages = [one for one in here.environment.commands if one["type"] == "conversation_messages_list"]
    assert [one.get("query") for one in pages] == [None, {"before": pages[1]["query"]["before"]}]
