"""The environment answers badly, late, or from elsewhere: what is acknowledged still arrives, once."""

from typing import Any

import pytest

from tests.world import ADA, APPROVALS, GRACE, OPS, World, button, everything

PASSING: dict[str, dict[str, Any]] = {
    "200 with HTML": {"status": 200, "body": "<html>Please sign in</html>"},
    "200 and nothing": {"status": 200, "body": ""},
    "200 that says no": {"status": 200, "body": {"message": "device busy", "success": False}},
    "404": {"status": 404},
    "408": {"status": 408},
    "409": {"status": 409, "body": {"errorCode": "CONNECTION_REPLACED"}},
    "410": {"status": 410, "body": {"error": "gone"}},
    "425": {"status": 425},
    "429": {"status": 429},
    "500": {"status": 500},
    "502 with HTML": {"status": 502, "body": "<html>Bad Gateway</html>"},
    "503": {"status": 503},
    "cut after it took effect": {"after": True},
}


def client_ids(world: World) -> list[str]:
    """The client_message_id of every message post, in order."""
    messages = [post.body["messages"][0] for post in world.environment.posts]
    return [one["client_message_id"] for one in messages if "client_message_id" in one]


def times_said(world: World, words: str, channel: str = OPS) -> int:
    """How many messages in a channel say something."""
    return sum(words in everything(one) for one in world.slack.channels[channel].messages)


def statuses(world: World) -> list[int | None]:
    """What the posts were answered with."""
    return [post.status for post in world.environment.posts]


# A message.


@pytest.mark.parametrize("trouble", PASSING)
async def test_a_message_gets_over_passing_trouble_and_is_answered_once(here: World, trouble: str) -> None:
    here.environment.fail_posts(**PASSING[trouble])
    await here.slack.slash(ADA, OPS, "hello there")
    await here.thread_says("echo: hello there")
    await here.environment.wait_for(lambda environment: len(environment.posts) == 2)
    assert len(set(client_ids(here))) == 1
    assert times_said(here, "echo: hello there") == 1
    assert len([one for one in here.environment.received if not one.duplicate]) == 1


async def test_a_message_that_took_effect_unanswered_comes_again_under_the_same_id(here: World) -> None:
    here.environment.fail_posts(after=True)
    await here.slack.slash(ADA, OPS, "hello there")
    await here.environment.wait_for(lambda environment: len(environment.received) == 2)
    assert [one.duplicate for one in here.environment.received] == [False, True]
    assert here.environment.posts[0].raw == here.environment.posts[1].raw


async def test_a_stated_wait_is_kept(here: World) -> None:
    here.environment.fail_posts(status=429, retry_after=2)
    await here.slack.slash(ADA, OPS, "hello there")
    await here.thread_says("echo: hello there")
    first, second = here.environment.posts
    assert 2.0 <= second.at - first.at < 6.0


async def test_a_refused_key_fails_the_message_and_says_what_to_look_at(here: World) -> None:
    here.environment.fail_posts(status=401, body={"detail": "Invalid API key"})
    await here.slack.slash(ADA, OPS, "hello there")
    failed = await here.thread_says("Not delivered")
    assert "LETTA_API_KEY" in everything(failed)
    assert button(failed, "retry") is not None
    assert len(here.environment.posts) == 1


async def test_a_failed_message_is_sent_by_its_retry_button_once_the_key_is_right(here: World) -> None:
    here.environment.fail_posts(status=401)
    await here.slack.slash(ADA, OPS, "hello there")
    failed = await here.thread_says("Not delivered")
    await here.slack.click(ADA, OPS, failed.ts, "retry")
    await here.thread_says("echo: hello there")
    delivered = await here.thread_says("Delivered to")
    assert delivered.ts == failed.ts
    assert button(delivered, "retry") is None
    assert len(set(client_ids(here))) == 1


@pytest.mark.parametrize("status", [400, 403, 422])
async def test_a_final_refusal_is_said_with_its_reason_and_not_tried_again(here: World, status: int) -> None:
    here.environment.fail_posts(status=status, body={"detail": "no such agent"})
    await here.slack.slash(ADA, OPS, "hello there")
    failed = await here.thread_says("Not delivered")
    assert "no such agent" in everything(failed) or "LETTA_API_KEY" in everything(failed)
    await here.slack.slash(ADA, OPS, "another")
    await here.thread_says("echo: another")
    assert statuses(here) == [status, 200]


async def test_trouble_that_stays_is_told_and_then_told_to_be_over(here: World) -> None:
    here.environment.fail_posts(times=3, status=503, body={"message": "maintenance"})
    await here.slack.slash(ADA, OPS, "hello there")
    told = await here.thread_says("Not delivered yet")
    assert "maintenance" in everything(told)
    await here.thread_says("echo: hello there")
    assert (await here.thread_says("Delivered to")).ts == told.ts


async def test_messages_of_one_conversation_stay_in_order_when_the_first_is_tried_again(here: World) -> None:
    here.environment.fail_posts(times=2, status=503)
    for word in ("first", "second", "third"):
        await here.slack.slash(ADA, OPS, word)
    await here.thread_says("echo: third")
    assert [one.last_line for one in here.environment.received] == ["first", "second", "third"]
    assert statuses(here) == [503, 503, 200, 200, 200]


async def test_a_hanging_post_keeps_slack_waiting_for_nothing(here: World) -> None:
    here.environment.fail_posts(hang=True)
    await here.slack.slash(ADA, OPS, "this hangs")
    await here.environment.wait_for(lambda environment: environment.posts)
    ack = await here.slack.slash(ADA, OPS, "and this waits behind it")
    assert ack.in_time and ack.status == 200
    assert (await here.slack.slash(ADA, OPS, "help")).in_time
    here.environment.cut_hanging_posts()
    await here.thread_says("echo: and this waits behind it")


async def test_a_hanging_post_keeps_no_other_conversation_waiting(idle: World) -> None:
    routes = [("C0OPS", "default"), ("*", "conv-2")]
    text = "".join(
        f'[[routes]]\nchannel = "{channel}"\nenvironment = "default"\nconversation = "{conversation}"\n'
        for channel, conversation in routes
    )
    (idle.folder / "relay.toml").write_text(text)
    await idle.start_relay()
    idle.environment.fail_posts(hang=True)
    await idle.slack.slash(ADA, OPS, "this hangs")
    await idle.environment.wait_for(lambda environment: environment.posts)
    await idle.slack.slash(ADA, APPROVALS, "over here")
    await idle.thread_says("echo: over here", APPROVALS)
    assert [one.conversation_id for one in idle.environment.received] == ["conv-2"]
    idle.environment.cut_hanging_posts()
    await idle.thread_says("echo: this hangs")


async def test_a_decision_does_not_wait_behind_a_hanging_message(here: World) -> None:
    await here.slack.slash(ADA, OPS, "TOOL: rm -rf build")
    card = await here.card()
    here.environment.fail_posts(hang=True, messages_only=True)
    await here.slack.slash(ADA, OPS, "this hangs")
    await here.environment.wait_for(lambda environment: len(environment.posts) == 2)
    await here.slack.click(GRACE, APPROVALS, card.ts, "approve")
    await here.card_says("Delivered.")
    assert statuses(here) == [200, None, 200]
    here.environment.cut_hanging_posts()


# A decision.


@pytest.mark.parametrize(
    ("trouble", "action"),
    [(trouble, ("approve", "deny")[number % 2]) for number, trouble in enumerate(PASSING)]
    + [("cut after it took effect", "deny")],
)
async def test_a_decision_gets_over_passing_trouble_and_takes_effect_once(
    here: World, trouble: str, action: str
) -> None:
    here.environment.fail_posts(**PASSING[trouble], approvals_only=True)
    await here.slack.slash(ADA, OPS, "TOOL: rm -rf build")
    card = await here.card()
    await here.slack.click(GRACE, APPROVALS, card.ts, action)
    await here.card_says("Delivered.")
    await here.thread_says("FINAL: tool said")
    [taken] = [one for one in here.environment.decisions if one.accepted]
    assert taken.approve == (action == "approve")
    assert len(here.environment.tool_runs) == (1 if taken.approve else 0)


async def test_a_decision_that_is_refused_says_so_on_its_card_and_is_sent_by_its_retry_button(
    here: World,
) -> None:
    here.environment.fail_posts(status=401, approvals_only=True)
    await here.slack.slash(ADA, OPS, "TOOL: rm -rf build")
    card = await here.card()
    await here.slack.click(GRACE, APPROVALS, card.ts, "approve")
    failed = await here.card_says("not delivered")
    assert "LETTA_API_KEY" in everything(failed) and f"<@{GRACE}>" in everything(failed)
    assert here.environment.tool_runs == []
    await here.slack.click(GRACE, APPROVALS, card.ts, "retry")
    await here.card_says("Delivered.")
    assert len(here.environment.tool_runs) == 1


async def test_a_decision_is_not_said_to_be_delivered_while_it_hangs(here: World) -> None:
    here.environment.fail_posts(hang=True, approvals_only=True)
    await here.slack.slash(ADA, OPS, "TOOL: rm -rf build")
    card = await here.card()
    await here.slack.click(GRACE, APPROVALS, card.ts, "approve")
    await here.environment.wait_for(lambda environment: len(environment.posts) == 2)
    await here.card_says("Delivering")
    assert here.environment.decisions == []
    here.environment.cut_hanging_posts()
    await here.card_says("Delivered.")
