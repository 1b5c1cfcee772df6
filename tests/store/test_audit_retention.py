"""Retention: what is too old is removed, and what is left of the record still verifies."""

from datetime import timedelta

import pytest

from relay.store import Transaction
from tests.store.beside import rows
from tests.store.records import (
    NOW,
    anchors_of,
    by_hand,
    one_entry,
    opened,
    prune,
    run,
    verified,
    write,
    wrong,
)

DAY = timedelta(days=1)
LATER = NOW + 400 * DAY
OLD = "(team_id, at, action, actor, subject_id, facts) VALUES ('T0', 0, 'old', 'U1', '', '{}')"


async def test_what_is_too_old_is_removed_and_the_rest_verifies_behind_a_base(store_url: str) -> None:
    await run(store_url, 4)
    await run(store_url, 2, LATER)
    anchors = await anchors_of(store_url)
    [done] = await prune(store_url, NOW + timedelta(seconds=2), LATER)
    found = await verified(store_url, anchors)
    assert (done.entries, found.problems) == (3, [])
    first, second = found.chains.values()
    assert (first.pruned_to, first.pruned_at, first.entries) == (3, LATER, 3)
    assert (second.pruned_to, second.entries) == (0, 4)


async def test_a_chain_pruned_again_and_at_last_as_a_whole_keeps_one_base(store_url: str) -> None:
    await run(store_url, 4)
    await run(store_url, 2, LATER)
    anchors = await anchors_of(store_url)
    for seconds in (1, 3, 100):
        await prune(store_url, NOW + timedelta(seconds=seconds), LATER)
        assert await wrong(store_url, anchors) == []
    assert rows(store_url, "SELECT action, number FROM audit ORDER BY seq LIMIT 2") == [
        ("audit.pruned", 6),
        ("audit.chain_opened", 1),
    ]


async def test_the_chain_that_is_being_written_is_pruned_and_goes_on(store_url: str) -> None:
    store = opened(store_url)
    await write(store, 3)
    await store.close()
    await prune(store_url, NOW + DAY, LATER)
    await run(store_url, 1, LATER)
    assert await wrong(store_url) == []


async def test_much_is_removed_in_batches(store_url: str) -> None:
    store = opened(store_url)

    def many(tx: Transaction) -> None:
        for number in range(250):
            one_entry(tx, number)

    await store.transact(many)
    await store.close()
    done = await prune(store_url, NOW + DAY, LATER)
    assert [one.entries for one in done] == [100, 100, 51]
    assert await wrong(store_url) == []


async def test_entries_from_before_chains_are_removed_by_their_age_too(store_url: str) -> None:
    await opened(store_url).close()
    by_hand(store_url, f"INSERT INTO audit {OLD}")
    await run(store_url, 1, LATER)
    await prune(store_url, NOW, LATER)
    found = await verified(store_url)
    assert (found.problems, found.before_chains) == ([], 0)


async def test_nothing_is_removed_from_what_was_changed_by_hand(store_url: str) -> None:
    """Or an edit of the times would have the relay itself remove what happened, and sign that."""
    await run(store_url, 4, LATER)
    by_hand(store_url, "UPDATE audit SET at = 0 WHERE number < 4")
    [done] = await prune(store_url, NOW, LATER)
    assert done.entries == 0
    assert [one.wrong.value for one in done.problems] == ["edited"]
    assert await wrong(store_url) == [("edited", 1, 3)]


BASES = {
    "its place": ("number = 4", ("edited", 4, 4)),
    "what it goes on from": ('facts = replace(facts, \'"mac":"\', \'"mac":"0\')', ("edited", 3, 4)),
    "its time": ("at = 5", ("edited", 3, 3)),
}


@pytest.mark.parametrize(("change", "found"), BASES.values(), ids=BASES)
async def test_a_base_that_was_edited_is_found(
    store_url: str, change: str, found: tuple[str, int, int]
) -> None:
    await run(store_url, 4)
    await prune(store_url, NOW + timedelta(seconds=2), LATER)
    by_hand(store_url, f"UPDATE audit SET {change} WHERE action = 'audit.pruned'")  # noqa: S608
    assert found in await wrong(store_url)
