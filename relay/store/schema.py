"""Brings the schema of a store to this version's at start: a new one as declared, an older one by Alembic."""

from pathlib import Path

from sqlalchemy import Connection, inspect, text

from relay.domain.findings import Finding, good, wrong
from relay.store.errors import StoreError
from relay.store.tables import metadata

_MIGRATIONS = Path(__file__).parent / "migrations"
# The newest of them: a store that has it is opened without Alembic, and a new one is made without it, for
# that takes a fifth of a second. A test sees that both ways lead to the same tables.
HEAD = "0010"
# The oldest schema whose relays work on a store of this one: what came since only adds to it. Kept in the
# store, so that relays of the version before go on, and start again, while others are of this one already.
_READABLE_FROM = "0010"
# The workspaces that a store serves, each with its token as it is kept.
SEALED = (
    "SELECT team_id, sealed_bot FROM installations"
    " WHERE revoked_at IS NULL AND covered_by IS NULL ORDER BY team_id"
)
READABLE = (
    "SELECT value FROM settings WHERE name = 'readable_from/' || (SELECT version_num FROM alembic_version)"
)
SCHEMA = "store schema"


def version_found(version: str | None, readable_from: str = "", *, is_ours: bool = True) -> Finding:
    """Return what it means that a store is of this version, and may be opened from that one on.

    `is_ours`: relay's tables are there, too; else another program keeps its own in their place.
    """
    if version is None:
        return good(SCHEMA, "none yet; relay makes it when it starts")
    if not is_ours:
        return wrong(SCHEMA, *_not_ours(version))
    if version > HEAD and _is_readable(readable_from):
        return good(SCHEMA, f"version {version}, of a newer relay; this one works with it")
    if version > HEAD:
        found = f"version {version}, of a newer relay; this one knows {HEAD}"
        return wrong(SCHEMA, found, "Run the newer version of relay.")
    later = "" if version == HEAD else f"; relay brings it to {HEAD} when it starts"
    return good(SCHEMA, f"version {version}{later}")


def upgrade(connection: Connection) -> bool:
    """Make the tables, or apply every migration that `connection`'s database lacks; return whether it did.

    One of the future is left as it is, where it says that this version works with it. Raises StoreError.
    """
    applied = _applied(connection)
    if _is_workable(connection, applied):
        return False
    if applied is not None and applied > HEAD:
        raise _too_new(applied)
    if applied is None:
        _create(connection)
    else:
        _migrate(connection)
    return True


def refuse_other(connection: Connection) -> None:
    """Raise StoreError where `connection`'s database is of a version that this one does not work with."""
    applied = _applied(connection)
    if _is_workable(connection, applied):
        return
    if applied is not None and applied > HEAD:
        raise _too_new(applied)
    raise StoreError(
        f"it is of an older relay (schema {applied or 'none'}), and this one works with {HEAD}",
        "Start relay of this version first, which brings it there, or use the version that it is of.",
    )


def _too_new(applied: str) -> StoreError:
    return StoreError(
        f"a newer version of relay wrote it (schema {applied}; this one knows {HEAD})", "Run that version."
    )


def _is_workable(connection: Connection, applied: str | None) -> bool:
    """Return whether a store needs no migration: it is of this version, or newer and says so."""
    if applied is None or applied < HEAD:
        return False
    return applied == HEAD or _is_readable(connection.scalar(text(READABLE)) or "")


def declare(connection: Connection) -> None:
    """Have the store say which versions of relay work with it, now that it is of this one."""
    connection.execute(text("DELETE FROM settings WHERE name LIKE 'readable_from/%'"))
    row = {"name": f"readable_from/{HEAD}", "value": _READABLE_FROM}
    connection.execute(text("INSERT INTO settings (name, value) VALUES (:name, :value)"), row)


def _is_readable(readable_from: str) -> bool:
    return bool(readable_from) and readable_from <= HEAD


def _applied(connection: Connection) -> str | None:
    """Return the version of a store, None of an empty database. Raises StoreError of another program's."""
    tables = inspect(connection)
    if not tables.has_table("alembic_version"):
        return None
    applied: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    if applied is not None and not tables.has_table("settings"):
        raise StoreError(*_not_ours(applied))
    return applied


def _not_ours(version: str) -> tuple[str, str]:
    """Return what is wrong with tables of another program, and what to do."""
    found = f"another program keeps its tables there (their version is {version!r}), and relay none"
    return found, "Give relay a database, or a schema, of its own."


def _create(connection: Connection) -> None:
    metadata.create_all(connection, checkfirst=False)
    # As Alembic declares it, which goes on from here.
    pinned = "version_num VARCHAR(32) NOT NULL, CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)"
    connection.execute(text(f"CREATE TABLE IF NOT EXISTS alembic_version ({pinned})"))
    connection.execute(text("INSERT INTO alembic_version (version_num) VALUES (:head)"), {"head": HEAD})


def _migrate(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    configuration = Config()
    configuration.set_main_option("script_location", str(_MIGRATIONS))
    configuration.attributes["connection"] = connection
    if connection.dialect.name == "postgresql":
        # What changes a large table takes as long as it takes.
        connection.execute(text("SET LOCAL statement_timeout = 0"))
    try:
        command.upgrade(configuration, "head")
    except CommandError as problem:
        raise StoreError(f"a newer version of relay wrote it; run that version ({problem})") from problem
