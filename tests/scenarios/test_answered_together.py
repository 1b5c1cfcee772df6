"""Messages of several threads that the agent answers together: the whole answer once in a channel."""

import asyncio
import html
import re

from relay.sandbox.environment import Say, UseTool, Wait
from relay.sandbox.slack.workspace import Message
from tests.world import ADA, APPROVALS, LINUS, OPS, World, everything

LINE = "Answered together with a later message"
LINK = re.compile(r"<([^|>]+)\|see the answer>")


async def asked_together(world: World, later: str = OPS, text: str = "to both") -> asyncio.Event:
    """Have #ops and then another channel say something that one turn takes in; the event lets it answer."""
    go_on = asyncio.Event()
    world.environment.script = lambda turn: [Wait(go_on), UseTool("Bash", {}, allowed=True), Say(text)]
    await world.slack.say(ADA, OPS, "@relay one")
    await world.environment.wait_for(lambda environment: environment.busy())
    await world.slack.say(LINUS, later, "@relay two")
    await world.environment.wait_for(lambda environment: len(environment.received) == 2)
    return go_on


def under(world: World, words: str, channel: str = OPS) -> list[Message]:
    """Return what stands in the thread of the message that says `words`."""
    place = world.slack.channels[channel]
    root = next(one for one in place.messages if words in one.text and one.thread_ts is None)
    return place.thread(root.ts)[1:]


def link_of(line: Message) -> str | None:
    """Return the address that a line leads to."""
    found = LINK.search(everything(line))
    return html.unescape(found[1]) if found else None


async def test_the_newest_thread_has_the_answer_and_the_other_a_link_to_it(here: World) -> None:
    (await asked_together(here)).set()
    line = await here.thread_says(LINE)
    [answer] = under(here, "two")
    assert answer.text == "to both"
    assert under(here, "one") == [line]
    where = f"{OPS}/p{answer.ts.replace('.', '')}?thread_ts={answer.thread_ts}&cid={OPS}"
    assert link_of(line) == f"{here.slack.workspace.url}/archives/{where}"


async def test_in_another_channel_the_whole_answer_is_posted_again(here: World) -> None:
    (await asked_together(here, later=APPROVALS)).set()
    await here.thread_says("to both", APPROVALS)
    await here.thread_says("to both", OPS)
    assert [one.text for one in under(here, "one")] == ["to both"]
    assert [one.text for one in under(here, "two", APPROVALS)] == ["to both"]


async def test_the_line_comes_only_when_the_answer_stands(here: World) -> None:
    go_on = await asked_together(here)
    here.slack.fail("chat.postMessage", "internal_error", times=2)
    go_on.set()
    line = await here.thread_says(LINE)
    [answer] = under(here, "two")
    assert float(answer.ts) < float(line.ts)
    failed = [one for one in here.slack.calls if one.method == "chat.postMessage" and one.error]
    assert [one.arguments["text"] for one in failed] == ["to both", "to both"]


async def test_an_answer_in_several_parts_is_led_to_by_one_line(here: World) -> None:
    (await asked_together(here, text="start " + "paragraph of words\n\n" * 1000 + "the end")).set()
    line = await here.thread_says(LINE)
    await here.thread_says("the end")
    first, last = under(here, "two")
    assert "the end" in everything(last)
    assert f"/p{first.ts.replace('.', '')}?" in str(link_of(line))
    here.environment.script = lambda turn: [Say("later on")]
    await here.slack.say(ADA, OPS, "and then", thread_ts=line.thread_ts)
    await here.thread_says("later on")
    assert [one for one in under(here, "one") if one.user != ADA][:-1] == [line]


async def test_an_answer_that_somebody_deleted_is_not_linked(here: World) -> None:
    here.slack.fail("chat.getPermalink", "message_not_found")
    (await asked_together(here)).set()
    line = await here.thread_says(LINE)
    assert everything(line).splitlines()[0] == f"{LINE}."


async def test_while_slack_tells_no_address_the_line_waits(here: World) -> None:
    here.slack.fail("chat.getPermalink", "ratelimited", times=1, retry_after=1)
    (await asked_together(here)).set()
    assert link_of(await here.thread_says(LINE)) is not None


async def test_what_was_answered_in_private_is_said_whole_in_the_thread(idle: World) -> None:
    (idle.folder / "relay.toml").write_text("[slack]\nquote_commands = false\n", encoding="utf-8")
    await idle.start_relay()
    go_on = asyncio.Event()
    idle.environment.script = lambda turn: [
        Wait(go_on),
        UseTool("Bash", {}, allowed=True),
        Say("to both"),
    ]
    await idle.slack.say(ADA, OPS, "@relay one")
    await idle.environment.wait_for(lambda environment: environment.busy())
    await idle.slack.slash(LINUS, OPS, "two")
    await idle.environment.wait_for(lambda environment: len(environment.received) == 2)
    go_on.set()
    await idle.told(LINUS, "to both")
    await idle.thread_says("to both")
    assert [one.text for one in under(idle, "one")] == ["to both"]


async def test_an_answer_that_ends_up_in_private_is_said_whole_in_the_other_thread(here: World) -> None:
    go_on = await asked_together(here)
    newest = here.slack.channels[OPS].messages[-1].ts
    here.slack.fail(
        "chat.postMessage",
        "thread_not_found",
        when=lambda arguments: arguments.get("thread_ts") == newest,
    )
    go_on.set()
    await here.told(LINUS, "to both")
    await here.thread_says("to both")
    assert [one.text for one in under(here, "one")] == ["to both"]
