"""The hot statements find their rows by an index, however many rows are settled."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import ClauseElement, Connection

from relay.store import approvals, deliveries
from relay.store.engine import sqlite_engine
from relay.store.schema import upgrade
from relay.store.statement import Statement

STATEMENTS = {
    name: statement
    for room in (deliveries, approvals)
    for name, statement in vars(room).items()
    if name.isupper() and isinstance(statement, (Statement, ClauseElement))
}


@pytest.fixture(scope="module")
def connection(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connection]:
    """A connection to an empty store."""
    engine = sqlite_engine(Path(tmp_path_factory.mktemp("plans")) / "relay.db")
    with engine.begin() as opened:
        upgrade(opened)
        yield opened
    engine.dispose()


def test_the_hot_statements_are_looked_at() -> None:
    assert {"_ADD", "_DUE", "_CLAIM", "_SETTLE", "_PROMOTE", "_WAITING", "_WAKE", "_LOST", "_PENDING"} <= set(
        STATEMENTS
    )


@pytest.mark.parametrize("name", sorted(STATEMENTS))
def test_no_hot_statement_walks_over_all_rows(connection: Connection, name: str) -> None:
    statement = STATEMENTS[name]
    written = statement._statement if isinstance(statement, Statement) else statement
    columns = statement._columns if isinstance(statement, Statement) else ()
    compiled = written.compile(dialect=connection.dialect, column_keys=columns or None)
    nothing = [None] * len(getattr(compiled, "positiontup", ()))
    plan = connection.connection.cursor().execute(f"EXPLAIN QUERY PLAN {compiled}", nothing).fetchall()
    steps = [step[-1] for step in plan]
    walks = [step for step in steps if step.startswith("SCAN") and "USING" not in step]
    assert not walks, steps
