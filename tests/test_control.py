"""The operator's questions, put to a store that no relay holds."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from relay.control import Answer, ControlError, answer
from relay.domain.deliveries import Kind, Settled, State
from relay.store import Store, Transaction

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    """An open store."""
    opened = Store.open(f"sqlite:///{tmp_path}/relay.db")
    yield opened
    await opened.close()


async def _added(store: Store, count: int) -> list[str]:
    """Add deliveries and return their ids, newest first."""

    def add(tx: Transaction) -> list[str]:
        return [
            tx.deliveries.add(
                Kind.MESSAGE,
                team_id="T0",
                ordering_key=str(number),
                subject_id="",
                environment="workshop",
                now=NOW,
            )
            for number in range(count)
        ]

    return (await store.transact(add))[::-1]


async def _fail(store: Store, reason: str) -> None:
    """Claim one delivery and settle it as failed."""

    def fail(tx: Transaction) -> None:
        [claimed] = tx.deliveries.claim(1, NOW, NOW + timedelta(seconds=10))
        tx.deliveries.settle(claimed, Settled(State.FAILED, reason=reason), NOW, uncertain=False, receipt={})

    await store.transact(fail)


async def _list(store: Store, **facts: str) -> Answer:
    return await answer(store, "deliveries.list", facts)


def _ids(found: Answer) -> list[Any]:
    return [delivery["id"] for delivery in found["deliveries"]]


async def test_fifty_are_listed_newest_first_unless_another_number_is_asked(store: Store) -> None:
    ids = await _added(store, 60)
    assert _ids(await _list(store)) == ids[:50]
    assert _ids(await _list(store, limit="3")) == ids[:3]
    assert _ids(await _list(store, limit="1000")) == ids


@pytest.mark.parametrize(("limit", "more"), [("1", 4), ("4", 1), ("5", 0), ("6", 0)])
async def test_it_says_how_many_more_there_are(store: Store, limit: str, more: int) -> None:
    await _added(store, 5)
    found = await _list(store, limit=limit)
    assert (found["more"], found["more_is_exact"]) == (more, True)


async def test_what_is_not_listed_is_counted_to_a_thousand(store: Store) -> None:
    await _added(store, 1_012)
    exact, beyond = await _list(store, limit="12"), await _list(store, limit="11")
    assert (exact["more"], exact["more_is_exact"]) == (1_000, True)
    assert (beyond["more"], beyond["more_is_exact"]) == (1_000, False)


async def test_the_pages_that_follow_one_another_have_each_delivery_once(store: Store) -> None:
    ids = await _added(store, 5)
    seen: list[Any] = []
    after = ""
    for _ in range(3):
        found = await _list(store, limit="2", after=after)
        seen, after = [*seen, *_ids(found)], found["after"]
    assert seen == ids
    assert after == ""


async def test_a_state_is_counted_for_itself(store: Store) -> None:
    await _added(store, 5)
    for _ in range(2):
        await _fail(store, "no")
    found = await _list(store, state="failed", limit="1")
    assert (len(found["deliveries"]), found["more"]) == (1, 1)


async def test_a_page_after_a_delivery_that_is_not_there_is_refused(store: Store) -> None:
    with pytest.raises(ControlError, match="there is no delivery 'dlv_nowhere'"):
        await _list(store, after="dlv_nowhere")


async def test_a_row_says_when_it_was_made_where_it_goes_when_it_is_tried_and_what_failed(
    store: Store,
) -> None:
    await _added(store, 1)
    [waiting] = (await _list(store))["deliveries"]
    assert (waiting["environment"], waiting["created_at"]) == ("workshop", "2026-11-21T12:00:00.000+00:00")
    assert waiting["next_attempt_at"] == "2026-11-21T12:00:00.000+00:00"
    await _fail(store, "refused with 422")
    [failed] = (await _list(store))["deliveries"]
    assert (failed["next_attempt_at"], failed["attempts"]) == (None, 1)
    assert failed["last_error"] == "refused with 422"
