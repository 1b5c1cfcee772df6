"""`relay store`: the store as a file to keep elsewhere, or moved into a database."""

import json
import os
import shlex
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from relay.cli.ending import failed, misused
from relay.config import ConfigError, store_url
from relay.domain.store_urls import is_database, store_name
from relay.store import StoreError
from relay.store.backup import Backup, BackupRefusedError, back_up
from relay.store.errors import CopyRefusedError
from relay.store.opening import INSTALL

if TYPE_CHECKING:
    from relay.store.copying import Copied


class MisuseError(Exception):
    """What was typed cannot be done; the message says what can."""


def backup(parsed: Namespace) -> int:
    """Copy the store, beside a running relay or with it stopped, and say what the copy holds."""
    try:
        made = back_up(store_url(os.environ), Path(parsed.file), force=parsed.force)
    except (ConfigError, BackupRefusedError) as problem:
        return misused(problem)
    except StoreError as problem:
        return failed(problem)
    if parsed.json:
        print(json.dumps({**vars(made), "file": str(made.file)}, ensure_ascii=False))
    else:
        _say(made)
    return 0


def _say(made: Backup) -> None:
    held = f"{made.deliveries:,} deliveries and {made.entries:,} entries of the record"
    print(f"{made.file}: {made.size:,} bytes, with {held}")
    url = shlex.quote(f"sqlite:///{made.file}")
    print(f"To check the record in it: RELAY_STORE_URL={url} relay audit verify")


def copy(parsed: Namespace) -> int:
    """Copy the store from its file into a database, with the relay stopped, and say what was copied."""
    try:
        source, url = store_url(os.environ), _destination(parsed)
        if is_database(source) or not is_database(url):
            raise MisuseError(
                "`relay store copy URL` goes from a file, named by RELAY_STORE_URL, to a postgresql://… URL"
            )
        made = _copied(source, url)
    except (ConfigError, MisuseError, CopyRefusedError) as problem:
        return misused(problem)
    except StoreError as problem:
        return failed(problem)
    if parsed.json:
        print(json.dumps({**vars(made), "store": store_name(url)}, ensure_ascii=False))
    else:
        held = f"{made.deliveries:,} deliveries and {made.entries:,} entries of the record"
        print(f"{store_name(url)}: {held}")
        print("Set RELAY_STORE_URL to it, and start no relay on the file again: it would send things twice.")
    return 0


def _destination(parsed: Namespace) -> str:
    """Return the URL to copy to, as typed or from a file. Raises MisuseError."""
    if not parsed.url_file:
        return str(parsed.url)
    try:
        return Path(parsed.url_file).read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as problem:
        reason = getattr(problem, "strerror", None) or "not UTF-8"
        raise MisuseError(f"--url-file: cannot read {parsed.url_file}: {reason}") from problem


def _copied(source: str, url: str) -> "Copied":
    try:
        from relay.store.copying import copy_store
    except ImportError as problem:
        raise StoreError(f"it needs psycopg ({problem})", f"Run, {INSTALL}") from problem
    return copy_store(source, url)
