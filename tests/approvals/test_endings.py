"""What is said under a message whose turn ended otherwise than with words: the reason, and no second one."""

from collections.abc import Iterator
from datetime import datetime
from functools import partial

import pytest

from relay.domain.deliveries import Delivered, Delivery, Kind
from relay.store import Transaction
from relay.use_cases.forward_user_message import Said, forward_user_message
from relay.use_cases.post_reply import post_ending, post_turn_error
from relay.use_cases.settle_delivery import claim_deliveries, settle_delivery
from tests.approvals.desk import ADA, HOME, RIGHTS, RUNTIME, Desk


@pytest.fixture
def desk(store_url: str) -> Iterator[Desk]:
    made = Desk(store_url)
    yield made
    made.close()


@pytest.fixture
def message_id(desk: Desk) -> str:
    said = Said(HOME, "C0OPS", "ops", ADA, "deploy", "key", None, posted=True, thread_ts="1.0")
    sent = desk.transact(
        lambda tx: forward_user_message(tx, said, RUNTIME, RIGHTS, quote=False, now=desk.now)
    )
    return str(sent.message_id)


def fail(desk: Desk, message_id: str) -> None:
    desk.transact(
        lambda tx: post_turn_error(tx, (message_id,), "turn-failed/run-1", "no model", now=desk.now)
    )


def end(desk: Desk, message_id: str, ending: str) -> None:
    desk.transact(lambda tx: post_ending(tx, (message_id,), ending, now=desk.now))


def said(desk: Desk) -> list[str]:
    """Return what is said in the thread, in its order, as long as something comes."""
    found = []
    while claimed := desk.transact(lambda tx: claim_deliveries(tx, 10, desk.now)):
        found += [one.body.get("ending") or one.body["error"] for one in claimed if one.kind is Kind.REPLY]
        desk.transact(partial(settle_all, claimed, desk.now))
    return found


def settle_all(claimed: list[Delivery], now: datetime, tx: Transaction) -> None:
    for one in claimed:
        settle_delivery(tx, one, Delivered({}), now, 0.5)


@pytest.mark.parametrize("ending", ["unheard", "unseen", "wordless"])
def test_a_failure_that_was_told_is_told_by_no_second_sentence(
    desk: Desk, message_id: str, ending: str
) -> None:
    fail(desk, message_id)
    end(desk, message_id, ending)
    assert said(desk) == ["no model"]


def test_who_stopped_a_turn_is_told_so_beside_its_failure(desk: Desk, message_id: str) -> None:
    fail(desk, message_id)
    end(desk, message_id, "stopped")
    assert said(desk) == ["no model", "stopped"]


def test_a_failure_that_is_told_late_is_told(desk: Desk, message_id: str) -> None:
    end(desk, message_id, "unheard")
    fail(desk, message_id)
    end(desk, message_id, "wordless")
    assert said(desk) == ["unheard", "no model"]
