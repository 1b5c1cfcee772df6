"""The hot statements find their rows by an index, however many rows are settled."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import ClauseElement, Connection

from relay.store import approvals, backlog, deliveries, messages, runtimes
from relay.store.engine import sqlite_engine
from relay.store.schema import upgrade
from relay.store.statement import Statement

_FEW = "SCAN kinds"  # what a grouping gave, one row for each kind there is
STATEMENTS = {
    name: statement
    for room in (backlog, deliveries, approvals, messages, runtimes)
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


def plan(connection: Connection, statement: Statement | ClauseElement) -> list[str]:
    """Return the steps in which SQLite would run a statement."""
    written = statement._statement if isinstance(statement, Statement) else statement
    columns = statement._columns if isinstance(statement, Statement) else ()
    compiled = written.compile(dialect=connection.dialect, column_keys=columns or None)
    nothing = [None] * len(getattr(compiled, "positiontup", ()))
    steps = connection.connection.cursor().execute(f"EXPLAIN QUERY PLAN {compiled}", nothing).fetchall()
    return [step[-1] for step in steps]


def test_the_hot_statements_are_looked_at() -> None:
    assert {"_ADD", "_DUE", "_CLAIM", "_SETTLE", "_PROMOTE", "_WAITING", "_WAKE", "_LOST", "_PENDING"} <= set(
        STATEMENTS
    )
    assert "_IN_THREAD" in STATEMENTS


@pytest.mark.parametrize("name", sorted(STATEMENTS))
def test_no_hot_statement_walks_over_all_rows(connection: Connection, name: str) -> None:
    steps = plan(connection, STATEMENTS[name])
    walks = [step for step in steps if step.startswith("SCAN") and "USING" not in step and step != _FEW]
    assert not walks, steps


@pytest.mark.parametrize("name", ["_ASKED", "_SAID"])
def test_what_goes_on_is_found_among_what_goes_on(connection: Connection, name: str) -> None:
    assert "INDEX" in "".join(plan(connection, STATEMENTS[name]))


def test_a_code_is_found_by_its_own_index_however_many_requests_are_over(connection: Connection) -> None:
    assert "USING INDEX approvals_by_any_code (code=? AND team_id=?)" in "".join(
        plan(connection, STATEMENTS["_SHOWED_CODE"])
    )


def test_what_somebody_has_written_since_is_found_among_what_goes_on(connection: Connection) -> None:
    assert "USING INDEX messages_in_turn" in "".join(plan(connection, STATEMENTS["_SINCE"]))


def test_a_thread_is_looked_up_by_its_own_index(connection: Connection) -> None:
    assert "USING INDEX messages_by_thread (channel_id=? AND thread_ts=?)" in "".join(
        plan(connection, STATEMENTS["_IN_THREAD"])
    )


def test_what_waits_is_counted_over_the_index_of_the_live_rows(connection: Connection) -> None:
    steps = plan(connection, STATEMENTS["_BACKLOG"])
    assert "SCAN deliveries USING INDEX deliveries_live_by_key" in steps
    assert [step for step in steps if step.startswith("SCAN")] == [steps[1], _FEW]
    assert "USING COVERING INDEX deliveries_due" in steps[-1]
