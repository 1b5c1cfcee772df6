"""What a store tells whoever counts."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from relay.domain.approvals import Decision, Returned
from relay.domain.deliveries import Kind, State
from relay.store import Store, Transaction
from relay.use_cases.counting import OUTCOMES, outcome_of

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
BY_HAND = Returned(True, "done")


class Tally:
    """Remembers what is told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, float, dict[str, str]]] = []

    def seen(self, name: str, value: float = 1.0, /, **labels: str) -> None:
        self.told.append((name, value, labels))

    def of(self, name: str) -> list[tuple[float, dict[str, str]]]:
        return [(value, labels) for which, value, labels in self.told if which == name]


@pytest.fixture
def tally() -> Tally:
    """Whoever counts."""
    return Tally()


@pytest.fixture
async def store(store_url: str, tally: Tally) -> AsyncIterator[Store]:
    """A store that tells the tally."""
    opened = Store.open(store_url, seen=tally.seen)
    yield opened
    await opened.close()


def _counts(tx: Transaction) -> None:
    tx.seen("things", 2.0, of="a_kind")
    tx.seen("things", of="another")


def _counts_and_fails(tx: Transaction) -> None:
    tx.seen("failures")
    raise LookupError


async def test_what_a_work_counts_is_told_once_it_is_durable(store: Store, tally: Tally) -> None:
    await store.transact(_counts)
    await store.close()
    assert tally.of("things") == [(2.0, {"of": "a_kind"}), (1.0, {"of": "another"})]


async def test_what_a_work_counts_that_fails_is_never_told(store: Store, tally: Tally) -> None:
    with pytest.raises(LookupError):
        await store.transact(_counts_and_fails)
    await store.close()
    assert tally.of("failures") == []


async def test_every_commit_tells_what_it_took_and_how_many_works_it_held(store: Store, tally: Tally) -> None:
    for _ in range(3):
        await store.transact(lambda tx: tx.touch(NOW))
    await store.close()
    assert [works for works, _ in tally.of("store_commit_works")] == [1, 1, 1]
    assert all(0 < seconds < 10 for seconds, _ in tally.of("store_commit_seconds"))
    assert tally.of("store_failures") == []


async def test_what_waits_is_told_by_kind_and_what_has_left_is_not(store: Store) -> None:
    def leave(tx: Transaction) -> None:
        for number, key in enumerate("aab"):
            tx.deliveries.add(
                Kind.MESSAGE, team_id="T0", ordering_key=key, subject_id=key, now=NOW + timedelta(number)
            )
        gone = tx.deliveries.add(Kind.CARD, team_id="T0", ordering_key="c", subject_id="c", now=NOW)
        tx.deliveries.finish(gone, State.DELIVERED, NOW)

    await store.transact(leave)
    assert await store.transact(lambda tx: tx.backlog()) == [(Kind.MESSAGE, 3, 0, NOW, NOW)]
    await store.transact(lambda tx: tx.deliveries.claim(1, NOW, NOW + timedelta(1)))
    due = NOW + timedelta(2)
    assert await store.transact(lambda tx: tx.backlog()) == [(Kind.MESSAGE, 3, 1, NOW, due)]


@pytest.mark.parametrize(
    ("decision", "outcome"),
    [
        (Decision(True, "", "U1", NOW), "approved"),
        (Decision(False, "no", "U1", NOW), "denied"),
        (Decision(True, "", "U1", NOW, updated_input={}), "changed"),
        (Decision(False, "", "U1", NOW, returned=BY_HAND), "ran_it"),
        (Decision(True, "", "", NOW, rule="careful"), "by_rule"),
        (Decision(False, "", "", NOW), "no_place"),
    ],
)
def test_a_decision_is_counted_by_what_it_came_to(decision: Decision, outcome: str) -> None:
    assert outcome_of(decision) == outcome
    assert outcome in OUTCOMES


async def test_of_nothing_that_waits_there_is_nothing_to_tell(store: Store) -> None:
    assert await store.transact(lambda tx: tx.backlog()) == []
