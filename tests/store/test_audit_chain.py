"""The record: no hole where something was rolled back, and every change by hand shows."""

import asyncio
import shutil
import signal
import sys
import threading
from pathlib import Path

import pytest
from sqlalchemy import text

from relay.domain.audit import Anchor
from relay.store import Store, StoreError, Transaction
from tests.store.records import (
    KEY,
    anchors_of,
    by_hand,
    chains,
    entries,
    one_entry,
    opened,
    run,
    verified,
    write,
    wrong,
)

ENDLESS = """
import asyncio, sys
from datetime import UTC, datetime
from relay.store import Store

async def main() -> None:
    store = Store.open(sys.argv[1], audit_keys=[sys.argv[2].encode()])
    for number in range(10**9):
        works = (store.transact(lambda tx: tx.record("T0", datetime.now(UTC), "one")) for _ in range(7))
        await asyncio.gather(*works)
        if number == 3:
            print("writing", flush=True)

asyncio.run(main())
"""


class _OnPurposeError(Exception):
    pass


def _fail(tx: Transaction) -> None:
    one_entry(tx)
    raise _OnPurposeError


def _break_commit(tx: Transaction) -> None:
    # A deferred constraint is checked by COMMIT, and by nothing before it.
    one_entry(tx)
    tx.connection.execute(text("CREATE TABLE parents (id INTEGER PRIMARY KEY)"))
    reference = "REFERENCES parents DEFERRABLE INITIALLY DEFERRED"
    tx.connection.execute(text(f"CREATE TABLE children (parent INTEGER {reference})"))
    tx.connection.execute(text("INSERT INTO children VALUES (1)"))


async def test_a_chain_has_an_opening_all_entries_without_a_gap_and_an_end(store_url: str) -> None:
    await run(store_url, 3)
    store = opened(store_url)
    found = await entries(store)
    await store.close()
    assert [entry.number for entry in found] == [1, 2, 3, 4, 5]
    assert [found[0].action, found[-1].action] == ["audit.chain_opened", "audit.chain_closed"]
    assert {entry.chain for entry in found} == set(chains(store_url))
    assert found[0].chain.startswith("chn_")
    assert found[0].facts["version"]


async def test_an_opening_of_the_store_that_records_nothing_leaves_nothing(store_url: str) -> None:
    await opened(store_url).close()
    assert chains(store_url) == []


async def test_the_entries_of_many_openings_verify_each_as_a_chain(store_url: str) -> None:
    for _ in range(3):
        await run(store_url, 2)
    found = await verified(store_url)
    assert found.problems == []
    assert [seen.entries for seen in found.chains.values()] == [4, 4, 4]
    assert all(seen.closed for seen in found.chains.values())


async def test_a_work_that_is_rolled_back_leaves_no_hole(store_url: str) -> None:
    store = opened(store_url)
    for work in (_fail, one_entry, _fail, one_entry):
        await asyncio.gather(store.transact(work), return_exceptions=True)
    assert [entry.number for entry in await entries(store)] == [1, 2, 3]
    await store.close()
    assert await wrong(store_url) == []


async def test_a_work_rolled_back_among_others_of_its_commit_leaves_no_hole(store_url: str) -> None:
    store = opened(store_url)
    works = [store.transact(work) for work in (one_entry, _fail, one_entry, _fail, one_entry)]
    answers = await asyncio.gather(*works, return_exceptions=True)
    assert sum(isinstance(answer, _OnPurposeError) for answer in answers) == 2
    assert [entry.number for entry in await entries(store)] == [1, 2, 3, 4]
    await store.close()
    assert await wrong(store_url) == []


@pytest.mark.parametrize("before", [0, 2])
async def test_a_commit_that_fails_leaves_no_hole(store_url: str, before: int) -> None:
    store = opened(store_url)
    await write(store, before)
    anchor = store.anchor
    with pytest.raises(StoreError):
        await store.transact(_break_commit)
    assert store.anchor == anchor
    await write(store, 2)
    await store.close()
    found = await verified(store_url)
    assert found.problems == []
    assert [seen.last for seen in found.chains.values()] == [before + 3]


async def test_the_anchor_is_of_what_is_on_the_disk(store: Store) -> None:
    inside: list[Anchor | None] = []
    entered, held = threading.Event(), threading.Event()

    def hold(tx: Transaction) -> None:
        one_entry(tx)
        entered.set()
        held.wait(5)

    waiting = asyncio.create_task(store.transact(hold))
    await asyncio.to_thread(entered.wait, 5)
    inside.append(store.anchor)
    held.set()
    await waiting
    assert inside == [None]
    assert store.anchor is not None
    assert store.anchor.number == 2


COLUMNS = "team_id, at, action, actor, subject_id, facts, chain, number, mac"
OLD = "(team_id, at, action, actor, subject_id, facts) VALUES ('T0', 0, 'old', 'U1', '', '{}')"
_OF = "chain = (SELECT chain FROM audit GROUP BY chain ORDER BY min(seq) LIMIT 1 OFFSET {})"
FIRST, SECOND = _OF.format(0), _OF.format(1)
EDITS = {
    "a fact": "UPDATE audit SET facts = replace(facts, 'true', 'false') WHERE number = 3",
    "an actor": "UPDATE audit SET actor = 'U9' WHERE number = 3",
    "the action": "UPDATE audit SET action = 'decision.refused' WHERE number = 3",
    "the subject": "UPDATE audit SET subject_id = 'apr_9' WHERE number = 3",
    "the time": "UPDATE audit SET at = at + 1 WHERE number = 3",
    "the workspace": "UPDATE audit SET team_id = 'T9' WHERE number = 3",
    "facts that are no JSON any more": "UPDATE audit SET facts = '{' WHERE number = 3",
    "facts that are no object any more": "UPDATE audit SET facts = '[]' WHERE number = 3",
}


@pytest.mark.parametrize("statement", EDITS.values(), ids=EDITS)
async def test_an_edit_is_found_and_named(store_url: str, statement: str) -> None:
    await run(store_url, 5)
    by_hand(store_url, statement)
    assert await wrong(store_url) == [("edited", 3, 3)]


CHANGES = {
    "a row is deleted": ("DELETE FROM audit WHERE number = 3", [("removed", 3, 3)]),
    "rows are deleted": ("DELETE FROM audit WHERE number IN (3, 4)", [("removed", 3, 4)]),
    "the opening is deleted": ("DELETE FROM audit WHERE number = 1", [("removed", 1, 1)]),
    "a signature is edited": ("UPDATE audit SET mac = 'x' WHERE number = 3", [("edited", 3, 4)]),
    "a row is copied": (
        f"INSERT INTO audit SELECT 99, {COLUMNS} FROM audit WHERE number = 3",  # noqa: S608
        [("added", 3, 3)],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("statement", "found"), CHANGES.values(), ids=CHANGES)
async def test_what_was_done_to_a_chain_is_told(
    store_url: str, statement: str, found: list[tuple[str, int, int]]
) -> None:
    await run(store_url, 5)
    by_hand(store_url, statement)
    assert await wrong(store_url) == found


async def test_two_entries_that_changed_places_are_found(store_url: str) -> None:
    await run(store_url, 5)
    moves = ("SET seq = -1 WHERE seq = 3", "SET seq = 3 WHERE seq = 4", "SET seq = 4 WHERE seq = -1")
    by_hand(store_url, *(f"UPDATE audit {move}" for move in moves))
    assert await wrong(store_url) == [("reordered", 3, 3)]


async def test_two_entries_that_changed_their_contents_are_found(store_url: str) -> None:
    await run(store_url, 5)
    by_hand(store_url, "UPDATE audit SET subject_id = CASE number WHEN 3 THEN 'apr_2' ELSE 'apr_1' END "
                       "WHERE number IN (3, 4)")  # fmt: skip
    assert await wrong(store_url) == [("edited", 3, 4)]


async def test_an_entry_slipped_in_without_a_chain_is_found(store_url: str) -> None:
    await run(store_url, 2)
    by_hand(store_url, f"INSERT INTO audit {OLD}")
    assert await wrong(store_url) == [("added", 1, 1)]
    by_hand(store_url, "UPDATE audit SET seq = -5 WHERE chain = ''")
    assert await wrong(store_url) == [("added", 1, 1)]


async def test_a_cut_end_shows_by_the_opening_that_came_after_it(store_url: str) -> None:
    await run(store_url, 5)
    await run(store_url, 1)
    by_hand(store_url, f"DELETE FROM audit WHERE number > 4 AND {FIRST}")  # noqa: S608
    assert await wrong(store_url) == [("cut", 7, 7)]


async def test_a_chain_dropped_as_a_whole_shows_by_the_opening_that_came_after_it(store_url: str) -> None:
    for count in (1, 2, 3):
        await run(store_url, count)
    by_hand(store_url, f"DELETE FROM audit WHERE {SECOND}")  # noqa: S608
    assert await wrong(store_url) == [("missing", 4, 4)]


async def test_the_cut_end_of_the_last_chain_shows_by_an_anchor_and_by_nothing_else(store_url: str) -> None:
    await run(store_url, 5)
    anchors = await anchors_of(store_url)
    by_hand(store_url, "DELETE FROM audit WHERE number > 4")
    assert await wrong(store_url) == []
    assert await wrong(store_url, anchors) == [("cut", 7, 7)]


async def test_the_last_chain_dropped_as_a_whole_shows_by_an_anchor(store_url: str) -> None:
    await run(store_url, 1)
    await run(store_url, 2)
    anchors = await anchors_of(store_url)
    by_hand(store_url, f"DELETE FROM audit WHERE {SECOND}")  # noqa: S608
    assert await wrong(store_url) == []
    assert await wrong(store_url, anchors) == [("missing", 4, 4)]


async def test_an_old_file_in_place_of_the_present_shows_by_newer_anchors(
    file_url: str, tmp_path: Path
) -> None:
    await run(file_url, 2)
    path = file_url.removeprefix("sqlite:///")
    shutil.copy(path, tmp_path / "old.db")
    await run(file_url, 3)
    anchors = await anchors_of(file_url)
    assert await wrong(file_url, anchors) == []
    shutil.copy(tmp_path / "old.db", path)
    await run(file_url, 3)
    assert await wrong(file_url, anchors) == [("missing", 5, 5)]


async def test_a_chain_written_anew_by_somebody_with_the_key_shows_by_an_anchor(store_url: str) -> None:
    await run(store_url, 2)
    [anchor] = await anchors_of(store_url)
    assert await wrong(store_url, [anchor._replace(mac="0" * 32)]) == [("replaced", 4, 4)]


async def test_another_key_makes_the_chain_one_of_an_unknown_key(store_url: str) -> None:
    await run(store_url, 2)
    found = await verified(store_url, keys=(b"another key of more than 32 characters.",))
    assert [one.wrong.value for one in found.problems] == ["unknown_key"]


async def test_a_key_that_was_changed_stays_known_behind_the_new_one(store_url: str) -> None:
    newer = b"a newer key of the owner's, of 32 characters"
    await run(store_url, 2)
    await run(store_url, 2, keys=(newer, KEY))
    found = await verified(store_url, keys=(newer, KEY))
    assert found.problems == []
    assert len({seen.key_id for seen in found.chains.values()}) == 2


async def test_without_a_key_of_its_owners_a_store_signs_with_its_own(store_url: str) -> None:
    await run(store_url, 2, keys=())
    assert (await verified(store_url, keys=())).problems == []
    by_hand(store_url, "UPDATE audit SET actor = 'U9' WHERE number = 2")
    assert [one.first for one in (await verified(store_url, keys=())).problems] == [2]


async def test_two_relays_on_one_database_write_a_chain_each_and_both_verify(database_url: str) -> None:
    one, other = opened(database_url), opened(database_url)
    for number in range(3):
        await asyncio.gather(write(one, 2), write(other, 2))
        assert {store.anchor.number for store in (one, other) if store.anchor} == {2 * number + 3}
    await one.close()
    await other.close()
    found = await verified(database_url)
    assert found.problems == []
    assert [seen.entries for seen in found.chains.values()] == [7, 7]


async def test_two_chains_whose_entries_alternate_verify(file_url: str, tmp_path: Path) -> None:
    """Made by merging the files of two runs, entry by entry."""
    other = f"sqlite:///{tmp_path}/other.db"
    await run(file_url, 3)
    await run(other, 3)
    by_hand(
        file_url,
        "UPDATE audit SET seq = seq * -2",
        "UPDATE audit SET seq = -seq",
        f"ATTACH '{tmp_path}/other.db' AS other",
        f"INSERT INTO audit SELECT seq * 2 + 1, {COLUMNS} FROM other.audit",  # noqa: S608
    )
    found = await verified(file_url)
    assert found.problems == []
    assert [seen.entries for seen in found.chains.values()] == [5, 5]


async def test_a_writer_that_is_killed_leaves_a_chain_that_verifies(store_url: str) -> None:
    for _ in range(2):
        writer = await asyncio.create_subprocess_exec(
            sys.executable, "-c", ENDLESS, store_url, KEY.decode(), stdout=asyncio.subprocess.PIPE
        )
        assert writer.stdout is not None
        assert await writer.stdout.readline() == b"writing\n"
        writer.send_signal(signal.SIGKILL)
        await writer.wait()
    found = await verified(store_url)
    assert found.problems == []
    assert len(found.chains) == 2
    assert not any(seen.closed for seen in found.chains.values())


async def test_entries_from_before_there_were_chains_are_counted(store_url: str) -> None:
    await opened(store_url).close()
    by_hand(store_url, *2 * [f"INSERT INTO audit {OLD}"])
    await run(store_url, 1)
    found = await verified(store_url)
    assert (found.problems, found.before_chains) == ([], 2)
    by_hand(
        store_url,
        f"INSERT INTO audit {OLD}",
        "UPDATE audit SET seq = -1 WHERE seq = (SELECT max(seq) FROM audit)",
    )
    assert await wrong(store_url) == [("added", 3, 3)]
