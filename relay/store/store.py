"""Group commit: one writer thread runs the works that wait, each in a savepoint, and commits once.

Nominal flow:   transact ─▶ waiting ─▶ BEGIN, (SAVEPOINT, work, RELEASE)…, COMMIT ─▶ every waiter answered
A work raises:  its savepoint is rolled back, its waiter gets the error, the others go on
COMMIT fails:   everything is rolled back and every waiter of the batch gets a StoreError

So a transaction costs one share of a sync to the disk, and is answered only after it.
"""

import asyncio
import contextlib
import os
import secrets
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, insert, select
from sqlalchemy.engine.interfaces import DBAPICursor
from sqlalchemy.exc import SQLAlchemyError

from relay.domain.audit import Anchor, Keys, derived_key
from relay.store import tables
from relay.store.audit import Chain, opened_chain
from relay.store.engine import LockFile, sqlite_engine, store_path
from relay.store.errors import StoreError
from relay.store.schema import upgrade
from relay.store.transaction import Transaction

T = TypeVar("T")
_LARGEST_BATCH = 256  # bounds how long the first waiter waits for the last work of its batch


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


@dataclass
class _Inbox:
    """What waits for the writer thread, and how it is woken."""

    waiting: deque[_Waiting] = field(default_factory=deque)
    changed: threading.Condition = field(default_factory=threading.Condition)
    closed: bool = False


class Store:
    """Runs works as durable transactions, in the order they came."""

    def __init__(self, engine: Engine, lock: LockFile, at: Callable[[str], None] = _nothing) -> None:
        self._engine = engine
        self._lock = lock
        self._at = at
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
        cls, url: str, *, audit_keys: Sequence[bytes] = (), at: Callable[[str], None] = _nothing
    ) -> "Store":
        """Open the store at `url`, bring its schema up to date and free the claims of a run before.

        The first of `audit_keys` signs the record; without one, a key of the store's own. `at` is told
        the named point `store.committed` after every commit. Raises StoreError, and StoreLockedError
        when another process holds the file.
        """
        path = store_path(url)
        lock = LockFile(path)
        lock.acquire()
        _keep_private(path)
        engine = sqlite_engine(path)
        try:
            return cls._opened(engine, lock, audit_keys, at)
        except (SQLAlchemyError, StoreError) as problem:
            engine.dispose()
            lock.release()
            raise StoreError(f"cannot open the store at {path}: {_cause(problem)}") from problem

    @classmethod
    def _opened(
        cls, engine: Engine, lock: LockFile, audit_keys: Sequence[bytes], at: Callable[[str], None]
    ) -> "Store":
        store = cls(engine, lock, at)
        with engine.begin() as connection:
            upgrade(connection)
            store.key = _store_key(connection)
            store.chain = opened_chain(connection, Keys((*audit_keys, derived_key(store.key))))
            Transaction(connection, store.chain).deliveries.free_claims()
        store._writer.start()
        return store

    async def transact(self, work: Callable[[Transaction], T]) -> T:
        """Run `work` and return its result once it is durable. Raises what `work` raises, or StoreError.

        A work may be run on a thread of the store's: it must touch nothing but its transaction.
        """
        loop = asyncio.get_running_loop()
        waiting = _Waiting(work, loop, loop.create_future())
        with self._inbox.changed:
            if self._inbox.closed:
                raise StoreError("the store is closed")
            self._inbox.waiting.append(waiting)
            self._inbox.changed.notify()
        # The work runs whatever becomes of its caller: an answer that nobody awaits is no error.
        result: T = await asyncio.shield(waiting.answer)
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
        while batch := self._next_batch():
            self._commit(batch)
            self._at("store.committed")
            _answer(batch)
            if any(waiting.wakes for waiting in batch):
                urgent = any(waiting.urgent for waiting in batch)
                with contextlib.suppress(RuntimeError):  # as for the answers: nobody is left
                    batch[0].loop.call_soon_threadsafe(partial(self.on_due, urgent=urgent))

    def _next_batch(self) -> list[_Waiting]:
        inbox = self._inbox
        with inbox.changed:
            while not inbox.waiting and not inbox.closed:
                inbox.changed.wait()
            count = min(len(inbox.waiting), _LARGEST_BATCH)
            return [inbox.waiting.popleft() for _ in range(count)]

    def _commit(self, batch: list[_Waiting]) -> None:
        before = self.chain.head
        try:
            with self._engine.connect() as connection, connection.begin():
                savepoints = connection.connection.cursor()
                for waiting in batch:
                    _run(connection, savepoints, self.chain, waiting)
        except Exception as problem:  # noqa: BLE001 - the thread's boundary: each waiter is told
            self.chain.head = before
            for waiting in batch:
                if waiting.error is None:
                    waiting.error = StoreError(f"nothing was stored: {_cause(problem)}")
        self.anchor = self.chain.head


def _keep_private(path: Path) -> None:
    """Let nobody else read it: it holds people's words, and for half an hour their response_urls."""
    with contextlib.suppress(OSError):  # what is wrong with the file, opening it says better
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))


def _run(connection: Connection, savepoints: DBAPICursor, chain: Chain, waiting: _Waiting) -> None:
    # By the driver's own cursor: through SQLAlchemy the two would cost as much as a work's statement.
    savepoints.execute("SAVEPOINT work")
    transaction, before = Transaction(connection, chain), chain.head
    try:
        waiting.result = waiting.work(transaction)
    except Exception as problem:  # noqa: BLE001 - the work's own error goes to its own waiter
        waiting.error = (
            StoreError(f"nothing was stored: {_cause(problem)}")
            if isinstance(problem, SQLAlchemyError)
            else problem
        )
        savepoints.execute("ROLLBACK TO work")
        chain.head = before  # the record has no hole where a work was
    savepoints.execute("RELEASE work")
    waiting.wakes, waiting.urgent = transaction.wakes, transaction.urgent


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
