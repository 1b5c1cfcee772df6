"""The only way out of the outbox: claim what is due, attempt it, record how it ended.

Nominal flow:   a commit leaves something due ─▶ claim (head of each ordering key) ─▶ attempt ─▶ record
Recovery flow:  a crash leaves claims ─▶ freed at start, or when their lease runs out ─▶ the same claim

Claims and records are works like any other, so that they share commits with the arrivals.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from relay.domain.deliveries import LEASE, Delivered, Delivery, Kind, Outcome, Retry
from relay.domain.room import Room
from relay.domain.seen import Seen, unseen
from relay.store import Store, StoreError, Transaction
from relay.use_cases.settle_delivery import claim_deliveries, settle_delivery

_BATCH = 64
_STORE_TROUBLE_PAUSE = 1.0
_COURTESY = 0.003  # claims would compete with the acknowledgements; so they also come in larger batches
_LONGEST_SLEEP = LEASE.total_seconds() / 2

Send = Callable[[Delivery], Awaitable[Outcome]]


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
    """Takes deliveries out until it is stopped."""

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
    ) -> None:
        self._store = store
        self._doors = doors
        self._clock = clock
        self._chance = chance
        self._log = log
        self._at = at
        self._seen = seen
        self._due = asyncio.Event()
        self._waking: asyncio.TimerHandle | None = None
        self._attempts: dict[str, asyncio.Task[None]] = {}
        self._room = Room()
        self._short = False  # whether something may wait for room
        self._left = 0

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
                    self._log.error("dispatcher.store_failed", reason=str(problem))
                    await asyncio.sleep(_STORE_TROUBLE_PAUSE)

    async def finish(self, seconds: float) -> int:
        """Wait up to `seconds` for the attempts under way; return how many were cut short.

        What is cut short keeps its claim in the store and is freed at the next start.
        """
        if self._attempts:
            await asyncio.wait(self._attempts.values(), timeout=seconds)
        left = list(self._attempts.values())
        for attempt in left:
            attempt.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        return len(left)

    async def _round(self) -> None:
        self._due.clear()
        free, left = self._room.of_any(_BATCH), self._left
        if not free:
            self._short = True
            await self._due.wait()
            return
        self._at("dispatcher.waking")
        claimed, due, self._short = await self._store.transact(
            partial(_claim, most=free, now=self._clock(), room=self._room.copy())
        )
        if self._short and self._left != left:
            self._due.set()  # there may be room by now
        for delivery in claimed:
            self._begin(delivery)
        if len(claimed) < free:
            await self._sleep(due)

    async def _sleep(self, due: datetime | None) -> None:
        seconds = _LONGEST_SLEEP
        if due is not None:
            seconds = min(seconds, max(0.0, (due - self._clock()).total_seconds()))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._due.wait()

    def _begin(self, delivery: Delivery) -> None:
        self._at("dispatcher.claimed")
        attempt = asyncio.create_task(self._attempt(delivery))
        self._attempts[delivery.id] = attempt
        self._room.enter(delivery.kind, delivery.environment)
        attempt.add_done_callback(lambda _: self._done(delivery))

    def _done(self, delivery: Delivery) -> None:
        was_full = not self._room.free
        self._attempts.pop(delivery.id, None)
        self._room.leave(delivery.kind, delivery.environment)
        self._left += 1
        if self._short and (was_full or delivery.kind is Kind.MESSAGE):
            self._due.set()

    async def _attempt(self, delivery: Delivery) -> None:
        try:
            outcome = await self._doors.of(delivery.kind)(delivery)
        except Exception as problem:  # noqa: BLE001 - the attempt's boundary: a defect is recorded, and retried slowly
            self._log.exception("delivery.defect", delivery_id=delivery.id, kind=delivery.kind)
            outcome = Retry(f"an error inside relay: {type(problem).__name__}", after=30.0, uncertain=True)
        self._at("dispatcher.attempted")
        self._seen("delivery_attempts", kind=delivery.kind, outcome=_word(outcome))
        # What happened has happened: it is recorded even when this attempt is being cancelled.
        await asyncio.shield(self._record(delivery, outcome))

    async def _record(self, delivery: Delivery, outcome: Outcome) -> None:
        now, chance = self._clock(), self._chance()
        try:
            await self._store.transact(lambda tx: settle_delivery(tx, delivery, outcome, now, chance))
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
        )

    def _tell_log(self, outcome: Outcome) -> Callable[..., None]:
        found: Callable[..., None] = {Delivered: self._log.info, Retry: self._log.warning}.get(
            type(outcome), self._log.error
        )
        return found

    async def _renew_leases(self) -> None:
        while True:
            await asyncio.sleep(LEASE.total_seconds() / 3)
            held = list(self._attempts)
            if held:
                with contextlib.suppress(StoreError):
                    await self._store.transact(partial(_renew, held=held, until=self._clock() + LEASE))


def _word(outcome: Outcome) -> str:
    return type(outcome).__name__.lower()


def _claim(
    tx: Transaction, most: int, now: datetime, room: Room
) -> tuple[list[Delivery], datetime | None, bool]:
    """Return what is claimed, when the next is due, and whether something may wait for room."""
    left = room.copy()
    return claim_deliveries(tx, most, now, left), tx.deliveries.next_due(left), left.short


def _renew(tx: Transaction, held: list[str], until: datetime) -> None:
    tx.deliveries.renew(held, until)
