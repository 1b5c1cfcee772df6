"""Copies a store while a relay may be writing it: one moment of it, whole, or nothing."""

import contextlib
import os
import secrets
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from relay.domain.store_urls import is_database, store_name
from relay.store.engine import store_path
from relay.store.errors import StoreError
from relay.store.reading import reading

_PAGES = 100  # copied at a time: in between, Ctrl-C is heard
_BESIDE = ("-wal", "-shm", "-journal")


class BackupRefusedError(Exception):
    """A store is not copied to where it was asked to; the message says what to type."""


@dataclass(frozen=True)
class Backup:
    """A copy that was made, and what it holds."""

    file: Path
    size: int
    deliveries: int
    entries: int


def _nothing(_: str) -> None:
    return None


def back_up(url: str, file: Path, *, force: bool = False, at: Callable[[str], None] = _nothing) -> Backup:
    """Copy the store at `url` to `file`, which is there only once it is whole and on the disk.

    `at` is told the named points `backup.copying`, after each part, and `backup.copied`. Raises
    BackupRefusedError, StoreError.
    """
    if is_database(url):
        raise BackupRefusedError(
            f"the store {store_name(url)} is a database, which has its own way: pg_dump --format=custom, "
            "and pg_restore to bring it back"
        )
    source, file = store_path(url), file.absolute()
    _refuse(source, file, force=force)
    if not source.exists():
        raise StoreError(f"there is no store at {source}: set RELAY_STORE_URL to the relay's")
    try:
        with _partial(file) as copy:
            _copy(source, copy, at)
            at("backup.copied")
            deliveries, entries = _checked(copy)
            _sync(copy)
            size = copy.stat().st_size
            copy.rename(file)
        _sync(file.parent)
    except (OSError, sqlite3.Error) as problem:
        raise StoreError(f"the store was not copied to {file}: {problem}") from problem
    return Backup(file, size, deliveries, entries)


def _refuse(source: Path, file: Path, *, force: bool) -> None:
    """Raise where a copy would take something's place that may be needed."""
    own = [source.with_name(source.name + suffix) for suffix in ("", *_BESIDE, ".lock", ".sock")]
    if any(file.resolve() == one.resolve() for one in own) or _same(source, file):
        raise BackupRefusedError(f"{file} is the store itself: name another file")
    if file.is_dir():
        raise BackupRefusedError(f"{file} is a folder: name a file in it")
    if not file.parent.is_dir():
        raise BackupRefusedError(f"there is no folder {file.parent}: create it, or name another file")
    # SQLite would take what stands in them for changes of the new file.
    for beside in (file.with_name(file.name + suffix) for suffix in _BESIDE):
        if beside.exists():
            raise BackupRefusedError(
                f"{beside} is there: a process has {file} open, or had; name another file"
            )
    if file.exists() and not force:
        raise BackupRefusedError(f"{file} is there already: name another file, or add --force")


def _same(source: Path, file: Path) -> bool:
    return source.exists() and file.exists() and source.samefile(file)


@contextlib.contextmanager
def _partial(file: Path) -> Iterator[Path]:
    """Give an empty file beside `file` that its owner alone may read; it is gone at the end."""
    partial = file.with_name(f".{file.name}.{secrets.token_hex(4)}.partial")
    os.close(os.open(partial, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    try:
        yield partial
    finally:
        partial.unlink(missing_ok=True)


def _copy(source: Path, copy: Path, at: Callable[[str], None]) -> None:
    with reading(source) as store, contextlib.closing(sqlite3.connect(copy)) as made:
        # Nothing beside the copy is left when it is cut short, and until it is renamed nobody needs it.
        made.execute("PRAGMA journal_mode=MEMORY")
        made.execute("PRAGMA synchronous=OFF")
        # One moment is held for the whole of it: SQLite would begin anew whenever a relay commits.
        store.execute("BEGIN")
        store.execute("SELECT 1 FROM sqlite_master").fetchone()
        store.backup(made, pages=_PAGES, progress=lambda *_: at("backup.copying"))


def _checked(copy: Path) -> tuple[int, int]:
    """Return how many deliveries and entries of the record a copy holds. Raises StoreError."""
    with reading(copy, alone=True) as made:
        [verdict] = made.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            raise StoreError(f"the store is damaged, and was not copied: {verdict}")
        [deliveries] = made.execute("SELECT count(*) FROM deliveries").fetchone()
        [entries] = made.execute("SELECT count(*) FROM audit").fetchone()
    return deliveries, entries


def _sync(path: Path) -> None:
    """Wait until a file, or which files a folder has, is on the disk."""
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
