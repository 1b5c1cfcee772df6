"""The PostgreSQL server of a measurement: its own, with its default settings, on the disk that SQLite has."""

import contextlib
import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench.contestants import ROOT, ContestantError
from tests import postgres
from tests.postgres import Server

# Of what suits tests, PostgreSQL's own defaults; and, as by default, each commit is on the disk.
_DEFAULTS = dict.fromkeys(("max_connections", "shared_buffers", "autovacuum"))
_LONGEST = 60  # characters of a folder's path: that of a socket in it has 107 at most


def is_there() -> bool:
    """Return whether there is a server to start."""
    return postgres.found() is not None


@contextlib.contextmanager
def database() -> Iterator[Server]:
    """Give a server that runs on the cores of this process. Raises ContestantError."""
    with tempfile.TemporaryDirectory(prefix=".bench-", dir=_disk()) as folder:
        Path(folder).chmod(0o711)  # as root it is another user's, who has to get there
        with contextlib.ExitStack() as stack:
            try:
                server = postgres.server(fsync=True, within=folder, settings=_DEFAULTS)
                started = stack.enter_context(server)
            except AssertionError as problem:
                raise ContestantError(f"PostgreSQL: {problem}") from problem
            yield started


def _disk() -> Path:
    """Return the checkout, if the server's user gets there and a socket may have so long a name."""
    is_open = all(one.stat().st_mode & stat.S_IXOTH for one in (ROOT, *ROOT.parents))
    return ROOT if (is_open or os.geteuid() != 0) and len(str(ROOT)) <= _LONGEST else Path("/var/tmp")  # noqa: S108 - a folder of its own within
