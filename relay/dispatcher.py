"""The only way out of the outbox: claim what is due, attempt it, record how it ended.

Nominal flow:   a commit leaves something due ─▶ claim (head of each ordering key) ─▶ attempt ─▶ record
Recovery flow:  a crash leaves claims ─▶ freed at start, or when their lease runs out ─▶ the same claim

Claims and records are works like any other, so that they share commits with the arrivals.
What is for an environment that takes nothing is held back, out of the claims' way; one at a time is tried.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

from relay.domain.circuits import Circuits, Held, Hold, Turn
from relay.domain.deliveries import LEASE, Delivered, Delivery, Kind, Outcome, Retry, delay
from relay.domain.room import Room
from relay.domain.seen import Seen, unseen
from relay.domain.traced import Traced, kept, untraced
from relay.store import Store, StoreError, Transaction
from relay.use_cases.hold_back import hold_back
from relay.use_cases.settle_delivery import claim_deliveries, settle_delivery, spoken_of

_BATCH = 64
_STORE_TROUBLE_PAUSE = 1.0
_LAST_RECORDS = 1.0  # seconds
_RECORDINGS = 60  # for a minute what was done is kept in mind, for a store that is away
_COURTESY = 0.003  # claims would compete with the acknowledgements; so they also come in larger batches
_LONGEST_SLEEP = LEASE.total_seconds() / 2

Send = Callable[[Delivery], Awaitable[Outcome]]
T = TypeVar("T")


@dataclass(frozen=True)
class Doors:
    """Who takes which delivery out."""

    to_environment: Send
    to_decide: Send
    to_sockets: Send
    to_stop: Send
    to_slack: Send

    def of(self, kind: Kind) -> Send:
        return {
            Kind.MESSAGE: self.to_environment,
            Kind.DECISION: self.to_decide,
            Kind.ANSWER: self.to_sockets,
            Kind.STOP: self.to_stop,
        }.get(kind, self.to_slack)


class Dispatcher:
    """Takes deliveries out until it is stopped, but for those to environments that are held `elsewhere`."""

    def __init__(
        self,
        store: Store,
        doors: Doors,
        *,
        clock: Callable[[], datetime],
        chance: Callable[[], float],
        log: Any,
        at: Callable[[str], None] = lambda _: None,
        seen: Seen = unseen,
        traced: Traced = untraced,
        elsewhere: Callable[[], Collection[str]] = tuple,
    ) -> None:
        self._store = store
        self._elsewhere = elsewhere
        self._doors = doors
        self._clock = clock
        self._chance = chance
        self._log = log
        self._at = at
        self._seen = seen
        self._traced = traced
        self._due = asyncio.Event()
        self._waking: asyncio.TimerHandle | None = None
        self._attempts: dict[str, asyncio.Task[None]] = {}
        self._mine: dict[str, int] = {}  # which attempt each of them is
        self._until: dict[str, datetime] = {}  # and until when it is surely claimed
        self._sending: dict[str, str] = {}  # and to which environment
        self._recording: set[asyncio.Task[Any] | None] = set()  # the attempts that have ended, but for that
        self._finishing = False
        self._shaken = False  # whether leases may have run out while the store did not answer
        self._renewed = clock()  # when they were looked at last
        self._room = Room()
        self._circuits = Circuits()
        self._short = False  # whether something may wait for room
        self._left = 0

    def back(self, environment: str) -> None:
        """Let go whatever waits for an environment: it is back, or perhaps."""
        if self._circuits.back(environment):
            self._log.info("environment.resumed", environment=environment)
        self._due.set()

    def look_again(self, environment: str) -> None:
        """Let go what waits for a conversation of an environment, but for what is held back."""
        self._circuits.look_again(environment)
        self._due.set()

    def forget(self, environment: str) -> None:
        """Leave an environment to others, with what is held back from it."""
        self._circuits.forget(environment)

    def sending(self) -> frozenset[str]:
        """Return the environments to which something is on its way."""
        return frozenset(self._sending.values())

    def held(self, environment: str) -> Held | None:
        """Return what is held back from an environment, and why, if anything is."""
        return self._circuits.of(environment)

    def wake(self, *, urgent: bool = True) -> None:
        """Look for something due; when not urgent, in a moment: whoever waits for the commit comes first."""
        if urgent:
            self._due.set()
        elif self._waking is None:
            self._waking = asyncio.get_running_loop().call_later(_COURTESY, self._wake_now)

    def _wake_now(self) -> None:
        self._waking = None
        self._due.set()

    async def run(self) -> None:
        """Claim and attempt until cancelled; attempts under way are left to `finish`."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._renew_leases())
            while True:
                try:
                    await self._round()
                except StoreError as problem:
                    self._shaken = True
                    self._log.error("dispatcher.store_failed", reason=str(problem))
                    await asyncio.sleep(_STORE_TROUBLE_PAUSE)

    async def finish(self, seconds: float) -> int:
        """Wait up to `seconds` for the attempts under way; return how many were cut short.

        What is cut short keeps its claim in the store and is freed at the next start.
        """
        self._finishing = True
        if self._attempts:
            await asyncio.wait(self._attempts.values(), timeout=seconds)
        ending = list(self._attempts.values())
        # What happened has happened: it is recorded whatever else ends here.
        left = [attempt for attempt in ending if attempt not in self._recording]
        for attempt in left:
            attempt.cancel()
        if ending:  # what is not seen to be stored by then is stored all the same, before the store closes
            await asyncio.wait(ending, timeout=_LAST_RECORDS)
        return len(left)

    async def _round(self) -> None:
        self._due.clear()
        free, left = self._room.of_any(_BATCH), self._left
        self._room.elsewhere = frozenset(self._elsewhere())
        if not free:
            self._short = True
            await self._due.wait()
            return
        self._at("dispatcher.waking")
        now = self._clock()
        hold = self._circuits.hold(now, self._attempts)
        late = now - self._renewed > LEASE * 2 / 3  # stopped in its tracks
        mine = dict(self._mine) if self._shaken or late else {}
        claimed, due, self._short, emptied = await self._store.transact(
            partial(_claim, most=free, now=now, room=self._room.copy(), hold=hold, mine=mine)
        )
        self._circuits.emptied(emptied, hold)
        self._shaken = False
        if self._short and self._left != left:
            self._due.set()  # there may be room by now
        for delivery in claimed:
            self._circuits.begun(delivery, now)
            self._begin(delivery, now + LEASE)
        if len(claimed) < free:
            await self._sleep(due)

    async def _sleep(self, due: datetime | None) -> None:
        seconds = _LONGEST_SLEEP
        if due is not None:
            seconds = min(seconds, max(0.0, (due - self._clock()).total_seconds()))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._due.wait()

    def _begin(self, delivery: Delivery, until: datetime) -> None:
        self._at("dispatcher.claimed")
        attempt = asyncio.create_task(self._attempt(delivery))
        self._attempts[delivery.id], self._mine[delivery.id] = attempt, delivery.attempts
        self._until[delivery.id] = until
        if delivery.environment:
            self._sending[delivery.id] = delivery.environment
        self._room.enter(delivery.kind, delivery.environment)
        attempt.add_done_callback(lambda attempt: self._done(delivery, attempt))

    def _done(self, delivery: Delivery, attempt: "asyncio.Task[None]") -> None:
        was_full = not self._room.free
        self._recording.discard(attempt)
        if self._mine.get(delivery.id) == delivery.attempts:
            del self._attempts[delivery.id], self._mine[delivery.id]
            self._until.pop(delivery.id, None)
            self._sending.pop(delivery.id, None)
        self._room.leave(delivery.kind, delivery.environment)
        self._left += 1
        if self._short and (was_full or delivery.kind is Kind.MESSAGE):
            self._due.set()

    async def _attempt(self, delivery: Delivery) -> None:
        facts: dict[str, str | int] = {
            "delivery_id": delivery.id,
            "subject_id": delivery.subject_id,
            "environment": delivery.environment,
            "attempt": delivery.attempts,
        }
        begun = self._traced(f"deliver {delivery.kind}", parent=kept(delivery.body), kind="leaving", **facts)
        with begun as step:
            step.tell(outcome=_word(await self._ended(delivery)))

    async def _ended(self, delivery: Delivery) -> Outcome:
        """Attempt a delivery, record how that ended, and return it."""
        try:
            outcome = await self._sent(delivery)
        except Exception as problem:  # noqa: BLE001 - the attempt's boundary: a defect is recorded, and retried slowly
            self._log.exception("delivery.defect", delivery_id=delivery.id, kind=delivery.kind)
            reason = f"an error inside relay: {type(problem).__name__}"
            outcome = Retry(reason, after=30.0, uncertain=True, unasked=True)
        self._at("dispatcher.attempted")
        self._seen("delivery_attempts", kind=delivery.kind, outcome=_word(outcome))
        self._recording.add(asyncio.current_task())
        await self._record(delivery, outcome)
        return outcome

    def has(self, delivery: Delivery) -> bool:
        """Return whether a delivery is surely claimed here still, by this attempt and no other meanwhile."""
        newest = self._mine.get(delivery.id) == delivery.attempts
        return newest and self._clock() < self._until.get(delivery.id, delivery.created_at)

    async def _sent(self, delivery: Delivery) -> Outcome:
        if not self.has(delivery):
            # This process was stopped since, or the store away: somebody else may be at it.
            return Retry("its claim ran out before it was sent", unasked=True)
        return await self._doors.of(delivery.kind)(delivery)

    async def _record(self, delivery: Delivery, outcome: Outcome) -> None:
        now, chance = self._clock(), self._chance()
        self._note(delivery, outcome, now, chance)
        try:
            about = await self._until_stored(lambda tx: _settle(tx, delivery, outcome, now, chance))
        except StoreError as problem:
            # Its lease runs out and it is claimed again, as after a crash.
            self._log.error("delivery.not_recorded", delivery_id=delivery.id, reason=str(problem))
            return
        except Exception:  # noqa: BLE001 - the record's boundary: a defect is told, its lease brings the row back
            self._log.exception("delivery.not_recorded", delivery_id=delivery.id)
            return
        self._tell_log(outcome)(
            "delivery.attempted",
            delivery_id=delivery.id,
            kind=delivery.kind,
            subject_id=delivery.subject_id,
            attempt=delivery.attempts,
            outcome=_word(outcome),
            reason=getattr(outcome, "reason", ""),
            **about,
        )

    async def _until_stored(self, work: Callable[[Transaction], T]) -> T:
        """Store what has happened, again for a while where the store is away. Raises StoreError.

        Until then it is held, so that nothing is sent twice because a database was started anew.
        """
        for _ in range(_RECORDINGS):
            try:
                return await self._store.transact(work)
            except StoreError:
                self._shaken = True
                if self._finishing:
                    raise
            await asyncio.sleep(_STORE_TROUBLE_PAUSE)
        return await self._store.transact(work)

    def _note(self, delivery: Delivery, outcome: Outcome, now: datetime, chance: float) -> None:
        if delivery.environment in self._elsewhere():
            return  # held back or not, that is for whoever sends there now
        due = now + delay(delivery.attempts, outcome, chance) if isinstance(outcome, Retry) else now
        turn = self._circuits.note(delivery, outcome, due, now)
        about = {"environment": delivery.environment, "kind": delivery.kind}
        if turn is Turn.HELD:
            self._log.warning("environment.held", **about, reason=getattr(outcome, "reason", ""))
        elif turn is Turn.RESUMED:
            self._log.info("environment.resumed", **about)
            self._due.set()

    def _tell_log(self, outcome: Outcome) -> Callable[..., None]:
        found: Callable[..., None] = {Delivered: self._log.info, Retry: self._log.warning}.get(
            type(outcome), self._log.error
        )
        return found

    async def _renew_leases(self) -> None:
        while True:
            self._renewed = self._clock()
            await asyncio.sleep(LEASE.total_seconds() / 3)
            held = dict(self._mine)
            if held:
                until = self._clock() + LEASE
                try:
                    await self._store.transact(partial(_renew, held=held, until=until))
                except StoreError:
                    self._shaken = True
                else:
                    self._keep(held, until)

    def _keep(self, held: Iterable[str], until: datetime) -> None:
        """Count as claimed for longer what cannot have been claimed elsewhere before it was renewed."""
        now = self._clock()
        for which in held:
            if now < self._until.get(which, now):
                self._until[which] = until


def _word(outcome: Outcome) -> str:
    return type(outcome).__name__.lower()


def _claim(
    tx: Transaction, most: int, now: datetime, room: Room, hold: Hold, mine: Mapping[str, int]
) -> tuple[list[Delivery], datetime | None, bool, tuple[str, ...]]:
    """Return what is claimed, when the next is due, and whether something may wait for room.

    The last are the environments that are back, and for which nothing waits any more. What is `mine` stays
    so, if nobody else has claimed it: it is still being attempted.
    """
    tx.deliveries.renew(mine, now + LEASE)
    left = room.copy()
    emptied = hold_back(tx, hold, left, now)
    claimed = claim_deliveries(tx, most, now, left)
    return claimed, tx.deliveries.next_due(left), left.short, emptied


def _settle(
    tx: Transaction, delivery: Delivery, outcome: Outcome, now: datetime, chance: float
) -> dict[str, str]:
    """Record how an attempt ended, and return what it spoke of, as the lines before it name that."""
    settle_delivery(tx, delivery, outcome, now, chance)
    return spoken_of(tx, delivery)


def _renew(tx: Transaction, held: Mapping[str, int], until: datetime) -> None:
    tx.deliveries.renew(held, until)
