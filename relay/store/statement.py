"""Statements of the hot path: written by SQLAlchemy once, then run by the driver itself.

SQLAlchemy looks up the compiled form, binds and result of a statement anew at each execution, which
costs several times what SQLite takes for one row. The SQL, and the errors, are the ones it would give.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from sqlalchemy import ClauseElement, Connection, Dialect
from sqlalchemy.engine.interfaces import DBAPICursor
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.compiler import SQLCompiler


@dataclass(frozen=True)
class _Bind:
    """One parameter in its place: what it is unless given, and how the driver wants it."""

    name: str
    default: Any
    convert: Callable[[Any], Any] | None

    def value(self, values: Mapping[str, Any]) -> Any:
        value = values.get(self.name, self.default)
        return value if self.convert is None else self.convert(value)


@dataclass(frozen=True)
class _Written:
    sql: str
    binds: tuple[_Bind, ...]


class Statement:
    """A statement that writes, or reads what the driver gives as it is.

    `columns` are those that an INSERT or UPDATE takes from its values.
    """

    def __init__(self, statement: ClauseElement, columns: Iterable[str] = ()) -> None:
        self._statement = statement
        self._columns = tuple(columns)
        self._written: dict[str, _Written] = {}

    def run(self, connection: Connection, values: Mapping[str, Any]) -> DBAPICursor:
        """Run it with `values` and return the driver's cursor. Raises DBAPIError."""
        dialect = connection.dialect
        written = self._written.get(dialect.name) or self._write(dialect)
        cursor = connection.connection.cursor()
        try:
            cursor.execute(written.sql, [bind.value(values) for bind in written.binds])
        except dialect.loaded_dbapi.Error as problem:
            # Without the values: people's words and secrets are among them.
            raise DBAPIError.instance(
                written.sql, None, problem, dialect.loaded_dbapi.Error, hide_parameters=True, dialect=dialect
            ) from problem
        return cursor

    def _write(self, dialect: Dialect) -> _Written:
        compiled = cast(
            "SQLCompiler", self._statement.compile(dialect=dialect, column_keys=self._columns or None)
        )
        binds = []
        for name in compiled.positiontup or ():
            bind = compiled.binds[name]
            convert = bind.type.dialect_impl(dialect).bind_processor(dialect)
            binds.append(_Bind(name, bind.value, convert))
        return self._written.setdefault(dialect.name, _Written(str(compiled), tuple(binds)))
