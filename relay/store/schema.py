"""Brings the schema of a store to this version's, by Alembic, at start."""

from pathlib import Path

from sqlalchemy import Connection, inspect, text

from relay.store.errors import StoreError

_MIGRATIONS = Path(__file__).parent / "migrations"
# The newest of them: a store that has it is opened without Alembic, a fifth of a second to import.
HEAD = "0007"


def upgrade(connection: Connection) -> None:
    """Apply every migration that `connection`'s database lacks. Raises StoreError for one of the future."""
    if _applied(connection) != HEAD:
        _migrate(connection)


def _applied(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    applied: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return applied


def _migrate(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    configuration = Config()
    configuration.set_main_option("script_location", str(_MIGRATIONS))
    configuration.attributes["connection"] = connection
    try:
        command.upgrade(configuration, "head")
    except CommandError as problem:
        raise StoreError(f"a newer version of relay wrote it; run that version ({problem})") from problem
