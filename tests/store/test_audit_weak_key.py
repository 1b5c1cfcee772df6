"""Who has the file has the store's own key: it stands for nothing that another key protects."""

import asyncio
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from relay.app.auditing import Auditing
from relay.domain.audit import ACCEPTED, PRUNED, Anchor, Keys, derived_key, key_id, signed_text
from relay.domain.canonical import canonical_json
from relay.store import Store, Transaction
from relay.use_cases.keep_audit import NotAcceptedError, accept_chain
from tests.store.beside import rows
from tests.store.records import KEY, NOW, by_hand, chains, opened, prune, run, verified, wrong

LATER = NOW.replace(year=2028)


async def base_by_the_file_key(url: str, chain: str, chain_key: str) -> None:
    """Replace a chain's first three entries by a base, with nothing but what stands in the file."""
    store = opened(url)
    weak = Keys((derived_key(store.key),))
    await store.close()
    [[mac]] = rows(url, f"SELECT mac FROM audit WHERE chain = '{chain}' AND number = 3")  # noqa: S608
    facts = {"key": weak.id, "chain_key": chain_key or weak.id, "mac": mac}
    text = signed_text(Anchor(chain, 3, ""), NOW, "", (PRUNED, "", ""), canonical_json(facts))
    by_hand(
        url,
        f"DELETE FROM audit WHERE chain = '{chain}' AND number < 3",  # noqa: S608
        f"UPDATE audit SET action = '{PRUNED}', at = {int(NOW.timestamp()) * 10**6}, team_id = '', "  # noqa: S608
        f"actor = '', subject_id = '', facts = '{json.dumps(facts)}', mac = '{weak.sign('', text)}' "
        f"WHERE chain = '{chain}' AND number = 3",
    )


async def test_a_base_signed_by_the_key_in_the_file_does_not_stand_for_what_the_owners_key_signed(
    store_url: str,
) -> None:
    await run(store_url, 5)
    await base_by_the_file_key(store_url, chains(store_url)[0], key_id(KEY))
    assert await wrong(store_url) == [("weak_base", 3, 3)]
    [done] = await prune(store_url, LATER, LATER)
    assert done.entries == 0


async def test_a_whole_chain_behind_a_base_that_claims_the_key_in_the_file_is_found(store_url: str) -> None:
    await run(store_url, 1)
    await run(store_url, 1)
    await base_by_the_file_key(store_url, chains(store_url)[0], "")
    assert await wrong(store_url) == [("weak_base", 3, 3)]


async def test_a_chain_of_the_stores_own_key_behind_a_stronger_one_is_told(store_url: str) -> None:
    await run(store_url, 1)
    await run(store_url, 1, keys=())
    await run(store_url, 1)
    [problem] = (await verified(store_url)).problems
    assert problem.wrong.value == "weak_key"
    assert "give it to every relay and every command" in str(problem)


async def test_it_is_pruned_all_the_same_and_still_told_then(store_url: str) -> None:
    await run(store_url, 1)
    await run(store_url, 1, keys=())
    await run(store_url, 1, LATER)
    [done] = await prune(store_url, NOW.replace(year=2027), LATER)
    assert done.entries == 6
    assert [kind for kind, *_ in await wrong(store_url)] == ["weak_key"]


async def test_chains_from_before_the_owner_had_a_key_are_good_pruned_or_not(store_url: str) -> None:
    await run(store_url, 2, keys=())
    await prune(store_url, NOW.replace(year=2027), LATER, keys=())
    await run(store_url, 2, LATER, keys=())
    await run(store_url, 2, LATER)
    assert await wrong(store_url) == []


async def test_a_base_is_wrong_where_nothing_was_ever_to_be_removed(store_url: str) -> None:
    await run(store_url, 3)
    assert (await verified(store_url, never_pruned=True)).problems == []
    await prune(store_url, NOW.replace(second=2), LATER)
    assert await wrong(store_url) == []
    found = await verified(store_url, never_pruned=True)
    assert [one.wrong.value for one in found.problems] == ["pruned"]


async def accept(url: str, chain: str, keys: tuple[bytes, ...] = (KEY,)) -> Anchor:
    """Accept a chain in an opening of the store of its own."""
    store = Store.open(url, audit_keys=keys)
    try:
        return await store.transact(lambda tx: accept_chain(tx, chain, NOW))
    finally:
        await store.close()


async def test_what_a_relay_wrote_without_the_key_is_good_once_the_owner_stands_for_it(
    store_url: str,
) -> None:
    await run(store_url, 1)
    await run(store_url, 2, keys=())
    weak = chains(store_url)[1]
    assert [kind for kind, *_ in await wrong(store_url)] == ["weak_key"]
    assert (await accept(store_url, weak)).chain == weak
    found = await verified(store_url)
    assert (found.problems, found.accepted) == ([], {weak})


async def test_it_is_still_good_when_the_owners_word_for_it_is_removed_for_its_age(store_url: str) -> None:
    await run(store_url, 1)
    await run(store_url, 2, keys=())
    await accept(store_url, chains(store_url)[1])
    await run(store_url, 1, LATER)
    [done] = await prune(store_url, NOW.replace(year=2027), LATER)
    assert done.entries > 6
    assert await wrong(store_url) == []
    [again] = await prune(store_url, LATER.replace(year=2029), LATER.replace(year=2029))
    assert again.entries > 0
    assert await wrong(store_url) == []


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit SET actor = 'U0OTHER' WHERE chain = '{chain}' AND number = 2",
        "DELETE FROM audit WHERE chain = '{chain}' AND number > 1",
        "DELETE FROM audit WHERE chain = '{chain}'",
    ],
)
async def test_what_was_accepted_must_stay_as_it_was(store_url: str, statement: str) -> None:
    await run(store_url, 1)
    await run(store_url, 2, keys=())
    weak = chains(store_url)[1]
    await accept(store_url, weak)
    by_hand(store_url, statement.format(chain=weak))
    assert await wrong(store_url) != []


async def test_the_stores_own_key_stands_for_no_chain_and_the_owners_for_no_unknown_one(
    store_url: str,
) -> None:
    await run(store_url, 1)
    await run(store_url, 1, keys=())
    strong, weak = chains(store_url)
    for chain, keys, why in ((weak, (), "only RELAY_AUDIT_KEY"), (strong, (KEY,), "nothing to accept")):
        with pytest.raises(NotAcceptedError, match=why):
            await accept(store_url, chain, keys)
    with pytest.raises(NotAcceptedError, match="there is no chain"):
        await accept(store_url, "chn_nowhere")


async def test_an_acceptance_that_the_file_s_key_signed_counts_for_nothing(store_url: str) -> None:
    await run(store_url, 1)
    await run(store_url, 1, keys=())
    weak = chains(store_url)[1]
    store = opened(store_url, keys=())
    end = await store.transact(lambda tx: tx.audit.end_of(weak))
    assert end is not None
    await store.transact(lambda tx: tx.record("", NOW, ACCEPTED, subject=weak, facts=end[0].written()))
    await store.close()
    assert {kind for kind, *_ in await wrong(store_url)} == {"weak_key"}


DAMAGES = {
    "an opening without facts": "action = 'audit.chain_opened', facts = '{}'",
    "an opening that goes on from nonsense": """action = 'audit.chain_opened', facts = '{"after":7}'""",
    "a time behind all times": "at = 9223372036854775807",
    "facts without an end": f"facts = '{50_000 * '['}'",
    "an acceptance without facts": "action = 'audit.chain_accepted', facts = '{}'",
    "a base without facts": "action = 'audit.pruned', facts = '{}'",
}
# What SQLite puts into a column whatever its type.
ODDITIES = {
    "a number that is a word": "number = 'three'",
    "a time that is a word": "at = 'noon'",
    "text that is no text": "actor = CAST(x'ff' AS TEXT)",
    "a signature that is a number": "mac = x'00ff'",
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
@pytest.mark.parametrize("number", [1, 3, 7])
async def test_one_damaged_entry_is_told_and_keeps_none_from_being_read(
    store_url: str, damage: str, number: int
) -> None:
    await run(store_url, 5)
    by_hand(store_url, f"UPDATE audit SET {damage} WHERE number = {number}")  # noqa: S608
    assert await wrong(store_url) != []


@pytest.mark.parametrize("damage", ODDITIES.values(), ids=ODDITIES)
@pytest.mark.parametrize("number", [1, 3, 7])
async def test_the_same_of_what_a_file_takes_besides(file_url: str, damage: str, number: int) -> None:
    await run(file_url, 5)
    by_hand(file_url, f"UPDATE audit SET {damage} WHERE number = {number}")  # noqa: S608
    assert await wrong(file_url) != []


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
async def test_nothing_is_removed_together_with_a_damaged_entry(store_url: str, damage: str) -> None:
    await run(store_url, 5)
    by_hand(store_url, f"UPDATE audit SET {damage} WHERE number = 3")  # noqa: S608
    [done] = await prune(store_url, LATER, LATER)
    assert (done.entries, done.problems != ()) == (0, True)


@pytest.mark.parametrize("damage", ODDITIES.values(), ids=ODDITIES)
async def test_nothing_is_removed_together_with_what_a_file_takes_besides(file_url: str, damage: str) -> None:
    await run(file_url, 5)
    by_hand(file_url, f"UPDATE audit SET {damage} WHERE number = 3")  # noqa: S608
    [done] = await prune(file_url, LATER, LATER)
    assert (done.entries, done.problems != ()) == (0, True)


async def test_a_damaged_opening_behind_a_gap_says_nothing_of_other_chains(store_url: str) -> None:
    await run(store_url, 5)
    by_hand(
        store_url,
        "DELETE FROM audit WHERE number = 3",
        """UPDATE audit SET action = 'audit.chain_opened', facts = '{"after": {"chain": "chn_x", "number": 1,
        "mac": ""}, "before_chains": 0}' WHERE number = 4""",
    )
    assert {kind for kind, *_ in await wrong(store_url)} == {"removed", "edited"}


class FakeUnreadable(Store):
    """A store in which something stands that no work can be done with."""

    async def transact(self, work: Callable[[Transaction], Any]) -> Any:
        raise KeyError(work)


class FakeLog:
    """Keeps what went wrong."""

    def __init__(self) -> None:
        self.told = asyncio.Event()
        self.errors: list[str] = []

    def info(self, event: str, **facts: object) -> None:
        """Take no notice."""

    def error(self, event: str, **facts: object) -> None:
        """Keep it."""
        self.errors.append(f"{event} {facts['problems']}")
        self.told.set()


async def test_relay_goes_on_when_nothing_can_be_pruned_whatever_the_reason(store_url: str) -> None:
    log, store = FakeLog(), FakeUnreadable.open(store_url)
    keeping = asyncio.create_task(Auditing(store, lambda: timedelta(days=1), log).run())
    await asyncio.wait_for(log.told.wait(), 5)
    assert not keeping.done()
    assert log.errors == ["audit.not_pruned ['KeyError']"]
    keeping.cancel()
    await asyncio.wait({keeping})
    await store.close()
