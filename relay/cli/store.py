"""`relay store`: the store as a file to keep elsewhere."""

import json
import os
import shlex
from argparse import Namespace
from pathlib import Path

from relay.cli.ending import failed, misused
from relay.config import ConfigError, store_url
from relay.store import StoreError
from relay.store.backup import Backup, BackupRefusedError, back_up


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
