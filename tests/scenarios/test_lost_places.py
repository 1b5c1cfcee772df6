"""A conversation, a thread or a turn that is not where relay thinks it is."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from relay.sandbox.environment import Say, Wait
from tests.world import ADA, APPROVALS, GUEST, LINUS, OPS, World, button, world


@pytest.fixture
async def by_thread(tmp_path: Path) -> AsyncIterator[World]:
    """A running relay with a conversation for each thread."""
    async with world(tmp_path) as made:
        (tmp_path / "relay.toml").write_text('[[routes]]\nconversation = "thread"\n', encoding="utf-8")
        await made.start_relay()
        yield made


async def deleted(made: World) -> str:
    """Have a thread's conversation deleted that was answered in; return the thread."""
    await made.slack.say(ADA, OPS, "@relay before")
    root = (await made.thread_says("echo: before")).thread_ts
    made.environment.device.deleted.update(made.environment.conversations_made)
    await made.environment.drop_sockets()
    assert root is not None
    return root


async def test_a_message_to_a_conversation_that_is_gone_is_said_to_have_failed(by_thread: World) -> None:
    root = await deleted(by_thread)
    await by_thread.slack.say(ADA, OPS, "and after", root)
    failed = await by_thread.thread_says("its device does not know the agent or the conversation")
    assert button(failed, "retry") is not None
    assert [one.last_line for one in by_thread.environment.received] == ["before"]


async def test_retry_makes_another_conversation_where_the_first_is_gone(by_thread: World) -> None:
    root = await deleted(by_thread)
    await by_thread.slack.say(ADA, OPS, "and after", root)
    failed = await by_thread.thread_says("its device does not know the agent or the conversation")
    await by_thread.slack.click(ADA, OPS, failed.ts, "retry")
    reply = await by_thread.thread_says("echo: and after")
    assert reply.thread_ts == root
    assert by_thread.environment.received[-1].conversation_id == by_thread.environment.conversations_made[1]


async def begun(made: World) -> None:
    """Have the agent work for #ops on something that does not end."""
    made.environment.script = lambda turn: [Wait(asyncio.Event()), Say("never said")]
    await made.slack.say(ADA, OPS, "@relay a long job")
    await made.environment.wait_for(lambda environment: environment.busy())
    await made.slack.wait_for(lambda slack: slack.statuses)


@pytest.mark.parametrize("how", ["command", "word"])
async def test_a_channel_does_not_stop_the_turn_of_another(here: World, how: str) -> None:
    await begun(here)
    if how == "command":
        await here.slack.slash(LINUS, APPROVALS, "stop")
    else:
        await here.slack.say(LINUS, APPROVALS, "<@U0RELAY> !stop".replace("<@U0RELAY>", "@relay"))
    await here.told(LINUS, f"Nothing runs here; the agent works for <#{OPS}>")
    assert here.environment.busy()


async def test_where_the_agent_works_is_not_told_to_who_may_not_send(here: World) -> None:
    await begun(here)
    await here.slack.slash(GUEST, APPROVALS, "stop")
    assert OPS not in await here.told(GUEST, "Nothing was stopped: guests cannot do that here.")


async def test_a_reply_under_a_command_counts_before_slack_has_said_where_its_root_stands(
    here: World,
) -> None:
    await replied_at_once(here)
    await here.environment.wait_for(lambda seen: [one.last_line for one in seen.received][1:] == ["and this"])


async def test_such_a_reply_continues_the_conversation_of_its_command(by_thread: World) -> None:
    await replied_at_once(by_thread)
    await by_thread.environment.wait_for(lambda seen: len(seen.received) == 2)
    first, second = by_thread.environment.received
    assert first.conversation_id == second.conversation_id


async def replied_at_once(made: World) -> None:
    """Reply under a command whose root Slack has posted, and not yet said that it has."""
    made.slack.fail("chat.postMessage", "cut", after=True)
    made.slack.fail("conversations.history", "ratelimited", status=429, retry_after=30, times=100)
    await made.slack.slash(ADA, OPS, "first this")
    await made.slack.wait_for(lambda slack: slack.channels[OPS].messages)
    root = made.slack.channels[OPS].messages[0]
    await made.environment.wait_for(lambda seen: seen.received)
    # Acknowledged while Slack still says nothing of where the root stands.
    assert all(ack.in_time for ack in await made.slack.say(LINUS, OPS, "and this", root.ts))
