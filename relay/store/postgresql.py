"""The PostgreSQL engine: one connection for the works of this relay, which take turns with other relays'.

Nominal flow:   BEGIN, take the turn, read the clock ─▶ works ─▶ stamp, NOTIFY, COMMIT in one round trip
Lost before COMMIT:  a new connection ─▶ the batch once more: nothing of it was kept
Lost in COMMIT:      a new connection ─▶ the turn: what the old one was at has ended ─▶ the stamp says how
"""

import contextlib
import logging
import secrets
import time
from collections.abc import Collection, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import psycopg
from psycopg import conninfo
from psycopg.adapt import AdaptersMap
from psycopg.types.string import StrDumperUnknown
from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import PoolProxiedConnection, StaticPool

from relay.domain.store_urls import is_ambiguous, store_name
from relay.store.errors import DoubtError, StoreError, cause
from relay.store.listening import CHANNEL, Listening
from relay.store.pipeline import Pipeline, Prepared, without_nul
from relay.store.place import Wake, Warn
from relay.store.statement import Statement
from relay.store.steps import unopened

_OLDEST = 130000  # the version of the server
_TURN = 0x72656C6179
# Whoever is stopped between two statements, or cut off, loses its turn before the next gives up waiting.
_BEGIN = (
    "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;"
    "SET LOCAL idle_in_transaction_session_timeout = '5s';"
    "SET LOCAL lock_timeout = '6s';"
    "SET LOCAL statement_timeout = '30s';"
    "{durably}"
    f"SELECT pg_advisory_xact_lock({_TURN});"
    "SELECT clock_timestamp()"
)
# Stopped in the middle of several statements (as of an executemany) it is busy to the server, for ever.
_FREE = """
    SELECT pg_terminate_backend(held.pid) FROM pg_locks AS held JOIN pg_stat_activity AS who USING (pid)
    WHERE held.locktype = 'advisory' AND held.granted AND who.datname = current_database()
    AND (held.classid, held.objid, held.objsubid) = (%s, %s, 1)
    AND who.wait_event = 'ClientRead' AND who.state_change < clock_timestamp() - interval '5 s'
"""
_DURABLY = "SET LOCAL synchronous_commit = 'on';"
# Only of what wrote something: a batch that only read costs no sync.
_STAMP = (
    "INSERT INTO seen (team_id, key, seen_at) SELECT '', '{name}', {number}"
    " WHERE pg_current_xact_id_if_assigned() IS NOT NULL"
    " ON CONFLICT (team_id, key) DO UPDATE SET seen_at = excluded.seen_at;"
)
_PATIENCE = 2.0  # seconds; Slack waits for three
_PATIENCE_IN_DOUBT = 15.0  # what is true is worth more than when it is known
_PAUSE = 0.1
# Of a server that goes or comes, or is not the one to write to.
_PASSING = ("08", "57P01", "57P02", "57P03", "25006", "25P03", "40001", "40P01")
# Of a pooler that gives each transaction another server, which has prepared something else.
_UNPREPARED = ("26000", "42P05")
_LOCKED = "55P03"


# Goes on while the machine sleeps, where there is such a clock: leases run out meanwhile.
_TICKS = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class Clock:
    """Goes by the database's clock, also between two readings of it, whatever this machine's says."""

    def __init__(self) -> None:
        self.set(datetime.now(UTC))

    def set(self, moment: datetime) -> None:
        self._read = moment.astimezone(UTC), time.clock_gettime(_TICKS)

    def __call__(self) -> datetime:
        moment, at = self._read
        return moment + timedelta(seconds=time.clock_gettime(_TICKS) - at)


class Turns:
    """Begins and ends the transactions of one writer."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.name = f"writer/{secrets.token_hex(8)}"
        self.notice = ""
        self.durably = ""
        # Of a commit that got no answer yet, or never did.
        self.unsure: int | None = None
        self._last = 0

    def begin(self, connection: PoolProxiedConnection) -> None:
        """Begin, in turn: what is read is then still so when it is written, whoever else writes."""
        cursor = connection.cursor()
        cursor.execute(_BEGIN.format(durably=self.durably))
        while cursor.nextset():
            pass
        for (moment,) in cursor.fetchall():
            self.clock.set(moment)

    def commit(self, connection: PoolProxiedConnection) -> None:
        """Commit, and leave a stamp by which it can be told later that this was kept."""
        # Kept among what was seen, and forgotten with it after a day: by then nobody asks.
        number = max(self._last + 1, int(self.clock().timestamp() * 1_000_000))
        self._last, self.unsure = number, number
        cursor = connection.cursor()
        try:
            cursor.execute(_STAMP.format(name=self.name, number=number) + self.notice + "COMMIT")
        except psycopg.Error as problem:
            # What ends the connection as well may have come when all was done already.
            if problem.diag.severity_nonlocalized == "ERROR":
                self.unsure = None
            raise
        self.unsure, self.notice = None, ""

    def kept(self, connection: Connection, number: int) -> bool:
        """Return whether the commit of that number was kept."""
        query = text("SELECT seen_at FROM seen WHERE team_id = '' AND key = :name")
        return connection.execute(query, {"name": self.name}).scalar() == number


class TurnsDialect(PGDialect_psycopg):
    """PostgreSQL through psycopg, which is told to begin nothing itself."""

    supports_statement_cache = True
    turns: Turns
    pipeline: Pipeline  # of the one connection there is
    written = Prepared

    def do_execute(self, cursor: Any, statement: str, parameters: Any, context: Any = None) -> None:
        """Run a statement behind those that were left."""
        self.pipeline.flush()
        super().do_execute(cursor, statement, parameters, context)  # type: ignore[no-untyped-call]

    def do_executemany(self, cursor: Any, statement: str, parameters: Any, context: Any = None) -> None:
        """Run a statement with many parameters behind those that were left."""
        self.pipeline.flush()
        super().do_executemany(cursor, statement, parameters, context)  # type: ignore[no-untyped-call]

    def do_execute_no_params(self, cursor: Any, statement: str, context: Any = None) -> None:
        """Run a statement without parameters behind those that were left."""
        self.pipeline.flush()
        super().do_execute_no_params(cursor, statement, context)  # type: ignore[no-untyped-call]

    def do_rollback(self, dbapi_connection: PoolProxiedConnection) -> None:
        """Roll back, with what was left."""
        self.pipeline.forget()
        super().do_rollback(dbapi_connection)  # type: ignore[no-untyped-call]

    def do_begin(self, dbapi_connection: PoolProxiedConnection) -> None:
        """Begin in turn."""
        self.turns.begin(dbapi_connection)

    def do_commit(self, dbapi_connection: PoolProxiedConnection) -> None:
        """Commit what was left too, with a stamp."""
        self.pipeline.flush()
        self.turns.commit(dbapi_connection)


# What ends by an error is told as one; what it says of the same besides would stand outside of the log.
logging.getLogger("psycopg").addHandler(logging.NullHandler())
registry.register("postgresql.turns", __name__, TurnsDialect.__name__)


class _Text(StrDumperUnknown):
    def dump(self, obj: str) -> Any:
        return super().dump(without_nul(obj))


class Database:
    """A store in a PostgreSQL database, with other relays or without."""

    is_alone = False

    def __init__(self, url: str) -> None:
        self.name = store_name(url)
        self._parameters = _parameters(url)
        self._prepare: int | None = 5
        self._live: psycopg.Connection[Any] | None = None
        self._turns = Turns()
        self.writer = self._turns.name
        self._listening: Listening | None = None
        self.engine: Engine = create_engine(
            "postgresql+turns://",
            creator=self._for_works,
            poolclass=StaticPool,
            use_native_hstore=False,
            hide_parameters=True,
        )
        self._dialect = cast("TurnsDialect", self.engine.dialect)
        self._dialect.turns = self._turns

    def exists(self) -> bool:
        """Return whether a relay has made its tables there. Raises StoreError."""
        with self.looking() as connection:
            found = connection.execute("SELECT to_regclass('alembic_version') IS NOT NULL").fetchone()
        return found == (True,)

    def open(self) -> None:
        """Look whether this is a database to keep a store in. Raises StoreError."""
        with self.looking() as connection:
            self.look_at(connection)

    @contextlib.contextmanager
    def looking(self) -> "Iterator[psycopg.Connection[Any]]":
        """Give a connection to look with. Raises StoreError."""
        try:
            with contextlib.closing(self._connected()) as connection:
                yield connection
        except (psycopg.Error, StoreError) as problem:
            raise unopened(self.name, problem) from problem

    def look_at(self, connection: "psycopg.Connection[Any]") -> None:
        """Look whether a store may be kept where a connection leads. Raises StoreError."""
        if connection.info.server_version < _OLDEST:
            raise StoreError("it is older than PostgreSQL 13, the oldest that relay works with")
        encoding = connection.info.parameter_status("server_encoding")
        if encoding != "UTF8":
            raise StoreError(
                f"its encoding is {encoding}: create it with ENCODING 'UTF8'",
                "Create another: createdb --encoding=UTF8 --template=template0 NAME; or correct the URL.",
            )
        row = connection.execute("SELECT current_setting('synchronous_commit')").fetchone()
        # What is answered is durable, whatever others of this server settle for.
        self._turns.durably = _DURABLY if row == ("off",) else ""

    def _connected(self) -> "psycopg.Connection[Any]":
        self._live = connected(self._parameters, prepare=self._prepare)
        return self._live

    def _for_works(self) -> "psycopg.Connection[Any]":
        made = self._connected()
        self._dialect.pipeline = Pipeline(made, prepares=self._prepare is not None)
        return made

    def now(self) -> datetime:
        """Return the database's time."""
        return self._turns.clock()

    def leave_word(self, words: Collection[str]) -> None:
        """Have the next commit tell other relays what it leaves for them."""
        notices = (f"NOTIFY {CHANNEL}, '{self._turns.name} {word}';" for word in words)
        self._turns.notice = "".join(notices)

    def catch_up(self) -> None:
        """Run what works left. Raises DBAPIError."""
        try:
            self._dialect.pipeline.flush()
        except psycopg.Error as problem:
            raise Statement.failed(self._dialect, problem) from problem

    def let_go(self) -> None:
        """Give up what a work left that failed."""
        self._dialect.pipeline.forget()

    def learn(self, problem: BaseException) -> None:
        """Prepare nothing any more where each transaction meets another server."""
        found = _driver_error(problem.__cause__ or problem)
        if found is not None and found.sqlstate in _UNPREPARED and self._live is not None:
            self._prepare = self._live.prepare_threshold = None
            self._dialect.pipeline.prepares = False

    def again(self, problem: Exception, since: float) -> bool:
        """Find out on a new connection what became of a batch; see `Place`."""
        unsure, self._turns.unsure = self._turns.unsure, None  # from here on it is the caller's to know
        if unsure is None and not self._passes(problem):
            if not self._freed(problem):
                raise _worded(problem)
            return True
        patience = _PATIENCE if unsure is None else _PATIENCE_IN_DOUBT
        while True:
            self.engine.dispose()
            try:
                # Who has the turn again has waited for the end of what the old connection was at.
                with self.engine.connect() as connection, connection.begin():
                    kept = unsure is not None and self._turns.kept(connection, unsure)
            except (SQLAlchemyError, psycopg.Error) as another:
                self._turns.unsure = None  # of that look itself
                problem = another
                if not self._passes(another) or time.monotonic() - since > patience:
                    break
            else:
                return not kept
            time.sleep(_PAUSE)
        self.engine.dispose()
        raise self._lost(problem, unsure) from problem

    def _freed(self, problem: Exception) -> bool:
        """Take the turn from who has it and says nothing any more; return whether there was one."""
        found = _driver_error(problem)
        if found is None or found.sqlstate != _LOCKED:
            return False
        self.engine.dispose()
        with contextlib.suppress(psycopg.Error), contextlib.closing(connected(self._parameters)) as another:
            return another.execute(_FREE, (_TURN >> 32, _TURN & 0xFFFFFFFF)).fetchone() is not None
        return False

    def _lost(self, problem: Exception, unsure: int | None) -> StoreError:
        if unsure is not None:
            return DoubtError(
                f"the database was lost while it stored this, which may be kept: {cause(problem)}"
            )
        return StoreError(f"the database cannot be reached: {cause(problem)}")

    @staticmethod
    def _passes(problem: Exception) -> bool:
        """Return whether a problem is one of the connection, which a new one may be without."""
        found = _driver_error(problem)
        if found is None:
            return False
        state = found.sqlstate or ""
        return state.startswith(_PASSING) or (
            not state and isinstance(found, (psycopg.OperationalError, psycopg.InterfaceError))
        )

    def listen(self, wake: Wake, warn: Warn) -> None:
        """Call `wake` with what others left, or may have left."""
        self._listening = Listening(lambda: connected(self._parameters), self._turns.name, wake, warn)
        self._listening.start()

    def close(self) -> None:
        """End its connections."""
        if self._listening is not None:
            self._listening.stop()
        self.engine.dispose()


def _adapters() -> AdaptersMap:
    made = AdaptersMap(psycopg.adapters)
    made.register_dumper(str, _Text)
    return made


_ADAPTERS = _adapters()


def connected(parameters: dict[str, Any], prepare: int | None = None) -> "psycopg.Connection[Any]":
    """Return a connection that begins nothing by itself. Raises psycopg.Error."""
    return psycopg.connect(**parameters, context=_ADAPTERS, autocommit=True, prepare_threshold=prepare)


def _parameters(url: str) -> dict[str, Any]:
    """Return how to connect: as the URL says, and so that a lost server is missed soon. Raises StoreError."""
    scheme, _, rest = url.partition("://")
    malformed = StoreError(
        f"the store's URL {store_name(url)} is none of PostgreSQL's: use postgresql://user@host/database",
        "In a password write %40 for @, %2F for /, %25 for %, and so each of : ? # [ ], too.",
    )
    if is_ambiguous(url):  # whatever is wrong with it later would be said with a part of the password
        raise malformed
    try:
        given = conninfo.conninfo_to_dict(f"{scheme.partition('+')[0].lower()}://{rest}")
    except psycopg.Error:
        raise malformed from None  # libpq quotes what it does not take
    usual = {
        "application_name": "relay", "client_encoding": "UTF8", "connect_timeout": 2,
        "keepalives_idle": 5, "keepalives_interval": 2, "keepalives_count": 3, "tcp_user_timeout": 10_000,
        # Of several hosts, and after a failover: the one that takes what is written.
        "target_session_attrs": "read-write",
    }  # fmt: skip
    return {**usual, **given}


def _worded(problem: Exception) -> Exception:
    found = _driver_error(problem)
    if found is not None and found.sqlstate == _LOCKED:
        return StoreError("another relay has had the database to itself for too long")
    return problem


def _driver_error(problem: BaseException) -> psycopg.Error | None:
    found = getattr(problem, "orig", None) or problem
    return found if isinstance(found, psycopg.Error) else None
