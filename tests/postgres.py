"""A real PostgreSQL server for tests and measurements: in a folder of its own, gone at the end."""

import atexit
import contextlib
import functools
import itertools
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg

_MISSING = (
    "these tests start a PostgreSQL server, and there is no `postgres` here: install it (on Debian: "
    "`apt-get install postgresql`; `make setup` does so as root), or put its folder in PATH"
)
_STARTS_WITHIN = 30.0
_NUMBERS = itertools.count(1)


def found(name: str = "postgres") -> str | None:
    """Return where a program of the server's is, if it is there: Debian keeps them out of PATH."""
    return shutil.which(name) or next(
        (str(one) for one in sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), reverse=True)), None
    )


def _program(name: str) -> str:
    where = found(name)
    if where is None:
        raise AssertionError(_MISSING)
    return where


def _as_nobody() -> Sequence[str]:
    """Return what to put before a command: PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return ()
    setpriv = shutil.which("setpriv")
    assert setpriv is not None, "as root these tests need `setpriv`, of util-linux"
    return (setpriv, "--reuid=65534", "--regid=65534", "--clear-groups")


@functools.cache
def _files_made(segment_mb: int) -> Path:
    """Return the files of a server that never ran, to be copied: to make them anew takes seconds."""
    folder = tempfile.mkdtemp(prefix="relay-pg-", dir="/tmp")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    if os.geteuid() == 0:
        os.chown(folder, 65534, 65534)
    files = Path(folder) / "data"
    _run(
        _program("initdb"), "-D", str(files), "-U", "relay", "-A", "trust", "-E", "UTF8", "--locale=C",
        "--no-sync", f"--wal-segsize={segment_mb}",
    )  # fmt: skip
    return files


def _run(*command: str) -> None:
    made = subprocess.run([*_as_nobody(), *command], cwd="/", capture_output=True, check=False)
    assert made.returncode == 0, made.stderr.decode()


class Server:
    """A server that listens on a socket in its own folder, made in another one, and nowhere else.

    `settings` take the place of what suits tests; None: of PostgreSQL's own.
    """

    def __init__(
        self,
        *,
        fsync: bool = False,
        segment_mb: int = 16,
        within: str = "",
        settings: Mapping[str, str | None] | None = None,
    ) -> None:
        self._segment_mb = segment_mb
        # Not pytest's folder, which only its own user may enter.
        self.folder = Path(tempfile.mkdtemp(prefix="relay-pg-", dir=within or "/tmp"))  # noqa: S108
        usual: dict[str, str | None] = {
            "listen_addresses": "",
            "unix_socket_directories": str(self.folder),
            "max_connections": "40",
            "shared_buffers": "16MB",
            "fsync": "on" if fsync else "off",
            "log_min_messages": "fatal",
            "autovacuum": "off",
            "recovery_init_sync_method": "syncfs",  # or each start after a crash syncs thousands of files
        }
        self._settings = {
            name: value for name, value in (usual | dict(settings or {})).items() if value is not None
        }
        self._running: subprocess.Popen[bytes] | None = None

    def make(self) -> None:
        """Make its files."""
        if os.geteuid() == 0:
            os.chown(self.folder, 65534, 65534)
        _run("cp", "-a", str(_files_made(self._segment_mb)), str(self._files))

    @property
    def _files(self) -> Path:
        return self.folder / "data"

    @property
    def socket(self) -> str:
        """Where it listens."""
        return str(self.folder / ".s.PGSQL.5432")

    def start(self) -> None:
        """Start it, and return once it takes connections."""
        self._running = self._begun()
        until = time.monotonic() + _STARTS_WITHIN
        while True:
            try:
                self.run("SELECT 1")
                return
            except psycopg.OperationalError:
                assert time.monotonic() < until, f"PostgreSQL does not start: see {self.folder}/said"
                time.sleep(0.02)
            if self._running.poll() is not None:
                # It refuses as long as a part of one that was killed is not gone.
                self._running = self._begun()

    def _begun(self) -> "subprocess.Popen[bytes]":
        settings = [one for name, value in self._settings.items() for one in ("-c", f"{name}={value}")]
        with (self.folder / "said").open("ab") as said:
            return subprocess.Popen(
                [*_as_nobody(), _program("postgres"), "-D", str(self._files), *settings],
                cwd=self.folder, stdout=said, stderr=said, start_new_session=True,
            )  # fmt: skip

    def stop(self, *, crash: bool = True) -> None:
        """Stop it: at once, as when the power fails; or in order, ending every connection."""
        if self._running is not None:
            if crash:
                self._kill(self._running.pid)
            else:
                self._running.send_signal(signal.SIGINT)
            self._running.wait(30)
            self._running = None

    @staticmethod
    def _kill(server: int) -> None:
        """Kill it with all that it started: one that still has something to do would do that first."""
        for each in (server, *_children(server)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(each, signal.SIGKILL)

    def allow_files_of(self, largest: int | None) -> None:
        """Let none of its files grow beyond `largest` bytes, as on a full disk; None: as they like.

        Its journal is written in segments of `segment_mb`, which must have room.
        """
        assert self._running is not None
        prlimit = shutil.which("prlimit")
        assert prlimit is not None, "these tests need `prlimit`, of util-linux"
        limit = f"--fsize={'unlimited' if largest is None else largest}:unlimited"
        for pid in (self._running.pid, *_children(self._running.pid)):
            ran = subprocess.run(  # as its user: not even root may for another's everywhere
                [*_as_nobody(), prlimit, f"--pid={pid}", limit], capture_output=True, text=True, check=False
            )
            # One of its processes may have ended since.
            assert ran.returncode == 0 or "No such process" in ran.stderr, ran.stderr

    def url(self, database: str, host: str = "") -> str:
        """Return where a database of it is; at another `host`, such as a proxy's folder."""
        return f"postgresql://relay@/{database}?host={host or self.folder}"

    def run(self, *statements: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        """Run statements one by one, and return what the last one gave."""
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            last = [connection.execute(statement) for statement in statements][-1]
            return last.fetchall() if last.description else []

    def add_user(self, name: str, password: str) -> None:
        """Have another user, who is asked for a password."""
        self.run(
            "SET password_encryption = 'scram-sha-256'", f"CREATE ROLE {name} LOGIN PASSWORD '{password}'"
        )
        rules = self._files / "pg_hba.conf"
        rules.write_text(f"local all {name} scram-sha-256\n{rules.read_text()}")
        self.run("SELECT pg_reload_conf()")
        until = time.monotonic() + _STARTS_WITHIN
        with contextlib.suppress(psycopg.OperationalError):  # then it is asked for
            while time.monotonic() < until:
                psycopg.connect(self.url("postgres").replace("relay@", f"{name}@")).close()
                time.sleep(0.02)

    def new_database(self, template: str = "template0") -> str:
        """Return the URL of a new database: an empty one, or a copy of another one."""
        name = f"relay_{next(_NUMBERS)}"
        self.run(f"CREATE DATABASE {name} TEMPLATE {template}")
        return self.url(name)

    def drop(self, url: str) -> None:
        """Drop a database, whoever is connected to it."""
        self.run(f"DROP DATABASE {database_of(url)} WITH (FORCE)")


def database_of(url: str) -> str:
    """Return the name of the database of a URL."""
    return urlsplit(url).path.strip("/")


def _children(pid: int) -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # one that has ended since
            _, parent, *_ = stat.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
            found += [int(stat.parent.name)] if int(parent) == pid else []
    return found


@contextlib.contextmanager
def server(
    *, fsync: bool = False, segment_mb: int = 16, within: str = "",
    settings: Mapping[str, str | None] | None = None,
) -> Iterator[Server]:  # fmt: skip
    """Give a server that runs; it is gone at the end."""
    made = Server(fsync=fsync, segment_mb=segment_mb, within=within, settings=settings)
    try:
        made.make()
        made.start()
        yield made
    finally:
        made.stop(crash=False)  # it waits for all that it started
        shutil.rmtree(made.folder, ignore_errors=True)
