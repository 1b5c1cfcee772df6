"""The hot statements find their rows by an index, however many rows are settled."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import ClauseElement, Connection
from sqlalchemy.sql.compiler import SQLCompiler

from relay.store import (
    approvals,
    backlog,
    conversations,
    deliveries,
    grants,
    held_back,
    inbox,
    messages,
    runtimes,
    transaction,
    votes,
)
from relay.store.engine import sqlite_engine
from relay.store.opening import place_at
from relay.store.schema import upgrade
from relay.store.statement import Statement
from tests import postgres

_FEW = "SCAN kinds"  # what a grouping gave, one row for each kind there is
STATEMENTS = {
    name: statement
    for room in (backlog, conversations, deliveries, held_back, approvals, messages, runtimes, transaction)
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


@pytest.fixture(scope="module")
def postgresql_connection(postgresql: postgres.Server, template: str) -> Iterator[Connection]:
    """The same in a database, which is to look for an index however few the rows are."""
    place = place_at(postgresql.new_database(template))
    with place.engine.begin() as opened:
        for setting in ("enable_seqscan = off", "plan_cache_mode = force_generic_plan"):
            opened.exec_driver_sql(f"SET LOCAL {setting}")
        yield opened
    place.close()


def postgresql_plan(connection: Connection, statement: Statement | ClauseElement) -> str:
    """Return how PostgreSQL would run a statement, whatever its parameters are."""
    written = statement._statement if isinstance(statement, Statement) else statement
    columns = statement._columns if isinstance(statement, Statement) else ()
    compiled = written.compile(
        dialect=connection.dialect,
        column_keys=columns or None,
        compile_kwargs={"render_postcompile": True},
    )
    assert isinstance(compiled, SQLCompiler)
    names = list(dict.fromkeys(re.findall(r"%\((\w+)\)s", str(compiled))))
    numbered = re.sub(r"%\((\w+)\)s", lambda found: f"${names.index(found[1]) + 1}", str(compiled))
    given = f"({', '.join('NULL' for _ in names)})" if names else ""
    with connection.begin_nested():
        connection.exec_driver_sql("PREPARE plan AS " + numbered.replace("%%", "%"))
        steps = connection.exec_driver_sql(f"EXPLAIN EXECUTE plan{given}").scalars().all()
        connection.exec_driver_sql("DEALLOCATE plan")
    return "\n".join(steps)


OTHERS = {
    f"{room.__name__}.{name}": statement
    for room in (grants, inbox, votes)
    for name, statement in vars(room).items()
    if name.isupper() and isinstance(statement, (Statement, ClauseElement))
}


@pytest.mark.parametrize("name", sorted(OTHERS))
def test_each_other_statement_is_one_of_postgresql_s_too(
    postgresql_connection: Connection, name: str
) -> None:
    assert postgresql_plan(postgresql_connection, OTHERS[name])


@pytest.mark.parametrize("name", sorted(STATEMENTS))
def test_each_hot_statement_is_one_of_postgresql_s_too_and_finds_its_rows(
    postgresql_connection: Connection, name: str
) -> None:
    assert "Seq Scan" not in postgresql_plan(postgresql_connection, STATEMENTS[name])


@pytest.mark.parametrize(
    ("name", "index"),
    [
        ("_DUE", "deliveries_due"),
        ("_LOST", "deliveries_leased"),
        ("_PROMOTE", "deliveries_live_by_key"),
        ("_SINCE", "messages_in_turn"),
        ("_IN_THREAD", "messages_by_thread"),
        ("_ON_THE_WAY", "approvals_on_the_way"),
    ],
)
def test_postgresql_takes_the_index_that_is_meant(
    postgresql_connection: Connection, name: str, index: str
) -> None:
    assert index in postgresql_plan(postgresql_connection, STATEMENTS[name])


def test_the_hot_statements_are_looked_at() -> None:
    assert {"_ADD", "_DUE", "_CLAIM", "_SETTLE", "_PROMOTE", "_WAITING", "_WAKE", "_LOST", "_PENDING"} <= set(
        STATEMENTS
    )
    assert {"_IN_THREAD", "_HOLD"} <= set(STATEMENTS)


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


def test_what_waits_for_an_environment_is_found_in_its_order_by_its_own_index(connection: Connection) -> None:
    steps = plan(connection, STATEMENTS["_WAKE"])
    assert "USING INDEX deliveries_held_back (environment=? AND kind=?)" in "".join(steps) or (
        "USING COVERING INDEX deliveries_held_back (environment=? AND kind=?)" in "".join(steps)
    )
    assert not [step for step in steps if "TEMP B-TREE" in step]


def test_what_is_to_be_held_back_is_looked_for_among_what_is_due(connection: Connection) -> None:
    assert "USING INDEX deliveries_due (next_attempt_at<?)" in "".join(plan(connection, STATEMENTS["_HOLD"]))
