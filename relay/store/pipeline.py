"""Statements on their way to a PostgreSQL server, by libpq's pipeline: sent, and not waited for.

How a statement ended is asked when somebody wants to know, or at the end of the works: of all that was left
in one go. They are run in their order, and of a transaction in which one has failed nothing more is.

By libpq itself and not by a cursor: a cursor costs the writer more than the statement costs the server.
"""

import contextlib
import hashlib
import select
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import psycopg
from psycopg import abc, pq
from psycopg.adapt import Transformer
from psycopg.errors import error_from_result
from psycopg.pq.abc import PGresult
from sqlalchemy import Connection

from relay.store.statement import Binds, Found, Then

_FAILED = (pq.ExecStatus.FATAL_ERROR, pq.ExecStatus.BAD_RESPONSE)
_READ, _WRITE = select.POLLIN, select.POLLOUT

Parameters = Sequence[bytes | None]


class Prepared:
    """A statement that a server keeps once it has met it, under a name that says what it is.

    Behind a pooler that mixes up its servers another relay's statement of a name is then the same one.
    """

    def __init__(self, sql: str, binds: Binds) -> None:
        self._binds = binds
        numbers = {name: f"${number}" for number, name in enumerate(binds.names, 1)}
        for name, number in numbers.items():
            sql = sql.replace(f"%({name})s", number)
        self.sql = sql.replace("%%", "%").encode()
        self.name = b"relay_" + hashlib.sha256(self.sql).hexdigest()[:32].encode()

    def run(self, connection: Connection, values: Mapping[str, Any]) -> Found:
        """Run it behind what was left, and return what it gave. Raises psycopg.Error."""
        return _pipeline(connection).run(self, self._parameters(values))

    def leave(self, connection: Connection, values: Mapping[str, Any], then: Then | None) -> None:
        """Have it run, and do not wait for that. Raises psycopg.Error."""
        _pipeline(connection).leave(self, self._parameters(values), then)

    def _parameters(self, values: Mapping[str, Any]) -> Parameters:
        return [_dumped(value) for value in self._binds.of(values)]


def _pipeline(connection: Connection) -> "Pipeline":
    found: Pipeline = connection.dialect.pipeline  # type: ignore[attr-defined]  # of the dialect that has it
    return found


def without_nul(text: str) -> str:
    """Return what can be kept: every character but one, in nothing that people or agents mean to say."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}") if "\0" in text else text


def _dumped(value: Any) -> bytes | None:
    """Return a parameter as text, of the type that the statement says."""
    if value is None:
        return None
    if isinstance(value, str):
        return (value if "\0" not in value else without_nul(value)).encode()
    if isinstance(value, bool):
        return b"t" if value else b"f"
    if isinstance(value, int):
        return b"%d" % value
    raise TypeError(f"a statement takes no {type(value).__name__}")


class _Rows:
    """What a statement gave."""

    def __init__(self, result: PGresult, loading: abc.Transformer) -> None:
        self._result = result
        self._loading = loading
        self._next = 0

    @property
    def rowcount(self) -> int:
        """How many rows it wrote."""
        return self._result.command_tuples or 0

    def fetchone(self) -> Any:
        """Return the next row."""
        rows = self._load(min(self._next + 1, self._result.ntuples))
        return rows[0] if rows else None

    def fetchall(self) -> list[Any]:
        """Return the rows that are left."""
        return self._load(self._result.ntuples)

    def _load(self, end: int) -> list[Any]:
        first, self._next = self._next, end
        if first == end:
            return []
        self._loading.set_pgresult(self._result)
        return self._loading.load_rows(first, end, tuple)


class _Sent(NamedTuple):
    """What a server was given, and has not told the end of: the statement, or at first its name alone."""

    prepared: Prepared
    names: bool
    then: Then | None = None


class Pipeline:
    """What one connection has been given, and was not yet asked about.

    Each statement goes off at once, so that the server is at it while the next one is made, and with a
    synchronisation of its own: a relay that is stopped then is idle in its turn, and loses it.
    """

    def __init__(self, connection: "psycopg.Connection[Any]", *, prepares: bool) -> None:
        self._connection = connection
        self._pgconn = connection.pgconn
        self._loading = Transformer(connection)
        self._sent: list[_Sent] = []
        self._known: set[bytes] = set()
        self._polling = select.poll()
        self._polling.register(self._pgconn.socket, _READ)
        # Whether the server keeps what it has met; see `Place.learn`.
        self.prepares = prepares

    def leave(self, prepared: Prepared, parameters: Parameters, then: Then | None = None) -> None:
        """Have a statement run; `then` is told what it gave, once that is asked. Raises psycopg.Error."""
        try:
            if not self._sent:
                self._pgconn.enter_pipeline_mode()
            self._send(prepared, parameters)
            self._pgconn.pipeline_sync()
        except psycopg.Error:
            self._give_up()
            raise
        self._sent.append(_Sent(prepared, names=False, then=then))

    def _send(self, prepared: Prepared, parameters: Parameters) -> None:
        if not self.prepares:
            self._pgconn.send_query_params(prepared.sql, parameters)
            return
        if prepared.name not in self._known:
            self._known.add(prepared.name)
            self._sent.append(_Sent(prepared, names=True))
            self._pgconn.send_prepare(prepared.name, prepared.sql)
        self._pgconn.send_query_prepared(prepared.name, parameters)

    def _give_up(self) -> None:
        """Close the connection: nobody knows any more to what its next answer belongs."""
        self._sent.clear()
        self._connection.close()

    def run(self, prepared: Prepared, parameters: Parameters) -> Found:
        """Have a statement run, and return what it gave. Raises psycopg.Error, also of what was left."""
        self.leave(prepared, parameters)
        return _Rows(self._told()[-1], self._loading)

    def flush(self) -> None:
        """Wait for the end of what was left. Raises psycopg.Error."""
        if self._sent:
            self._told()

    def forget(self) -> None:
        """Let what was left end as it may: its transaction is given up."""
        # What is wrong with the connection, whoever uses it next finds out.
        with contextlib.suppress(psycopg.Error):
            self.flush()

    def _told(self) -> list[PGresult]:
        """Return how all that was left ended."""
        sent, results = self._ended()
        failed = None
        for one, result in zip(sent, results, strict=True):
            if result.status in _FAILED:
                failed = failed or error_from_result(result)
                if one.names:
                    self._known.discard(one.prepared.name)
        if failed is not None:
            raise failed
        for one, result in zip(sent, results, strict=True):
            if one.then is not None:
                one.then(_Rows(result, self._loading))
        return results

    def _ended(self) -> tuple[list[_Sent], list[PGresult]]:
        """Wait until nothing is left, and return what was, and how each of it ended."""
        sent, self._sent = self._sent, []
        try:
            results = self._results(sum(not one.names for one in sent))
            self._pgconn.exit_pipeline_mode()
        except psycopg.Error:
            self._give_up()
            raise
        return sent, results

    def _results(self, synchronisations: int) -> list[PGresult]:
        results: list[PGresult] = []
        self._write_out()
        while synchronisations:
            while self._pgconn.is_busy():
                self._wait(_READ)
                self._pgconn.consume_input()
            result = self._pgconn.get_result()
            if result is None:  # the end of one statement's
                self._be_connected()
            elif result.status == pq.ExecStatus.PIPELINE_SYNC:
                synchronisations -= 1
            else:
                results.append(result)
        return results

    def _write_out(self) -> None:
        """Send all, and take meanwhile what comes: a server that cannot answer reads no more."""
        while self._pgconn.flush():
            self._wait(_READ | _WRITE)
            self._pgconn.consume_input()

    def _wait(self, what: int) -> None:
        self._polling.modify(self._pgconn.socket, what)
        self._polling.poll()

    def _be_connected(self) -> None:
        if self._pgconn.status == pq.ConnStatus.BAD:
            raise psycopg.OperationalError(self._pgconn.get_error_message())
