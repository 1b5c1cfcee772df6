"""A turn is stopped by whoever holds its environment's sockets, wherever it was asked for.

Elsewhere:   stored for the holder, as a delivery ─▶ it stops the turn ─▶ its receipt says what came of it
Too late:    a few seconds on it is dropped: it would end something else
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from relay.domain.deliveries import Delivered, Delivery, Kind, Outcome, State
from relay.domain.ids import new_id
from relay.domain.runtime import Runtime
from relay.store import Store, Transaction

_TAKEN_WITHIN = timedelta(seconds=5)
_TOLD_WITHIN = 15.0  # seconds; a device may take ten to answer
_LOOK_EVERY = 0.1
_ORDER = "order"

StopTurn = Callable[[Runtime], Awaitable[bool | None]]
Send = Callable[[Delivery], Awaitable[Outcome]]


class StopsElsewhere:
    """Stops turns, also of environments that another relay holds: `stop_here` stops one of this relay's."""

    def __init__(self, store: Store, team_id: str, holds: Callable[[str], bool], stop_here: StopTurn) -> None:
        self._store = store
        self._team_id = team_id
        self._holds = holds
        self._stop_here = stop_here

    async def stop_turn(self, runtime: Runtime) -> bool | None:
        """Stop the turn of a conversation; return whether there was one, None: it was not reached.

        Raises StoreError.
        """
        if self._holds(runtime.environment):
            return await self._stop_here(runtime)
        return await self._ordered(runtime)

    def taking(self, send: Send) -> Send:
        """Return what takes out stops: those that were ordered elsewhere here, the others by `send`."""

        async def take(delivery: Delivery) -> Outcome:
            order = delivery.body.get(_ORDER)
            return await self._take(order) if order is not None else await send(delivery)

        return take

    async def _take(self, order: dict[str, Any]) -> Outcome:
        if self._store.now() >= datetime.fromisoformat(order["until"]):
            return Delivered({"stopped": None})
        return Delivered({"stopped": await self._stop_here(Runtime(**order["runtime"]))})

    async def _ordered(self, runtime: Runtime) -> bool | None:
        which = await self._store.transact(lambda tx: self._order(tx, runtime))
        ends = asyncio.get_running_loop().time() + _TOLD_WITHIN
        while True:
            found = await self._store.transact(lambda tx: _became(tx, which, self._store.now()))
            if found.state not in (State.PENDING, State.SENDING):
                stopped: bool | None = found.receipt.get("stopped")
                return stopped
            if asyncio.get_running_loop().time() > ends:
                return None
            await asyncio.sleep(_LOOK_EVERY)

    def _order(self, tx: Transaction, runtime: Runtime) -> str:
        now = self._store.now()
        which = new_id("dlv", now)
        order = {"runtime": asdict(runtime), "until": (now + _TAKEN_WITHIN).isoformat()}
        return tx.deliveries.add(
            Kind.STOP,
            team_id=self._team_id, ordering_key=f"stop/{which}", subject_id=which, delivery_id=which,
            environment=runtime.environment, body={_ORDER: order}, deadline=now + _TAKEN_WITHIN, now=now,
        )  # fmt: skip


def _became(tx: Transaction, which: str, now: datetime) -> Delivery:
    """Return a stop as it stands; what nobody took in time is dropped, so that nobody will."""
    found = tx.deliveries.get(which)
    if found is None:
        raise LookupError(which)
    if found.state is State.PENDING and now >= found.created_at + _TAKEN_WITHIN:
        tx.deliveries.finish(which, State.DROPPED, now, "no relay took it in time")
        return tx.deliveries.get(which) or found
    return found
