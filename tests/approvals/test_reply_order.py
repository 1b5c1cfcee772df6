"""What is said in one thread of Slack leaves in its order, whichever message of the thread it answers."""

from collections.abc import Iterator
from datetime import timedelta

import pytest

from relay.domain.deliveries import Delivery, Kind, Retry
from relay.use_cases.forward_user_message import Said, forward_user_message
from relay.use_cases.post_reply import post_reply
from relay.use_cases.settle_delivery import claim_deliveries, settle_delivery
from tests.approvals.desk import ADA, HOME, RIGHTS, RUNTIME, Desk


@pytest.fixture
def desk(store_url: str) -> Iterator[Desk]:
    made = Desk(store_url)
    yield made
    made.close()


def say(desk: Desk, words: str, thread_ts: str) -> str:
    """Post to the agent in a thread; return the message's id."""
    said = Said(HOME, "C0OPS", "ops", ADA, words, words, None, posted=True, thread_ts=thread_ts)
    forwarded = desk.transact(
        lambda tx: forward_user_message(tx, said, RUNTIME, RIGHTS, quote=False, now=desk.now)
    )
    assert forwarded.message_id is not None
    return forwarded.message_id


def answer(desk: Desk, message_id: str, words: str) -> None:
    desk.transact(
        lambda tx: post_reply(tx, (message_id,), f"reply/{words}", words, part_limit=1000, now=desk.now)
    )


def replies(desk: Desk) -> list[Delivery]:
    """Claim what is due and return the replies among it."""
    claimed = desk.transact(lambda tx: claim_deliveries(tx, 10, desk.now))
    return [one for one in claimed if one.kind is Kind.REPLY]


def test_a_later_answer_in_a_thread_does_not_overtake_one_that_waits(desk: Desk) -> None:
    first, second = say(desk, "one", "1.0"), say(desk, "two", "1.0")
    answer(desk, first, "first answer")
    [waiting] = replies(desk)
    later = Retry("ratelimited", after=30)
    desk.transact(lambda tx: settle_delivery(tx, waiting, later, desk.now, 0.5))
    answer(desk, second, "second answer")
    assert replies(desk) == []
    desk.now += timedelta(seconds=60)
    assert [one.body["text"] for one in replies(desk)] == ["first answer"]


def test_answers_in_two_threads_do_not_wait_for_each_other(desk: Desk) -> None:
    first, second = say(desk, "one", "1.0"), say(desk, "two", "2.0")
    answer(desk, first, "first answer")
    answer(desk, second, "second answer")
    assert len(replies(desk)) == 2
