"""The SQLite engine: one file, one connection, every commit on the disk before it returns."""

import contextlib
import fcntl
import os
from collections.abc import Collection
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import PoolProxiedConnection, StaticPool

from relay.domain.store_urls import is_database, store_name
from relay.store.errors import StoreError, StoreLockedError
from relay.store.place import Wake, Warn
from relay.store.tables import compact


def store_path(url: str) -> Path:
    """Return the file that `url` names. Raises StoreError for a URL this version cannot open."""
    if is_database(url):
        raise StoreError(f"the store {store_name(url)} is a database, and no file")
    if not url.startswith("sqlite"):  # not quoted: what is misspelt may be a database's, with its password
        raise StoreError("the store's URL is none of a store: use sqlite:///relay.db")
    try:
        parsed = make_url(url)
    except ArgumentError as problem:
        raise StoreError(f"the store's URL {url!r} is no database URL: use sqlite:///relay.db") from problem
    if parsed.get_backend_name() != "sqlite" or parsed.database in (None, "", ":memory:"):
        raise StoreError(f"the store's URL {url!r} must name a SQLite file: use sqlite:///relay.db")
    return Path(str(parsed.database))


def lock_path(path: Path) -> Path:
    """Return the file whose lock says who has the store at `path`."""
    return path.with_name(path.name + ".lock")


class LockFile:
    """Holds `path`.lock for this process alone; the system frees it however the process ends.

    Two processes that write one SQLite file in WAL mode can corrupt it before SQLite 3.51.3,
    and would send every delivery twice after it.
    """

    def __init__(self, path: Path) -> None:
        self._path = lock_path(path)
        self._file: IO[str] | None = None

    def acquire(self) -> None:
        """Take the lock. Raises StoreLockedError with the holder's process id."""
        file = self._open()
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as problem:
            holder = file.read().strip() or "unknown"
            file.close()
            raise StoreLockedError(
                f"the store is in use by another relay (process {holder}): stop it first, "
                "or give this one its own RELAY_STORE_URL"
            ) from problem
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        self._file = file

    def _open(self) -> IO[str]:
        try:
            file = self._path.open("a+", encoding="ascii")
        except FileNotFoundError as problem:
            # Not made here: a misspelt path would begin an empty store, beside the one that is meant.
            folder = self._path.parent.absolute()
            raise StoreError(
                f"the folder {folder} does not exist: create it, or set RELAY_STORE_URL"
            ) from problem
        except OSError as problem:
            raise StoreError(
                f"cannot write beside the store, at {self._path}: {problem.strerror}"
            ) from problem
        file.seek(0)
        return file

    def release(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


class ImmediateDialect(SQLiteDialect_pysqlite):
    """SQLite through Python's driver, which is told to begin nothing itself.

    The driver of Python 3.11 begins nothing before a SAVEPOINT, so that each RELEASE would commit by
    itself. A listener of the engine's could begin too, but would be looked for at every statement.
    """

    supports_statement_cache = True

    def do_begin(self, dbapi_connection: PoolProxiedConnection) -> None:
        """Begin as a writer: what is read is then still so when it is written."""
        dbapi_connection.cursor().execute("BEGIN IMMEDIATE")


registry.register("sqlite.immediate", __name__, ImmediateDialect.__name__)


def sqlite_engine(path: Path) -> Engine:
    """Return an engine with exactly one connection to the file at `path`."""
    engine = create_engine(
        URL.create("sqlite+immediate", database=str(path)),
        poolclass=StaticPool,
        connect_args={"check_same_thread": False, "isolation_level": None},
        json_serializer=compact,
        hide_parameters=True,  # an error quotes nobody's words
    )
    event.listen(engine, "connect", _configure)
    return engine


def _configure(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        "mmap_size=0",
        "busy_timeout=2000",
        # The journal of savepoints, which would be a file in a folder for temporary ones.
        "temp_store=MEMORY",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


class File:
    """A store in a SQLite file, which one process alone works on."""

    is_alone = True
    writer = ""

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        self._path = path
        self._lock = LockFile(path)
        self.engine = sqlite_engine(path)

    def exists(self) -> bool:
        """Return whether there is a file."""
        return self._path.exists()

    def open(self) -> None:
        """Take the file's lock. Raises StoreError, and StoreLockedError when another process has it."""
        self._lock.acquire()
        _keep_private(self._path)

    def now(self) -> datetime:
        """Return this machine's time: nobody else's counts."""
        return datetime.now(UTC)

    def catch_up(self) -> None:
        """Do nothing: whatever is left is run at once."""

    def let_go(self) -> None:
        """Do nothing: the same."""

    def leave_word(self, words: Collection[str]) -> None:
        """Do nothing: there are no other relays."""

    def learn(self, problem: BaseException) -> None:
        """Do nothing: a file gives nothing to learn."""

    def again(self, problem: Exception, since: float) -> bool:  # noqa: ARG002 - a file does not come back
        """Raise `problem`: a file has no connection to lose."""
        raise problem

    def listen(self, wake: Wake, warn: Warn) -> None:
        """Do nothing: nobody else leaves anything."""

    def close(self) -> None:
        """Close the file and free its lock."""
        self.engine.dispose()
        self._lock.release()


def _keep_private(path: Path) -> None:
    """Let nobody else read it: it holds people's words, and for half an hour their response_urls."""
    with contextlib.suppress(OSError):  # what is wrong with the file, opening it says better
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
