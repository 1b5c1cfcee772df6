"""Group commit: one writer thread runs the works that wait, and commits them together.

Nominal flow:   transact ─▶ waiting ─▶ BEGIN, work…, COMMIT ─▶ every waiter answered
A work raises:  everything is rolled back and run once more, each work in a savepoint: the waiter of the one
                that raises gets the error, the others go on
COMMIT fails:   everything is rolled back and every waiter of the batch gets a StoreError

So a transaction costs one share of a sync to the disk, and is answered only after it.
"""

import asyncio
import contextlib
import os
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, insert, select
from sqlalchemy.exc import SQLAlchemyError

from relay.domain.audit import Anchor, Keys, derived_key
from relay.domain.seen import Seen, unseen
from relay.store import tables
from relay.store.audit import Chain, opened_chain
from relay.store.engine import LockFile, sqlite_engine, store_path
from relay.store.errors import StoreError
from relay.store.schema import upgrade
from relay.store.transaction import Figure, Transaction

T = TypeVar("T")
_LARGEST_BATCH = 256  # bounds how long the first waiter waits for the last work of its batch
# Where many come at once more are waited for: a commit costs as much as several works.
_MANY, _MOMENT = 8, 0.002  # seconds


def _nothing(_: str) -> None:
    return None


@dataclass
class _Waiting:
    work: Callable[[Transaction], Any]
    loop: asyncio.AbstractEventLoop
    answer: "asyncio.Future[Any]"
    result: Any = None
    error: BaseException | None = None
    wakes: bool = False
    urgent: bool = False
    figures: tuple[Figure, ...] = ()


@dataclass
class _Inbox:
    """What waits for the writer thread, and how it is woken."""

    waiting: deque[_Waiting] = field(default_factory=deque)
    changed: threading.Condition = field(default_factory=threading.Condition)
    closed: bool = False


class Store:
    """Runs works as durable transactions, in the order they came."""

    def __init__(
        self, engine: Engine, lock: LockFile, at: Callable[[str], None] = _nothing, seen: Seen = unseen
    ) -> None:
        self._engine = engine
        self._lock = lock
        self._at = at
        self._seen = seen
        self._inbox = _Inbox()
        self._writer = threading.Thread(target=self._write, name="store-writer", daemon=True)
        # Called when a commit left something to deliver.
        self.on_due: Callable[..., None] = lambda **_: None
        self.key = b""
        self.chain = Chain(Keys((b"",)))
        # Where the record is, as far as it is on the disk.
        self.anchor: Anchor | None = None

    @classmethod
    def open(
        cls,
        url: str,
        *,
        audit_keys: Sequence[bytes] = (),
        at: Callable[[str], None] = _nothing,
        seen: Seen = unseen,
    ) -> "Store":
        """Open the store at `url`, bring its schema up to date and free the claims of a run before.

        The first of `audit_keys` signs the record; without one, a key of the store's own. `at` is told
        the named point `store.committed` after every commit, `seen` what each took and held. Raises
        StoreError, and StoreLockedError when another process holds the file.
        """
        path = store_path(url)
        lock = LockFile(path)
        lock.acquire()
        _keep_private(path)
        engine = sqlite_engine(path)
        try:
            store = cls(engine, lock, at, seen)
            store._begin(audit_keys)
            return store
        except (SQLAlchemyError, StoreError) as problem:
            engine.dispose()
            lock.release()
            raise StoreError(f"cannot open the store at {path}: {_cause(problem)}") from problem

    def _begin(self, audit_keys: Sequence[bytes]) -> None:
        with self._engine.begin() as connection:
            upgrade(connection)
            self.key = _store_key(connection)
            self.chain = opened_chain(connection, Keys((*audit_keys, derived_key(self.key))))
            Transaction(connection, self.chain).deliveries.free_claims()
        self._writer.start()

    async def transact(self, work: Callable[[Transaction], T]) -> T:
        """Run `work` and return its result once it is durable. Raises what `work` raises, or StoreError.

        A work is run on a thread of the store's, and a second time where another one failed: it must touch
        nothing but its transaction.
        """
        loop = asyncio.get_running_loop()
        waiting = _Waiting(work, loop, loop.create_future())
        with self._inbox.changed:
            if self._inbox.closed:
                raise StoreError("the store is closed")
            self._inbox.waiting.append(waiting)
            self._inbox.changed.notify()
        # The work runs whatever becomes of its caller, whose cancelling cancels no more than the answer.
        result: T = await waiting.answer
        return result

    async def close(self) -> None:
        """Finish the works that wait, then close the file and free its lock."""
        with self._inbox.changed:
            self._inbox.closed = True
            self._inbox.changed.notify()
        await asyncio.to_thread(self._writer.join)
        self._engine.dispose()
        self._lock.release()

    def _write(self) -> None:
        many = False
        while batch := self._next_batch(many=many):
            many = len(batch) >= _MANY
            began = time.perf_counter()
            self._commit(batch)
            took = time.perf_counter() - began
            self._at("store.committed")
            _answer(batch)
            self._tell(batch, took)  # once nobody waits any more
            if any(waiting.wakes for waiting in batch):
                urgent = any(waiting.urgent for waiting in batch)
                with contextlib.suppress(RuntimeError):  # as for the answers: nobody is left
                    batch[0].loop.call_soon_threadsafe(partial(self.on_due, urgent=urgent))

    def _tell(self, batch: list[_Waiting], took: float) -> None:
        """Tell what a commit took and held, and what its works have to tell now that they are durable."""
        self._seen("store_commit_seconds", took)
        self._seen("store_commit_works", len(batch))
        for waiting in batch:
            if waiting.figures and waiting.error is None:
                for name, value, labels in waiting.figures:
                    self._seen(name, value, **labels)

    def _next_batch(self, *, many: bool) -> list[_Waiting]:
        inbox = self._inbox
        if many and not inbox.closed:
            time.sleep(_MOMENT)
        with inbox.changed:
            while not inbox.waiting and not inbox.closed:
                inbox.changed.wait()
            count = min(len(inbox.waiting), _LARGEST_BATCH)
            return [inbox.waiting.popleft() for _ in range(count)]

    def _commit(self, batch: list[_Waiting]) -> None:
        before = self.chain.head
        try:
            if not self._committed(batch):
                self.chain.head = before
                self._commit_apart(batch)
        except Exception as problem:  # noqa: BLE001 - the thread's boundary: each waiter is told
            self.chain.head = before
            self._seen("store_failures")
            for waiting in batch:
                if waiting.error is None:
                    waiting.error = StoreError(f"nothing was stored: {_cause(problem)}")
        self.anchor = self.chain.head

    def _committed(self, batch: list[_Waiting]) -> bool:
        """Commit works that all succeed, as nearly always; False: one failed, and nothing was stored."""
        with self._engine.connect() as connection, connection.begin() as begun:
            for waiting in batch:
                _run(connection, self.chain, waiting)
                if waiting.error is not None:
                    begun.rollback()
                    return False
        return True

    def _commit_apart(self, batch: list[_Waiting]) -> None:
        """Commit those that succeed: a savepoint each costs a tenth of a work, which only this needs."""
        with self._engine.connect() as connection, connection.begin():
            savepoints = connection.connection.cursor()
            for waiting in batch:
                before = self.chain.head
                savepoints.execute("SAVEPOINT work")
                _run(connection, self.chain, waiting)
                if waiting.error is not None:
                    savepoints.execute("ROLLBACK TO work")
                    self.chain.head = before  # the record has no hole where a work was
                savepoints.execute("RELEASE work")


def _keep_private(path: Path) -> None:
    """Let nobody else read it: it holds people's words, and for half an hour their response_urls."""
    with contextlib.suppress(OSError):  # what is wrong with the file, opening it says better
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))


def _run(connection: Connection, chain: Chain, waiting: _Waiting) -> None:
    transaction = Transaction(connection, chain)
    waiting.result = waiting.error = None
    try:
        waiting.result = waiting.work(transaction)
    except Exception as problem:  # noqa: BLE001 - the work's own error goes to its own waiter
        waiting.error = _told(problem)
    waiting.wakes, waiting.urgent = transaction.wakes, transaction.urgent
    waiting.figures = transaction.figures


def _told(problem: Exception) -> Exception:
    """Return what the waiter of a work that raised is to be told."""
    if isinstance(problem, SQLAlchemyError):
        return StoreError(f"nothing was stored: {_cause(problem)}")
    # A future takes none of these, and the rest of its batch would wait for ever.
    return RuntimeError(repr(problem)) if isinstance(problem, StopIteration) else problem


def _answer(batch: list[_Waiting]) -> None:
    # A loop that is already gone has nobody left to answer.
    with contextlib.suppress(RuntimeError):
        batch[0].loop.call_soon_threadsafe(_resolve, batch)


def _resolve(batch: list[_Waiting]) -> None:
    for waiting in batch:
        if waiting.answer.done():
            continue
        if waiting.error is None:
            waiting.answer.set_result(waiting.result)
        else:
            waiting.answer.set_exception(waiting.error)


def _cause(problem: BaseException) -> str:
    return str(getattr(problem, "orig", None) or problem)


def _store_key(connection: Connection) -> bytes:
    """Return the key of this store, made once: it binds a card's buttons to what was shown."""
    row = connection.execute(select(tables.settings.c.value).where(tables.settings.c.name == "key")).first()
    if row is not None:
        return bytes.fromhex(row.value)
    key = secrets.token_bytes(32)
    connection.execute(insert(tables.settings).values(name="key", value=key.hex()))
    return key
