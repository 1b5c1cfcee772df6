"""What SQLite and PostgreSQL write differently, so that the statements stand once.

Written out here and not taken from SQLAlchemy's own dialect of PostgreSQL, which takes as long to import as
a short command takes in all: a relay with a file never loads it.
"""

from typing import Any

from sqlalchemy import Integer, LargeBinary
from sqlalchemy.dialects.sqlite import insert as upsert
from sqlalchemy.dialects.sqlite.dml import OnConflictDoNothing, OnConflictDoUpdate
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

__all__ = ["as_bytes", "position", "upsert"]

_POSTGRESQL = "postgresql"


@compiles(OnConflictDoNothing, _POSTGRESQL)
def _do_nothing(_: OnConflictDoNothing, __: SQLCompiler, **___: Any) -> str:
    return "ON CONFLICT DO NOTHING"


@compiles(OnConflictDoUpdate, _POSTGRESQL)
def _do_update(clause: OnConflictDoUpdate, compiler: SQLCompiler, **more: Any) -> str:
    quote = compiler.preparer.quote
    names = ", ".join(quote(str(name)) for name in clause.inferred_target_elements or ())
    changes = ", ".join(
        f"{quote(str(name))} = {compiler.process(value, **more)}"
        for name, value in dict(clause.update_values_to_set).items()
    )
    return f"ON CONFLICT ({names}) DO UPDATE SET {changes}"


class position(FunctionElement[int]):  # noqa: N801 - it is called as a function
    """Where in one text another begins, from 1; 0: nowhere."""

    type = Integer()
    inherit_cache = True


@compiles(position)
def _instr(element: position, compiler: SQLCompiler, **more: Any) -> str:
    return f"instr({compiler.process(element.clauses, **more)})"


@compiles(position, _POSTGRESQL)
def _strpos(element: position, compiler: SQLCompiler, **more: Any) -> str:
    return f"strpos({compiler.process(element.clauses, **more)})"


class as_bytes(FunctionElement[bytes]):  # noqa: N801 - the same
    """A column as the bytes of its text, whatever somebody put there."""

    type = LargeBinary()
    inherit_cache = True


@compiles(as_bytes)
def _blob(element: as_bytes, compiler: SQLCompiler, **more: Any) -> str:
    return f"CAST({compiler.process(element.clauses, **more)} AS BLOB)"


@compiles(as_bytes, _POSTGRESQL)
def _converted(element: as_bytes, compiler: SQLCompiler, **more: Any) -> str:
    return f"convert_to(CAST({compiler.process(element.clauses, **more)} AS TEXT), 'UTF8')"
