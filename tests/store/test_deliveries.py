"""The outbox: in order within a key, claimed by one, lost by none."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from relay.domain.deliveries import LEASE, Delivery, Kind, Settled, State
from relay.store import Store, Transaction
from relay.store.deliveries import Deliveries
from relay.store.delivery_pages import Chosen, DeliveryPages
from relay.store.engine import sqlite_engine
from relay.store.held_back import HeldBack
from relay.store.schema import upgrade

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
LATER = NOW + timedelta(seconds=1)


@pytest.fixture
def outbox(connection: Connection) -> Deliveries:
    """The deliveries of one open transaction."""
    return Transaction(connection).deliveries


@pytest.fixture
def file_outbox(file_url: str) -> Iterator[Deliveries]:
    """The same in a file."""
    engine = sqlite_engine(Path(file_url.removeprefix("sqlite:///")))
    with engine.begin() as opened:
        upgrade(opened)
        yield Transaction(opened).deliveries
    engine.dispose()


def _add(outbox: Deliveries, key: str = "a", kind: Kind = Kind.MESSAGE, environment: str = "workshop") -> str:
    return outbox.add(
        kind, team_id="T0", ordering_key=key, subject_id=key, environment=environment, body={"n": 1}, now=NOW
    )


def _claim(outbox: Deliveries, now: datetime = NOW, most: int = 10) -> list[Delivery]:
    return outbox.claim(most, now, now + LEASE)


def _wake(outbox: Deliveries, environment: str) -> int:
    return HeldBack(outbox._connection).release(Kind.MESSAGE, environment, NOW, 10)


def _settle(outbox: Deliveries, delivery: Delivery, settled: Settled, *, uncertain: bool = False) -> bool:
    return outbox.settle(delivery, settled, NOW, uncertain=uncertain, receipt={"ok": True})


def _ids(deliveries: list[Delivery]) -> list[str]:
    return [delivery.id for delivery in deliveries]


def test_only_the_head_of_an_ordering_key_is_claimed(outbox: Deliveries) -> None:
    first, other = _add(outbox, "a"), _add(outbox, "b")
    _add(outbox, "a")
    assert sorted(_ids(_claim(outbox))) == sorted([first, other])


def test_a_claimed_delivery_is_not_claimed_again(outbox: Deliveries) -> None:
    _add(outbox)
    assert len(_claim(outbox)) == 1
    assert _claim(outbox) == []


def test_the_next_of_a_key_follows_when_the_one_before_is_delivered(outbox: Deliveries) -> None:
    _add(outbox)
    second = _add(outbox)
    _settle(outbox, _claim(outbox)[0], Settled(State.DELIVERED))
    assert _ids(_claim(outbox)) == [second]


def test_the_next_of_a_key_follows_when_the_one_before_has_failed(outbox: Deliveries) -> None:
    _add(outbox)
    second = _add(outbox)
    _settle(outbox, _claim(outbox)[0], Settled(State.FAILED, reason="no"))
    assert _ids(_claim(outbox)) == [second]


def test_nothing_overtakes_a_delivery_that_waits_for_its_next_attempt(outbox: Deliveries) -> None:
    first = _add(outbox)
    _add(outbox)
    _settle(outbox, _claim(outbox)[0], Settled(State.PENDING, LATER, "later"))
    assert _claim(outbox) == []
    assert _ids(_claim(outbox, LATER)) == [first]


def test_each_claim_counts_an_attempt(outbox: Deliveries) -> None:
    _add(outbox)
    [once] = _claim(outbox)
    _settle(outbox, once, Settled(State.PENDING, LATER, "later"))
    [twice] = _claim(outbox, LATER)
    assert (once.attempts, twice.attempts) == (1, 2)


def test_a_lost_lease_is_claimed_again_as_one_that_may_have_arrived(outbox: Deliveries) -> None:
    _add(outbox)
    _claim(outbox)
    assert _claim(outbox, NOW + LEASE - timedelta(seconds=1)) == []
    [again] = _claim(outbox, NOW + LEASE)
    assert again.uncertain


def test_a_renewed_lease_is_kept(outbox: Deliveries) -> None:
    delivery_id = _add(outbox)
    _claim(outbox)
    outbox.renew({delivery_id: 1}, NOW + 3 * LEASE)
    assert _claim(outbox, NOW + 2 * LEASE) == []


def test_a_lease_is_not_renewed_by_who_lost_it(outbox: Deliveries) -> None:
    delivery_id = _add(outbox)
    _claim(outbox)
    _claim(outbox, NOW + LEASE)
    outbox.renew({delivery_id: 1}, NOW + 9 * LEASE)
    assert _ids(_claim(outbox, NOW + 2 * LEASE)) == [delivery_id]


def test_the_end_of_an_attempt_whose_claim_was_lost_is_ignored(outbox: Deliveries) -> None:
    _add(outbox)
    [old] = _claim(outbox)
    [new] = _claim(outbox, NOW + LEASE)
    assert not _settle(outbox, old, Settled(State.FAILED, reason="old"))
    assert _settle(outbox, new, Settled(State.DELIVERED))


def test_what_is_settled_keeps_its_receipt(outbox: Deliveries) -> None:
    delivery_id = _add(outbox)
    _settle(outbox, _claim(outbox)[0], Settled(State.DELIVERED))
    found = outbox.get(delivery_id)
    assert found is not None
    assert (found.state, found.receipt) == (State.DELIVERED, {"ok": True})


def test_what_it_carries_is_kept_whatever_it_is(outbox: Deliveries) -> None:
    body: dict[str, Any] = {
        "numbers": [1.5, 2**70, float("inf")],
        "words": 'für "alle"\\\n\0',
        "none": None,
        "empty": {},
    }
    which = outbox.add(
        Kind.CARD, team_id="T0", ordering_key="a", subject_id="a", environment="", body=body, now=NOW
    )
    found = outbox.get(which)
    assert found is not None
    assert found.body == body


def test_a_reopened_delivery_goes_out_again(outbox: Deliveries) -> None:
    delivery_id = _add(outbox)
    _settle(outbox, _claim(outbox)[0], Settled(State.FAILED, reason="no"))
    assert outbox.reopen(delivery_id, NOW, None)
    assert not outbox.reopen(delivery_id, NOW, None)
    assert _ids(_claim(outbox)) == [delivery_id]


def test_a_reopened_delivery_stands_before_those_that_came_after_it(outbox: Deliveries) -> None:
    first = _add(outbox)
    second = _add(outbox)
    _settle(outbox, _claim(outbox)[0], Settled(State.FAILED, reason="no"))
    outbox.reopen(first, NOW, None)
    assert _ids(_claim(outbox)) == [first]
    assert outbox.get(second) is not None
    assert _claim(outbox) == []


def test_a_reopened_delivery_waits_for_the_one_of_its_key_that_is_under_way(outbox: Deliveries) -> None:
    first = _add(outbox)
    _add(outbox)
    _settle(outbox, _claim(outbox)[0], Settled(State.FAILED, reason="no"))
    [under_way] = _claim(outbox)
    outbox.reopen(first, NOW, None)
    assert _claim(outbox) == []
    _settle(outbox, under_way, Settled(State.DELIVERED))
    assert _ids(_claim(outbox)) == [first]


def test_a_finished_delivery_lets_the_next_of_its_key_follow(outbox: Deliveries) -> None:
    first = _add(outbox)
    second = _add(outbox)
    outbox.finish(first, State.FAILED, NOW, "over")
    assert _ids(_claim(outbox)) == [second]


def test_changes_of_one_card_that_wait_are_sent_as_one(outbox: Deliveries) -> None:
    for _ in range(3):
        outbox.add_once(Kind.CARD, team_id="T0", ordering_key="copy/1", subject_id="1", now=NOW)
    assert len(_claim(outbox)) == 1
    outbox.add_once(Kind.CARD, team_id="T0", ordering_key="copy/1", subject_id="1", now=NOW)
    assert len(outbox.of_subject("1", Kind.CARD)) == 2


def test_what_waits_for_another_reason_is_not_tried_sooner_for_an_environment_that_is_back(
    outbox: Deliveries,
) -> None:
    _add(outbox)
    _settle(outbox, _claim(outbox)[0], Settled(State.PENDING, NOW + timedelta(hours=1), "rate limited"))
    _wake(outbox, "workshop")
    assert _claim(outbox) == []


def test_an_environment_that_is_back_is_tried_at_once(outbox: Deliveries) -> None:
    delivery_id = _add(outbox)
    _settle(outbox, _claim(outbox)[0], Settled(State.PENDING, NOW + timedelta(hours=1), "away", away=True))
    _wake(outbox, "another")
    assert _claim(outbox) == []
    _wake(outbox, "workshop")
    assert _ids(_claim(outbox)) == [delivery_id]


def test_the_next_due_time_is_that_of_the_earliest(outbox: Deliveries) -> None:
    assert outbox.next_due() is None
    _add(outbox)
    _settle(outbox, _claim(outbox)[0], Settled(State.PENDING, LATER, "later"))
    assert outbox.next_due() == LATER


def test_a_listing_comes_in_pages_newest_first(outbox: Deliveries) -> None:
    ids = [_add(outbox, str(number)) for number in range(5)]
    pages = DeliveryPages(outbox._connection)
    first = pages.before(pages.end(), Chosen(), 3)
    assert first.next is not None
    rest = pages.before(first.next, Chosen(), 3)
    assert _ids(first.deliveries) + _ids(rest.deliveries) == ids[::-1]
    assert rest.next is None
    assert pages.before(pages.end(), Chosen(states=("failed",)), 3).deliveries == []


def test_a_claim_reads_no_row_that_waits_behind_another(file_outbox: Deliveries) -> None:
    outbox = file_outbox
    for _ in range(3):
        _add(outbox)
    plan = outbox._connection.exec_driver_sql(
        "EXPLAIN QUERY PLAN SELECT id FROM deliveries"
        " WHERE next_attempt_at <= 1 ORDER BY next_attempt_at LIMIT 5"
    ).all()
    due = outbox._connection.exec_driver_sql(
        "SELECT count(*) FROM deliveries WHERE next_attempt_at IS NOT NULL"
    ).scalar()
    assert [row[3] for row in plan] == ["SEARCH deliveries USING INDEX deliveries_due (next_attempt_at<?)"]
    assert due == 1


async def test_the_claims_of_a_killed_process_are_free_at_the_next_start(file_url: str) -> None:
    [again] = await _claims_of_two(file_url, NOW)
    assert again.uncertain


async def test_the_claims_of_another_relay_stay_its_own_until_their_lease_is_over(database_url: str) -> None:
    assert await _claims_of_two(database_url, NOW + LEASE - timedelta(seconds=1)) == []
    store = Store.open(database_url)
    [again] = await store.transact(lambda tx: _claim(tx.deliveries, NOW + LEASE))
    await store.close()
    assert again.uncertain


async def _claims_of_two(url: str, now: datetime) -> list[Delivery]:
    """Return what a second opening of a store claims, when the first claimed one and ended."""
    first = Store.open(url)
    await first.transact(lambda tx: _add(tx.deliveries))
    assert len(await first.transact(lambda tx: _claim(tx.deliveries))) == 1
    await first.close()
    second = Store.open(url)
    claimed = await second.transact(lambda tx: _claim(tx.deliveries, now))
    await second.close()
    return claimed
