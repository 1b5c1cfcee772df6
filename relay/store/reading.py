"""Opens a store only to read it, beside a relay that writes it."""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

_BUSY = 5.0  # seconds


@contextlib.contextmanager
def reading(path: Path, *, alone: bool = False) -> Iterator[sqlite3.Connection]:
    """Give a connection that cannot write; `alone` says that nobody else has the file open.

    Beside a writer SQLite shares its log of changes; alone, without one, nothing is made beside the file.
    Raises sqlite3.Error.
    """
    wal = path.with_name(path.name + "-wal")
    how = "mode=ro&immutable=1" if alone and not wal.exists() else "mode=ro"
    connection = sqlite3.connect(
        f"file:{quote(str(path.absolute()))}?{how}", uri=True, timeout=_BUSY, isolation_level=None
    )
    try:
        yield connection
    finally:
        connection.close()
