"""One transaction: in its turn, on its own, and kept whatever becomes of who asked for it."""

import asyncio
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from relay.domain.deliveries import LEASE, Kind
from relay.store import Store, StoreError, StoreLockedError, Transaction
from relay.store.schema import HEAD
from tests.store.beside import change, rows

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def _record(action: str) -> Callable[[Transaction], None]:
    return lambda tx: tx.record("T0", NOW, action)


def _query(statement: str) -> Callable[[Transaction], list[object]]:
    return lambda tx: [tuple(row) for row in tx.connection.exec_driver_sql(statement)]


async def test_works_run_in_the_order_they_came(store: Store) -> None:
    works = [_record(str(number)) for number in range(500)]
    await asyncio.gather(*(store.transact(work) for work in works))
    order = await store.transact(_query("SELECT action FROM audit WHERE number > 1 ORDER BY seq"))
    assert order == [(str(number),) for number in range(500)]


async def test_works_that_came_together_share_commits(store_url: str) -> None:
    commits: list[str] = []
    store = Store.open(store_url, at=commits.append)
    await asyncio.gather(*(store.transact(_record("one")) for _ in range(200)))
    await store.close()
    assert set(commits) == {"store.committed"}
    assert len(commits) <= 10


async def test_a_statement_that_the_database_refuses_is_a_store_error_of_its_work_alone(store: Store) -> None:
    works = (_record("before"), _query("SELECT * FROM nowhere"), _record("after"))
    answers = await asyncio.gather(*(store.transact(work) for work in works), return_exceptions=True)
    assert [type(answer) for answer in answers] == [type(None), StoreError, type(None)]
    assert await store.transact(_query("SELECT action FROM audit WHERE number > 1 ORDER BY seq")) == [
        ("before",),
        ("after",),
    ]


async def test_a_work_is_kept_though_its_caller_was_cancelled(store: Store) -> None:
    caller = asyncio.create_task(store.transact(_record("kept")))
    await asyncio.sleep(0)
    caller.cancel()
    await asyncio.wait([caller])
    assert caller.cancelled()
    assert await store.transact(_query("SELECT action FROM audit WHERE number > 1")) == [("kept",)]


async def test_an_audit_entry_says_who_did_what_to_what_when_and_on_which_evidence(store: Store) -> None:
    facts = {"reason": "für alle", "standing": "member"}
    await store.transact(
        lambda tx: tx.record("T0", NOW, "decision.recorded", actor="U1", subject="apr_1", facts=facts)
    )
    entries = await store.transact(
        _query(
            "SELECT team_id, at, action, actor, subject_id, CAST(facts AS TEXT) FROM audit WHERE number > 1"
        )
    )
    at = int(NOW.timestamp()) * 1_000_000
    assert entries == [
        ("T0", at, "decision.recorded", "U1", "apr_1", '{"reason":"für alle","standing":"member"}')
    ]


async def test_a_refused_open_leaves_the_store_to_its_holder(file_store: Store, file_url: str) -> None:
    for _ in range(2):
        with pytest.raises(StoreLockedError):
            Store.open(file_url)
    await file_store.transact(_record("still mine"))


async def test_a_store_of_a_newer_version_is_refused_in_words_and_not_held(store_url: str) -> None:
    await Store.open(store_url).close()
    change(store_url, "UPDATE alembic_version SET version_num = '9999'")
    for _ in range(2):
        with pytest.raises(StoreError, match="a newer version of relay") as refused:
            Store.open(store_url)
        assert not isinstance(refused.value, StoreLockedError)


@pytest.mark.parametrize(("readable_from", "opens"), [(HEAD, True), ("0001", True), ("9998", False)])
async def test_a_store_of_a_newer_version_is_opened_as_it_is_where_it_says_that_this_one_works_with_it(
    store_url: str, readable_from: str, opens: bool
) -> None:
    await Store.open(store_url).close()
    change(store_url, "UPDATE alembic_version SET version_num = '9999'")
    change(store_url, f"INSERT INTO settings (name, value) VALUES ('readable_from/9999', '{readable_from}')")  # noqa: S608
    if not opens:
        with pytest.raises(StoreError, match="a newer version of relay"):
            Store.open(store_url)
        return
    opened = Store.open(store_url)
    await opened.transact(_record("kept"))
    await opened.close()
    assert rows(store_url, "SELECT version_num FROM alembic_version") == [("9999",)]


async def test_a_store_says_from_which_version_on_it_is_worked_with(file_url: str) -> None:
    await Store.open(file_url).close()
    found = rows(file_url, "SELECT name, value FROM settings WHERE name LIKE 'readable_from/%'")
    assert found == [(f"readable_from/{HEAD}", HEAD)]


@pytest.mark.parametrize("backlog", [10, 3_000])
async def test_a_claim_costs_the_same_whatever_waits_behind_one_key(file_store: Store, backlog: int) -> None:
    def steps_of_a_claim(tx: Transaction) -> int:
        for number in range(backlog):
            key = f"key/{number % 3}"
            tx.deliveries.add(Kind.REPLY, team_id="T0", ordering_key=key, subject_id="", body={}, now=NOW)
        steps: list[None] = []
        driver = tx.connection.connection.driver_connection
        assert isinstance(driver, sqlite3.Connection)
        driver.set_progress_handler(lambda: steps.append(None), 10)
        claimed = tx.deliveries.claim(10, NOW + timedelta(seconds=1), NOW + LEASE)
        driver.set_progress_handler(None, 0)
        assert len(claimed) == 3
        return len(steps)

    assert await file_store.transact(steps_of_a_claim) < 60
