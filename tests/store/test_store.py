"""The store's promises: durable before answered, each work alone, one process a file."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text

from relay.domain.findings import Finding, Level
from relay.store import Store, StoreError, StoreLockedError, Transaction, schema
from relay.store.examine import examined
from relay.store.tables import metadata
from tests.store.beside import change, rows
from tests.store.stores import begun_at, migrate, together

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
HOLDER = """
import sys, time
from relay.store import Store
Store.open(sys.argv[1])
print("open", flush=True)
time.sleep(60)
"""


class _OnPurposeError(Exception):
    pass


def _audited(store_url: str) -> list[str]:
    return [action for (action,) in rows(store_url, "SELECT action FROM audit WHERE number > 1 ORDER BY seq")]


def _record(action: str) -> Callable[[Transaction], None]:
    return lambda tx: tx.record("T0", NOW, action)


async def test_what_a_transaction_wrote_is_on_the_disk_when_it_returns(store: Store, store_url: str) -> None:
    await store.transact(lambda tx: tx.record("T0", NOW, "one"))
    assert _audited(store_url) == ["one"]


async def test_nothing_is_visible_to_others_before_the_batch_commits(store: Store, store_url: str) -> None:
    seen: list[list[str]] = []

    def look(tx: Transaction) -> None:
        tx.record("T0", NOW, "second")
        seen.append(_audited(store_url))

    await together(store, _record("first"), look)
    assert seen == [[]]
    assert _audited(store_url) == ["first", "second"]


async def test_a_work_that_raises_is_rolled_back_alone(store: Store, store_url: str) -> None:
    def fail(tx: Transaction) -> None:
        tx.record("T0", NOW, "bad")
        raise _OnPurposeError

    answers = await together(store, _record("before"), fail, _record("after"))
    assert isinstance(answers[1], _OnPurposeError)
    assert _audited(store_url) == ["before", "after"]


async def test_a_work_that_comes_to_an_iterator_s_end_keeps_nobody_waiting(store: Store) -> None:
    def fail(tx: Transaction) -> None:
        next(iter(()))

    answers = await together(store, fail, _record("after"))
    assert isinstance(answers[0], RuntimeError)
    assert answers[1] is None


async def test_a_full_disk_fails_the_work_with_a_reason_and_the_store_goes_on(
    file_store: Store, file_url: str
) -> None:
    store = file_store

    def limit(pages: str) -> None:
        with store._engine.connect() as connection:
            connection.exec_driver_sql(f"PRAGMA max_page_count={pages}")

    pages = await store.transact(lambda tx: tx.connection.execute(text("PRAGMA page_count")).scalar_one())
    await asyncio.to_thread(limit, str(pages))
    with pytest.raises(StoreError, match="full"):
        await store.transact(lambda tx: tx.record("T0", NOW, "x" * 500_000))
    await asyncio.to_thread(limit, "1000000")
    await store.transact(lambda tx: tx.record("T0", NOW, "small"))
    assert _audited(file_url) == ["small"]


async def test_a_commit_that_fails_fails_every_waiter(store: Store, store_url: str) -> None:
    def break_commit(tx: Transaction) -> None:
        # A deferred constraint is checked by COMMIT, and by nothing before it.
        tx.connection.execute(text("CREATE TABLE parents (id INTEGER PRIMARY KEY)"))
        reference = "REFERENCES parents DEFERRABLE INITIALLY DEFERRED"
        tx.connection.execute(text(f"CREATE TABLE children (parent INTEGER {reference})"))
        tx.connection.execute(text("INSERT INTO children VALUES (1)"))

    answers = await together(store, _record("one"), break_commit, _record("two"))
    assert [type(answer) for answer in answers] == [StoreError] * 3
    assert _audited(store_url) == []
    await store.transact(lambda tx: tx.record("T0", NOW, "later"))
    assert _audited(store_url) == ["later"]


async def test_every_commit_is_synced_to_the_disk(file_store: Store) -> None:
    def ask(tx: Transaction) -> tuple[object, object]:
        ask_for = tx.connection.exec_driver_sql
        return ask_for("PRAGMA synchronous").scalar(), ask_for("PRAGMA journal_mode").scalar()

    full = 2
    assert await file_store.transact(ask) == (full, "wal")


async def test_a_second_store_on_the_same_file_is_refused_with_the_holder_and_a_way_out(
    file_store: Store, file_url: str
) -> None:
    with pytest.raises(StoreLockedError, match=rf"process {os.getpid()}\): stop it first"):
        Store.open(file_url)


async def test_the_lock_of_a_killed_process_is_free(file_url: str) -> None:
    holder = await asyncio.create_subprocess_exec(
        sys.executable, "-c", HOLDER, file_url, stdout=asyncio.subprocess.PIPE
    )
    assert holder.stdout is not None
    assert await holder.stdout.readline() == b"open\n"
    with pytest.raises(StoreLockedError, match=f"process {holder.pid}"):
        Store.open(file_url)
    holder.send_signal(signal.SIGKILL)
    await holder.wait()
    await Store.open(file_url).close()


async def test_close_finishes_what_waits_and_then_takes_nothing_more(store_url: str) -> None:
    store = Store.open(store_url)
    waiting = [asyncio.create_task(store.transact(_record(f"work {n}"))) for n in range(50)]
    await asyncio.sleep(0)
    await store.close()
    await asyncio.gather(*waiting)
    assert len(_audited(store_url)) == len(waiting)
    with pytest.raises(StoreError, match="closed"):
        await store.transact(_record("too late"))


async def test_opening_again_changes_nothing_and_keeps_the_key(store_url: str) -> None:
    first = Store.open(store_url)
    await first.transact(lambda tx: tx.record("T0", NOW, "kept"))
    await first.close()
    second = Store.open(store_url)
    await second.close()
    assert first.key == second.key
    assert _audited(store_url) == ["kept"]


def test_the_migrations_make_exactly_the_tables_that_are_declared(bare: Connection) -> None:
    migrate(bare, "head")
    assert compare_metadata(MigrationContext.configure(bare), metadata) == []


def test_a_new_store_is_as_if_every_migration_had_made_it(bare: Connection, connection: Connection) -> None:
    migrate(bare, "head")
    made, migrated = _structure(connection), _structure(bare)
    assert made.keys() == migrated.keys() >= set(metadata.tables)
    for table, parts in made.items():
        assert parts == migrated[table]
    version = text("SELECT version_num FROM alembic_version")
    assert connection.scalar(version) == bare.scalar(version) == schema.HEAD


def _structure(connection: Connection) -> dict[str, list[str]]:
    """Return of what each table consists, as its database tells it; what has no order is sorted."""
    asked = inspect(connection)
    return {
        table: [
            *sorted(
                json.dumps(part, sort_keys=True, default=str)
                for parts in (asked.get_columns, asked.get_indexes, asked.get_unique_constraints)
                for part in parts(table)
            ),
            *(
                json.dumps(part(table), sort_keys=True, default=str)
                for part in (asked.get_pk_constraint, asked.get_check_constraints, asked.get_foreign_keys)
            ),
            str(asked.get_table_options(table)),
        ]
        for table in asked.get_table_names()
    }


def test_a_store_is_opened_without_alembic_only_when_it_has_the_newest_migration() -> None:
    scripts = ScriptDirectory(str(Path(schema.__file__).parent / "migrations"))
    assert scripts.get_current_head() == schema.HEAD


@pytest.mark.parametrize("url", ["sqlite://", "mysql://host/db", "nonsense", "sqlite:///:memory:"])
def test_a_url_that_names_no_file_is_refused_with_an_example(url: str) -> None:
    with pytest.raises(StoreError, match=r"use sqlite:///relay\.db"):
        Store.open(url)


def test_a_folder_that_cannot_be_written_is_named() -> None:
    with pytest.raises(StoreError, match="/proc/nowhere"):
        Store.open("sqlite:////proc/nowhere/relay.db")


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "relay.db").write_text("this is no database, and long enough to be told from one" * 100)
    with pytest.raises(StoreError, match="not a database"):
        Store.open(f"sqlite:///{tmp_path}/relay.db")


async def test_a_key_is_new_once_in_each_workspace(store: Store) -> None:
    async def first_time(team_id: str) -> bool:
        return await store.transact(lambda tx: tx.first_time(team_id, "key", NOW))

    assert [await first_time("T1"), await first_time("T1"), await first_time("T2")] == [True, False, True]


async def test_keys_of_the_past_are_forgotten(store: Store) -> None:
    await store.transact(lambda tx: tx.first_time("T1", "key", NOW))
    assert await store.transact(lambda tx: tx.forget_seen(NOW)) == 0
    assert await store.transact(lambda tx: tx.forget_seen(NOW.replace(hour=13))) == 1


ANOTHERS = "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)"


def test_a_version_that_alembic_left_empty_is_no_version(bare_url: str) -> None:
    change(bare_url, ANOTHERS)
    assert _doctor_of(bare_url).level is Level.OK
    with begun_at(bare_url) as connection:
        assert schema.upgrade(connection)
        assert connection.scalar(text("SELECT version_num FROM alembic_version")) == schema.HEAD


@pytest.mark.parametrize("version", ["9c3f2a", "0001", schema.HEAD])
def test_the_tables_of_another_program_are_refused(bare_url: str, version: str) -> None:
    change(bare_url, ANOTHERS, f"INSERT INTO alembic_version (version_num) VALUES ('{version}')")  # noqa: S608
    assert _doctor_of(bare_url).level is Level.WRONG
    with pytest.raises(StoreError, match=r"another program.* of its own"):
        Store.open(bare_url)


def _doctor_of(url: str) -> Finding:
    """Return what an examination says of the schema of a store."""
    [found] = [one for one in examined(url, relay_answers=False) if one.about == schema.SCHEMA]
    return found
