"""Moves a store from its file into a database: all of it in one transaction, or nothing."""

import contextlib
import re
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

import psycopg
from psycopg import sql
from sqlalchemy import Boolean, Table
from sqlalchemy.exc import SQLAlchemyError

from relay.store.engine import LockFile, store_path
from relay.store.errors import CopyRefusedError, StoreError, cause
from relay.store.postgresql import Database
from relay.store.reading import reading
from relay.store.schema import HEAD, upgrade
from relay.store.steps import step
from relay.store.tables import metadata

_AT_ONCE = 500  # rows in memory
_PLACE = re.compile(r"COPY \w+, line (\d+), column (\w+)")


@dataclass(frozen=True)
class Copied:
    """What was copied."""

    deliveries: int
    entries: int


def copy_store(file_url: str, url: str) -> Copied:
    """Copy the store in a file to the empty database at `url`, with no relay at work on either.

    Raises CopyRefusedError, StoreError.
    """
    source, database = store_path(file_url), Database(url)
    if not source.exists():
        raise StoreError(f"there is no store at {source}: set RELAY_STORE_URL to the relay's")
    lock = LockFile(source)
    lock.acquire()
    try:
        database.open()
        with reading(source) as file, database.engine.begin() as connection:
            _refuse_older(file)
            upgrade(connection)
            driver = cast("psycopg.Connection[Any]", connection.connection.driver_connection)
            # It takes as long as it takes: no other relay has anything to do there yet.
            driver.execute("SET LOCAL statement_timeout = 0")
            _refuse_used(driver, database.name)
            counts = {table.name: _copy(file, driver, table) for table in metadata.sorted_tables}
    except (SQLAlchemyError, psycopg.Error, sqlite3.Error) as problem:
        raise StoreError(
            f"nothing was copied to {database.name}: {cause(problem)}", step(problem)
        ) from problem
    finally:
        database.close()
        lock.release()
    return Copied(counts["deliveries"], counts["audit"])


def _refuse_older(file: sqlite3.Connection) -> None:
    [version] = file.execute("SELECT version_num FROM alembic_version").fetchone() or ["none"]
    if version != HEAD:
        raise CopyRefusedError(
            f"the file is of version {version}, and this relay's is {HEAD}: start this relay on it once, "
            "and stop it"
        )


def _refuse_used(driver: "psycopg.Connection[Any]", name: str) -> None:
    for table in metadata.sorted_tables:
        query = sql.SQL("SELECT 1 FROM {} LIMIT 1").format(sql.Identifier(table.name))
        if driver.execute(query).fetchone() is not None:
            raise CopyRefusedError(f"{name} has a store in it already: name an empty database")


def _copy(file: sqlite3.Connection, driver: "psycopg.Connection[Any]", table: Table) -> int:
    """Copy a table as it is written, and let its numbers go on behind the last."""
    names = [column.name for column in table.columns]
    truths = [number for number, column in enumerate(table.columns) if isinstance(column.type, Boolean)]
    columns = sql.SQL(", ").join(map(sql.Identifier, names))
    into = sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(table.name), columns)
    count = 0
    try:
        with driver.cursor() as cursor, cursor.copy(into) as copy:
            for row in _rows(file, table, names):
                for number in truths:
                    row[number] = None if row[number] is None else bool(row[number])
                copy.write_row(row)
                count += 1
    except psycopg.DataError as problem:
        where = _PLACE.search(problem.diag.context or "")
        row_of = f"row {where[1]} of {table.name}, {where[2]}" if where else table.name
        raise StoreError(f"nothing was copied: {row_of}: {cause(problem)}") from problem
    if "seq" in names:
        driver.execute(
            sql.SQL("SELECT setval(pg_get_serial_sequence({}, 'seq'), max(seq)) FROM {}").format(
                sql.Literal(table.name), sql.Identifier(table.name)
            )
        )
    return count


def _rows(file: sqlite3.Connection, table: Table, names: list[str]) -> Iterator[list[Any]]:
    quoted = ", ".join(f'"{name}"' for name in names)
    with contextlib.closing(file.execute(f'SELECT {quoted} FROM "{table.name}"')) as found:  # noqa: S608
        while some := found.fetchmany(_AT_ONCE):
            yield from map(list, some)
