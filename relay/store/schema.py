"""Brings the schema of a store to this version's, by Alembic, at start."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection

from relay.store.errors import StoreError

_MIGRATIONS = Path(__file__).parent / "migrations"


def upgrade(connection: Connection) -> None:
    """Apply every migration that `connection`'s database lacks. Raises StoreError for one of the future."""
    configuration = Config()
    configuration.set_main_option("script_location", str(_MIGRATIONS))
    configuration.attributes["connection"] = connection
    try:
        command.upgrade(configuration, "head")
    except CommandError as problem:
        raise StoreError(f"a newer version of relay wrote it; run that version ({problem})") from problem
