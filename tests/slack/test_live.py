"""What is shown while a turn runs: how much of it, and what is left behind."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import structlog
from slack_sdk.web.async_client import AsyncWebClient

from relay.domain.presence import Glimpse
from relay.domain.runtime import Runtime
from relay.sandbox.slack import FakeSlack
from relay.slack import posts
from relay.slack.budget import Budget, Closed
from relay.slack.live import Live
from relay.slack.live_calls import LiveCalls
from relay.slack.live_turn import Pace
from relay.store import Store
from relay.store.live_posts import WORKING, LivePost
from relay.store.messages import Message

OPS = "C0OPS"
HERE = Runtime("default", "a", "c")
NOW = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    """An empty store."""
    opened = Store.open(f"sqlite:///{tmp_path}/relay.db")
    yield opened
    await opened.close()


@pytest.fixture
async def slack() -> AsyncIterator[FakeSlack]:
    """A stand-in for Slack."""
    async with FakeSlack() as running:
        yield running


def live_of(
    slack: FakeSlack,
    store: Store,
    pace: Pace = Pace(),  # noqa: B008 - frozen
    elsewhere: frozenset[str] = frozenset(),
) -> Live:
    client = AsyncWebClient(token=slack.bot_token, base_url=slack.api_url)
    log = structlog.get_logger()
    calls = LiveCalls(client, log)
    return Live(lambda _: calls, store, lambda: NOW, log, pace, lambda: elsewhere)


async def left(slack: FakeSlack, store: Store, key: str, age: timedelta) -> str:
    """Leave a message behind that an earlier run has begun; return its ts."""
    root = slack.workspace.post(slack.channels[OPS], "U0RELAY", "root", [])
    begun = slack.workspace.post(
        slack.channels[OPS], "U0RELAY", "Once", [], thread_ts=root.ts, streaming=key != WORKING
    )
    post = LivePost("msg_1", key, slack.team_id, OPS, root.ts, begun.ts, NOW - age)
    assert await store.transact(lambda tx: tx.live_posts.begin(post))
    return begun.ts


async def test_words_that_no_reply_finishes_are_taken_away(slack: FakeSlack, store: Store) -> None:
    ts = await left(slack, store, "reply/m1", timedelta(minutes=5))
    await live_of(slack, store).sweep()
    assert slack.channels[OPS].message(ts) is None
    assert await store.transact(lambda tx: tx.live_posts.get("msg_1", "reply/m1")) is None


async def test_words_begun_a_moment_ago_are_left_for_their_reply(slack: FakeSlack, store: Store) -> None:
    ts = await left(slack, store, "reply/m1", timedelta(seconds=5))
    await live_of(slack, store).sweep()
    assert slack.channels[OPS].message(ts) is not None


async def test_a_reply_that_is_on_its_way_already_begins_no_stream(store: Store) -> None:
    post = LivePost("msg_1", "reply/m1", "T0HOME", OPS, "1.0", None, NOW)
    await store.transact(lambda tx: tx.first_time("T0HOME", "reply/m1/msg_1", NOW))
    assert not await store.transact(lambda tx: tx.live_posts.begin(post))


async def asked(slack: FakeSlack, store: Store, place: str = "thread", which: str = "msg_1") -> Glimpse:
    """Store a message with a thread and return how its turn looks while it runs."""
    root = slack.workspace.post(slack.channels[OPS], "U0RELAY", "root", [])
    message = Message(
        id=which, team_id=slack.team_id, environment="default", agent_id="a", conversation_id="c",
        channel_id=OPS, user_id="U0REQUESTER", text="work", response_url=None, place=place,
        thread_ts=root.ts, state="delivered", note="", status_ts=None, created_at=NOW, settled_at=NOW,
        turn_ended=False,
    )  # fmt: skip
    await store.transact(lambda tx: tx.messages.add(message))
    return Glimpse(running=True, message_ids=(which,))


async def test_a_status_is_renewed_before_slack_takes_it_away(slack: FakeSlack, store: Store) -> None:
    live = live_of(slack, store, Pace(begin_after=0.01, every=0.01, renew_after=0.05))
    live.show(HERE, await asked(slack, store))
    await slack.wait_for(lambda _: len([one for one in slack.calls if "setStatus" in one.method]) >= 3)
    live.show(HERE, Glimpse())
    await slack.wait_for(lambda _: not slack.statuses)
    await live.finish()


async def test_a_card_comes_although_a_message_takes_the_status_away_at_that_moment(
    slack: FakeSlack, store: Store
) -> None:
    live = live_of(slack, store, Pace(begin_after=0.01, every=0.01))
    with structlog.testing.capture_logs() as logged:
        live.show(HERE, await asked(slack, store))
        await slack.wait_for(lambda _: slack.statuses)
        quieting = asyncio.create_task(live.quiet(HERE))
        await slack.wait_for(lambda _: not slack.statuses)
        live.posted(OPS, slack.channels[OPS].messages[0].ts)
        await quieting
    assert [one["event"] for one in logged] == []
    live.show(HERE, Glimpse())
    await live.finish()


async def test_where_answers_are_private_nothing_is_shown(slack: FakeSlack, store: Store) -> None:
    live = live_of(slack, store, Pace(begin_after=0.01, every=0.01, renew_after=0.02))
    live.show(Runtime("default", "a", "private"), await asked(slack, store, "private", "msg_2"))
    live.show(HERE, await asked(slack, store))
    await slack.wait_for(lambda _: len([one for one in slack.calls if "setStatus" in one.method]) >= 3)
    assert {str(one.arguments.get("thread_ts")) for one in slack.calls} == {
        slack.channels[OPS].messages[1].ts
    }
    await live.finish()


async def test_a_turn_of_which_nothing_more_is_heard_is_shown_no_more(slack: FakeSlack, store: Store) -> None:
    live = live_of(slack, store, Pace(begin_after=0.01, every=0.01, renew_after=0.02, forgotten_after=0.1))
    live.show(HERE, await asked(slack, store))
    await slack.wait_for(lambda _: slack.statuses)
    await slack.wait_for(lambda _: not slack.statuses)
    await live.finish()


@pytest.mark.parametrize("key", ["reply/m1", WORKING])
async def test_what_another_relay_shows_is_not_taken_away(slack: FakeSlack, store: Store, key: str) -> None:
    await asked(slack, store)
    ts = await left(slack, store, key, timedelta(minutes=5))
    other = live_of(slack, store, elsewhere=frozenset({"default"}))
    starting = asyncio.create_task(other.run())
    await other.sweep()
    starting.cancel()
    await asyncio.wait([starting])
    assert slack.channels[OPS].message(ts) is not None
    await live_of(slack, store, elsewhere=frozenset({"another"})).sweep()
    assert slack.channels[OPS].message(ts) is None


async def test_a_turn_that_is_left_to_another_relay_is_shown_no_more_and_nothing_taken_away(
    slack: FakeSlack, store: Store
) -> None:
    live = live_of(slack, store, Pace(begin_after=0.01, every=0.01, renew_after=0.02))
    live.show(HERE, await asked(slack, store))
    await slack.wait_for(lambda _: slack.statuses)
    live.leave({"another"})
    assert live.message_ids(HERE) == ("msg_1",)
    live.leave({"default"})
    await live.finish()
    assert live.message_ids(HERE) == ()
    assert slack.statuses


def test_a_budget_is_spent_and_comes_back() -> None:
    now = [0.0]
    budget = Budget(60, 2, lambda: now[0])
    assert [budget.take() for _ in range(3)] == [True, True, False]
    now[0] = 1.0
    assert [budget.take() for _ in range(2)] == [True, False]


def test_nothing_is_spent_while_slack_wants_a_rest() -> None:
    now = [0.0]
    budget = Budget(60, 2, lambda: now[0])
    budget.rest(30)
    assert not budget.take()
    now[0] = 30.0
    assert budget.take()


def test_a_channel_that_refused_is_asked_again_after_a_while() -> None:
    now = [0.0]
    closed = Closed(60, lambda: now[0])
    closed.add(OPS)
    assert OPS in closed
    now[0] = 61.0
    assert OPS not in closed


@pytest.mark.parametrize("text", ["Look: <!channel> and <@U0MEMBER> <!subteam^S1> a < b", "\n\n <#C0OPS> x "])
def test_words_so_far_are_always_how_the_whole_reply_begins(text: str) -> None:
    whole = posts.reply(text.strip("\n")).blocks[0]["text"]
    for length in range(len(text) + 1):
        begun = posts.so_far(text[:length])
        assert whole.startswith(begun)
        assert "<!channel" not in begun
    assert len(posts.so_far("&" * 20_000)) <= posts.REPLY_LIMIT
