"""Statements of the hot path: written by SQLAlchemy once, then run by the driver itself.

SQLAlchemy looks up the compiled form, binds and result of a statement anew at each execution, which
costs several times what SQLite takes for one row. The SQL, and the errors, are the ones it would give.
"""

from collections import namedtuple
from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any, Protocol, cast

from sqlalchemy import ClauseElement, Connection, Dialect, Select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.compiler import SQLCompiler


class Found(Protocol):
    """What a statement gave, as a driver's cursor has it."""

    @property
    def rowcount(self) -> int:
        """How many rows it wrote."""

    def fetchone(self) -> Any:
        """Return the next row, None behind the last one."""

    def fetchall(self) -> Sequence[Any]:
        """Return the rows that are left."""


Then = Callable[[Found], None]


# One parameter in its place: its name, what it is unless given, and how the driver wants it.
Bind = tuple[str, Any, Callable[[Any], Any] | None]


class Binds:
    """The parameters of a statement, each in its place. Every statement pays for what this takes."""

    def __init__(self, binds: Sequence[Bind]) -> None:
        self.names = tuple(name for name, _, _ in binds)
        self._unless_given = {name: _plain(default) for name, default, _ in binds}
        self._conversions = [(place, how) for place, (_, _, how) in enumerate(binds) if how is not None]
        self._take = _taker(self.names)

    def of(self, values: Mapping[str, Any]) -> list[Any]:
        """Return the parameters as the driver wants them."""
        taken = list(self._take({**self._unless_given, **values}))
        for place, convert in self._conversions:
            taken[place] = convert(taken[place])
        return taken


def _plain(value: Any) -> Any:
    """Return a word of an enumeration as a mere string: SQLite's driver looks long for how to take others."""
    return str(value) if isinstance(value, str) else value


def _taker(names: tuple[str, ...]) -> Callable[[Mapping[str, Any]], tuple[Any, ...]]:
    if len(names) > 1:
        return itemgetter(*names)
    return lambda values: tuple(values[name] for name in names)  # an itemgetter of one gives no tuple


class Written(Protocol):
    """A statement as an engine takes it. A dialect that has a way of its own makes it by `written`."""

    def run(self, connection: Connection, values: Mapping[str, Any]) -> Found:
        """Run it and return what it gave. Raises the driver's errors."""

    def leave(self, connection: Connection, values: Mapping[str, Any], then: Then | None) -> None:
        """Have it run, and perhaps do not wait for that. Raises the driver's errors."""


class _AtOnce:
    """Run by a cursor of the driver, which takes parameters by their place."""

    def __init__(self, sql: str, binds: Binds) -> None:
        self._sql = sql
        self._binds = binds

    def run(self, connection: Connection, values: Mapping[str, Any]) -> Found:
        # The driver's own connection: by the pool's a cursor costs three times as much.
        driver = connection.connection.dbapi_connection
        found: Found = driver.execute(self._sql, self._binds.of(values))  # type: ignore[union-attr]
        return found

    def leave(self, connection: Connection, values: Mapping[str, Any], then: Then | None) -> None:
        found = self.run(connection, values)
        if then is not None:
            then(found)


class Statement:
    """A statement that writes, or reads what the driver gives as it is.

    `columns` are those that an INSERT or UPDATE takes from its values.
    """

    def __init__(self, statement: ClauseElement, columns: Iterable[str] = ()) -> None:
        self._statement = statement
        self._columns = tuple(columns)
        self._written: dict[str, Written] = {}

    def run(self, connection: Connection, values: Mapping[str, Any]) -> Found:
        """Run it with `values` and return what it gave. Raises DBAPIError."""
        dialect = connection.dialect
        written = self._written.get(dialect.name) or self._write(dialect)
        try:
            return written.run(connection, values)
        except dialect.loaded_dbapi.Error as problem:
            raise self.failed(dialect, problem) from problem

    def leave(self, connection: Connection, values: Mapping[str, Any], then: Then | None = None) -> None:
        """Have it run with `values` before the next one, and do not wait for that; `then` gets what it gave.

        Nothing that reads sees the difference. But an error may show later, where the next statement is run
        or the works end, and `then` may be called as late. Raises DBAPIError.
        """
        dialect = connection.dialect
        written = self._written.get(dialect.name) or self._write(dialect)
        try:
            written.leave(connection, values, then)
        except dialect.loaded_dbapi.Error as problem:
            raise self.failed(dialect, problem) from problem

    @staticmethod
    def failed(dialect: Dialect, problem: Exception) -> DBAPIError:
        """Return the error as SQLAlchemy would raise it.

        Without the values: people's words and secrets are among them.
        """
        error = dialect.loaded_dbapi.Error
        made = DBAPIError.instance(None, None, problem, error, hide_parameters=True, dialect=dialect)
        return cast("DBAPIError", made)

    def _write(self, dialect: Dialect) -> Written:
        compiled = cast(
            "SQLCompiler", self._statement.compile(dialect=dialect, column_keys=self._columns or None)
        )
        # SQLite's driver takes parameters by their place; for PostgreSQL they are written by their name.
        by_name, sql = not compiled.positional, str(compiled)
        named = [name for name in compiled.binds if f"%({name})s" in sql]
        binds: list[Bind] = []
        for name in named if by_name else compiled.positiontup or ():
            bind = compiled.binds[name]
            convert = bind.type.dialect_impl(dialect).bind_processor(dialect)
            binds.append((name, bind.value, convert))
        made: Written = getattr(dialect, "written", _AtOnce)(sql, Binds(binds))
        return self._written.setdefault(dialect.name, made)


class Reading(Statement):
    """A query whose rows come as SQLAlchemy would give them, each value by the name of its column."""

    def __init__(self, query: "Select[Any]") -> None:
        super().__init__(query)
        self._query = query
        self._loads: dict[str, Callable[[Any], Any]] = {}

    def all(self, connection: Connection, values: Mapping[str, Any]) -> list[Any]:
        """Return the rows. Raises DBAPIError."""
        dialect = connection.dialect
        load = self._loads.get(dialect.name) or self._loads.setdefault(dialect.name, self._load(dialect))
        return [load(row) for row in self.run(connection, values).fetchall()]

    def first(self, connection: Connection, values: Mapping[str, Any]) -> Any:
        """Return the first row, None where there is none. Raises DBAPIError."""
        rows = self.all(connection, values)
        return rows[0] if rows else None

    def _load(self, dialect: Dialect) -> Callable[[Any], Any]:
        """Return what makes a row of what the driver gives: once asked for, for it takes a while."""
        columns = tuple(self._query.selected_columns)
        made = namedtuple("Row", [str(column.key) for column in columns])  # type: ignore[misc]  # noqa: PYI024
        found = [
            (place, column.type.dialect_impl(dialect).result_processor(dialect, None))
            for place, column in enumerate(columns)
        ]
        conversions = [(place, convert) for place, convert in found if convert is not None]

        def load(row: Any) -> Any:
            values = list(row)
            for place, convert in conversions:
                values[place] = convert(values[place])
            return made._make(values)

        return load
