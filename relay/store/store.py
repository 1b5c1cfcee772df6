"""Group commit: one writer thread runs the works that wait, and commits them together.

Nominal flow:   transact ─▶ waiting ─▶ BEGIN, work…, COMMIT ─▶ every waiter answered
A work raises:  everything is rolled back and run once more, each work in a savepoint: the waiter of the one
                that raises gets the error, the others go on
COMMIT fails:   everything is rolled back and every waiter of the batch gets a StoreError
Connection lost:   on a new one it is found out whether the batch was kept; if not, it is run again

So a transaction costs one share of a sync to the disk, and is answered only after it.
"""

import asyncio
import contextlib
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

from sqlalchemy import Connection, insert, select
from sqlalchemy.exc import SQLAlchemyError

from relay.domain.audit import Anchor, Keys, derived_key
from relay.domain.seen import Seen, unseen
from relay.domain.traced import TRACE, Traced, untraced
from relay.store import tables
from relay.store.audit import Audit, Chain, opened_chain
from relay.store.errors import DoubtError, StoreError, cause
from relay.store.opening import place_at
from relay.store.place import SERVED, SOON, URGENT, Place, Warn
from relay.store.schema import declare, refuse_other, upgrade
from relay.store.steps import unopened
from relay.store.transaction import Figure, Transaction

T = TypeVar("T")
_RUNS = 5  # of a batch whose connection is lost each time
_LARGEST_BATCH = 256  # bounds how long the first waiter waits for the last work of its batch
# Where many come at once more are waited for: a commit costs as much as several works.
_MANY, _MOMENT = 8, 0.002  # seconds


_NOBODY_FOLLOWS = untraced("")


def _nothing(_: str) -> None:
    return None


@dataclass
class _Waiting:
    work: Callable[[Transaction], Any]
    loop: asyncio.AbstractEventLoop
    answer: "asyncio.Future[Any]"
    since: float = field(default_factory=time.monotonic)
    result: Any = None
    error: BaseException | None = None
    wakes: bool = False
    urgent: bool = False
    serves: bool = False  # whether it changed who is served
    figures: tuple[Figure, ...] = ()
    trace: str = ""
    # What it has to tell besides is known once all that it left to be run was run.
    transaction: Transaction | None = None


@dataclass
class _Inbox:
    """What waits for the writer thread, and how it is woken."""

    waiting: deque[_Waiting] = field(default_factory=deque)
    changed: threading.Condition = field(default_factory=threading.Condition)
    closed: bool = False


class Store:
    """Runs works as durable transactions, in the order they came."""

    def __init__(self, place: Place, at: Callable[[str], None] = _nothing, seen: Seen = unseen) -> None:
        self._place = place
        self._engine = place.engine
        self._at = at
        self._seen = seen
        self._inbox = _Inbox()
        self._writer = threading.Thread(target=self._write, name="store-writer", daemon=True)
        # Called when a commit left something to deliver.
        self.on_due: Callable[..., None] = lambda **_: None
        # Called when others on the same store changed who is served, or perhaps did.
        self.on_served: Callable[[], None] = lambda: None
        self.traced: Traced = untraced
        self.key = b""
        self.chain = Chain(Keys((b"",)))
        # Where the record is, as far as it is on the disk.
        self.anchor: Anchor | None = None
        # Where it is if what nobody knows of was kept.
        self._doubtful: Anchor | None = None

    @classmethod
    def open(
        cls,
        url: str,
        *,
        audit_keys: Sequence[bytes] = (),
        at: Callable[[str], None] = _nothing,
        seen: Seen = unseen,
        beside: bool = False,
    ) -> "Store":
        """Open the store at `url`, bring its schema up to date, and free a file's claims of a run before.

        `beside` relays that may work on it a database's schema is left as it is, or refused.
        The first of `audit_keys` signs the record; without one, a key of the store's own. `at` is told
        the named point `store.committed` after every commit, `seen` what each took and held. Raises
        StoreError, and StoreLockedError when another process holds the file.
        """
        place = place_at(url)
        place.open()
        try:
            store = cls(place, at, seen)
            store._begin(audit_keys, beside=beside and not place.is_alone)
            return store
        except (SQLAlchemyError, StoreError) as problem:
            place.close()
            raise unopened(place.name, problem) from problem

    def _begin(self, audit_keys: Sequence[bytes], *, beside: bool) -> None:
        with self._engine.begin() as connection:
            if beside:
                refuse_other(connection)
            elif upgrade(connection):
                declare(connection)
            self.key = _store_key(connection)
            self.chain = opened_chain(connection, Keys((*audit_keys, derived_key(self.key))))
            if self._place.is_alone:
                Transaction(connection, self.chain).deliveries.free_claims()
        self._writer.start()

    @property
    def is_shared(self) -> bool:
        """Whether other relays may work on the same store."""
        return not self._place.is_alone

    @property
    def writer(self) -> str:
        """By which other relays on the same store know this one."""
        return self._place.writer

    def now(self) -> datetime:
        """Return the time by which the store goes: a database's own, so that all who share it have one."""
        return self._place.now()

    def listen(self, warn: Warn) -> None:
        """Hear what others on the same store leave; `warn` logs where that cannot be."""
        loop = asyncio.get_running_loop()

        def wake(words: Collection[str]) -> None:
            with contextlib.suppress(RuntimeError):  # the loop is gone: nobody is left
                if SERVED in words:
                    loop.call_soon_threadsafe(self.on_served)
                if SOON in words or URGENT in words:
                    loop.call_soon_threadsafe(partial(self.on_due, urgent=URGENT in words))

        self._place.listen(wake, warn)

    async def transact(self, work: Callable[[Transaction], T]) -> T:
        """Run `work` and return its result once it is durable. Raises what `work` raises, or StoreError.

        A work is run on a thread of the store's, and a second time where another one failed: it must touch
        nothing but its transaction.
        """
        loop = asyncio.get_running_loop()
        waiting = _Waiting(work, loop, loop.create_future(), trace=TRACE.get())
        with self._inbox.changed:
            if self._inbox.closed:
                raise StoreError("the store is closed")
            self._inbox.waiting.append(waiting)
            self._inbox.changed.notify()
        # The work runs whatever becomes of its caller, whose cancelling cancels no more than the answer.
        with self.traced("store", parent=waiting.trace) if waiting.trace else _NOBODY_FOLLOWS:
            result: T = await waiting.answer
        return result

    async def close(self) -> None:
        """Finish the works that wait, then close the file and free its lock."""
        with self._inbox.changed:
            self._inbox.closed = True
            self._inbox.changed.notify()
        await asyncio.to_thread(self._writer.join)
        await asyncio.to_thread(self._place.close)

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
            self._keep(batch)
        except Exception as problem:  # noqa: BLE001 - the thread's boundary: each waiter is told
            self.chain.head = before
            self._seen("store_failures")
            for waiting in batch:
                if waiting.error is None:
                    waiting.error = _not_kept(problem)
        else:
            self._doubtful = None
        self.anchor = self.chain.head

    def _keep(self, batch: list[_Waiting]) -> None:
        """Commit a batch, again as long as its connection is lost and nothing of it was kept."""
        for left in reversed(range(_RUNS)):
            before = self.chain.head
            try:
                if not self._committed(batch):
                    self.chain.head = before
                    self._commit_apart(batch)
                return
            except Exception as problem:
                after, self.chain.head = self.chain.head, before
                try:
                    once_more = self._place.again(problem, batch[0].since)
                except DoubtError:
                    self._doubtful = after
                    raise
                if not once_more:
                    self.chain.head = after
                    return
                if not left:  # one of its works may be what ends the connection
                    raise

    def _committed(self, batch: list[_Waiting]) -> bool:
        """Commit works that all succeed, as nearly always; False: one failed, and nothing was stored."""
        with self._engine.connect() as connection, connection.begin() as begun:
            self._end_doubt(connection)
            failed = self._failed(connection, batch)
            if failed is not None:
                begun.rollback()
                self._place.learn(failed)
                return False
            self._leave_word(batch)
        return True

    def _failed(self, connection: Connection, batch: list[_Waiting]) -> BaseException | None:
        """Run works until one of them fails, and return by what; what it left may be what shows that."""
        for waiting in batch:
            _run(connection, self.chain, waiting)
            if waiting.error is not None:
                return waiting.error
        try:
            self._place.catch_up()
        except SQLAlchemyError as problem:
            return problem
        return None

    def _end_doubt(self, connection: Connection) -> None:
        """Go on behind what was kept of the record, where a commit was lost without an answer."""
        if self._doubtful is not None:
            found = Audit(connection, self.chain).end_of(self._doubtful.chain)
            self.chain.head = found[0] if found is not None else None

    def _leave_word(self, batch: list[_Waiting]) -> None:
        """Take from works what they have to tell, now that all of them was run, and tell other relays."""
        for waiting in batch:
            transaction, waiting.transaction = waiting.transaction, None
            if transaction is not None:
                waiting.wakes, waiting.urgent = transaction.wakes, transaction.urgent
                waiting.serves, waiting.figures = transaction.serves, transaction.figures
        words = []
        if any(waiting.wakes for waiting in batch):
            words.append(URGENT if any(waiting.urgent for waiting in batch) else SOON)
        if any(waiting.serves for waiting in batch):
            words.append(SERVED)
        self._place.leave_word(words)

    def _commit_apart(self, batch: list[_Waiting]) -> None:
        """Commit those that succeed: a savepoint each costs a tenth of a work, which only this needs."""
        with self._engine.connect() as connection, connection.begin():
            self._end_doubt(connection)
            savepoints = connection.connection.cursor()
            for waiting in batch:
                before = self.chain.head
                savepoints.execute("SAVEPOINT work")
                _run(connection, self.chain, waiting)
                self._finish(waiting)
                if waiting.error is not None:
                    savepoints.execute("ROLLBACK TO work")
                    self.chain.head = before  # the record has no hole where a work was
                savepoints.execute("RELEASE work")
            self._leave_word(batch)

    def _finish(self, waiting: _Waiting) -> None:
        """Run what a work left as long as it is known whose that is; of one that failed, nothing."""
        try:
            if waiting.error is None:
                self._place.catch_up()
            else:
                self._place.let_go()
        except SQLAlchemyError as problem:
            waiting.error = _told(problem)


def _run(connection: Connection, chain: Chain, waiting: _Waiting) -> None:
    transaction = Transaction(connection, chain, waiting.trace)
    waiting.result = waiting.error = None
    try:
        waiting.result = waiting.work(transaction)
    except Exception as problem:  # noqa: BLE001 - the work's own error goes to its own waiter
        waiting.error = _told(problem)
    waiting.transaction = transaction


def _told(problem: Exception) -> Exception:
    """Return what the waiter of a work that raised is to be told."""
    if isinstance(problem, SQLAlchemyError):
        told = StoreError(f"nothing was stored: {cause(problem)}")
        told.__cause__ = problem
        return told
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


def _not_kept(problem: Exception) -> StoreError:
    return problem if isinstance(problem, StoreError) else StoreError(f"nothing was stored: {cause(problem)}")


def _store_key(connection: Connection) -> bytes:
    """Return the key of this store, made once: it binds a card's buttons to what was shown."""
    row = connection.execute(select(tables.settings.c.value).where(tables.settings.c.name == "key")).first()
    if row is not None:
        return bytes.fromhex(row.value)
    key = secrets.token_bytes(32)
    connection.execute(insert(tables.settings).values(name="key", value=key.hex()))
    return key
