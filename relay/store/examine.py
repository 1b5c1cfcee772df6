"""Looks at the place of a store, before anybody depends on it: nothing in it is changed."""

import contextlib
import fcntl
import os
import shutil
import sqlite3
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from relay.domain.findings import Finding, good, warning, wrong
from relay.domain.store_urls import is_database
from relay.store.engine import lock_path, store_path
from relay.store.errors import StoreError
from relay.store.opening import INSTALL
from relay.store.reading import reading
from relay.store.schema import READABLE, SCHEMA, SEALED, version_found

_STORE, _FOLDER = "store", "store folder"
_SLOW = 0.05  # seconds
_LEAST_FREE = 100_000_000  # bytes
_PAGE = b"\0" * 4096
_WRITABLE = "Give it to the user that runs relay, or set RELAY_STORE_URL."


def examined(url: str, *, relay_answers: bool) -> list[Finding]:
    """Return how the store that `url` names is; `relay_answers` says that a relay is heard that has it."""
    if is_database(url):
        return _of_database(url)
    try:
        path = store_path(url)
    except StoreError as problem:
        return [wrong(_STORE, str(problem), "Set RELAY_STORE_URL.")]
    if not path.parent.is_dir():
        found = f"there is no folder {path.parent.absolute()}"
        return [wrong(_FOLDER, found, "Create it, or set RELAY_STORE_URL.")]
    holder = _holder(lock_path(path))
    findings = [_held(path, holder, relay_answers=relay_answers)]
    if path.exists():
        findings += [schema(path, alone=holder is None), private(path)]
    return [*findings, _folder(path.parent), room(shutil.disk_usage(path.parent).free)]


def sealed_tokens(url: str) -> list[tuple[str, str]]:
    """Return the workspaces that are served, each with its sealed token: none where none can be read."""
    try:
        if is_database(url):
            from relay.store import examine_database

            return examine_database.sealed_tokens(url)
        path = store_path(url)
        with reading(path, alone=_holder(lock_path(path)) is None) as connection:
            return connection.execute(SEALED).fetchall()
    except (ImportError, sqlite3.Error, StoreError):
        return []  # why, `examined` says


def _of_database(url: str) -> list[Finding]:
    try:
        from relay.store import examine_database
    except ImportError as problem:
        return [wrong(_STORE, f"it needs psycopg ({problem})", f"Run, {INSTALL}")]
    return examine_database.examined(url)


def _holder(lock: Path) -> str | None:
    """Return which process holds a lock, None where none does."""
    with contextlib.suppress(OSError), lock.open(encoding="ascii", errors="replace") as file:
        try:
            # Shared and for no longer than it takes to let go of it: a relay that starts wants it whole.
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return file.read().strip() or "unknown"
    return None


def _held(path: Path, holder: str | None, *, relay_answers: bool) -> Finding:
    if holder is not None and relay_answers:
        return good(_STORE, f"a running relay has it (process {holder})")
    if holder is not None:
        found = f"process {holder} holds it, and does not answer as a relay"
        return wrong(
            _STORE, found, "If it is no relay that is to run, end it, or set RELAY_STORE_URL to another file."
        )
    if not path.exists():
        return good(_STORE, f"there is none at {path} yet; relay makes it when it starts")
    try:
        path.open("r+b").close()
    except OSError as problem:
        return wrong(_STORE, f"cannot be written at {path}: {problem.strerror}", _WRITABLE)
    return good(_STORE, f"{path}, which no process has open")


def schema(path: Path, *, alone: bool) -> Finding:
    """Return of which version a store is."""
    try:
        with reading(path, alone=alone) as connection:
            tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
            if ("alembic_version",) not in tables:
                return _unversioned(connection)
            kept = connection.execute("SELECT version_num FROM alembic_version").fetchone() or (None,)
            if ("settings",) not in tables:
                return version_found(kept[0], is_ours=False)
            readable = connection.execute(READABLE).fetchone() or ("",)
    except sqlite3.Error as problem:
        fix = "Put a backup in its place, or set RELAY_STORE_URL to another file."
        return wrong(SCHEMA, f"cannot be read: {problem}", fix)
    return version_found(kept[0], str(readable[0]))


def _unversioned(connection: sqlite3.Connection) -> Finding:
    if connection.execute("SELECT 1 FROM sqlite_master").fetchone() is None:
        return good(SCHEMA, "still empty")
    return wrong(SCHEMA, "it is a database, but not a store of relay's", "Set RELAY_STORE_URL.")


def private(path: Path) -> Finding:
    """Return whether others than its owner can read a store."""
    about = "store permissions"
    open_to = [one for one in _files(path) if stat.S_IMODE(one.stat().st_mode) & 0o077]
    if not open_to:
        return good(about, "its owner alone may read it")
    names = " ".join(map(str, open_to))
    found = "other users of this machine can read what people wrote"
    return warning(about, found, f"Run: chmod 600 {names}")


def _files(path: Path) -> Iterator[Path]:
    for suffix in ("", "-wal"):
        file = path.with_name(path.name + suffix)
        if file.exists():
            yield file


def _folder(folder: Path) -> Finding:
    """Return whether files can be made in a folder, and how long one takes to be on the disk."""
    try:
        with tempfile.NamedTemporaryFile(prefix=".relay-doctor-", dir=folder) as scratch:
            scratch.write(_PAGE)
            scratch.flush()
            begun = time.perf_counter()
            os.fsync(scratch.fileno())
            return sync(time.perf_counter() - begun)
    except OSError as problem:
        return wrong(_FOLDER, f"no file can be made in {folder}: {problem.strerror}", _WRITABLE)


def sync(seconds: float) -> Finding:
    """Return what it means that the disk takes so long to keep something."""
    took = f"{seconds * 1000:.1f} ms"
    if seconds <= _SLOW:
        return good(_FOLDER, f"can be written; the disk keeps something within {took}")
    return warning(
        _FOLDER,
        f"the disk takes {took} to keep something, which everybody who types or clicks waits for",
        "Put the store on a local disk.",
    )


def room(free: int) -> Finding:
    """Return whether so many bytes are enough to go on with."""
    found = f"{free / 1_000_000:,.0f} MB are free"
    if free >= _LEAST_FREE:
        return good("disk space", found)
    return warning("disk space", found, "Make room: without it nothing is taken any more.")
