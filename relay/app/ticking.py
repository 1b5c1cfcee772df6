"""Time is an arrival too: what is due is done every second."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Collection
from datetime import datetime, timedelta
from functools import partial

from relay.app.beginning import hear_people_first
from relay.domain.silence import HEARING
from relay.store import Store, StoreError, Transaction
from relay.use_cases.follow_environment import pass_time
from relay.use_cases.pass_silence import AT_ONCE, pass_silence

_TICK = 1.0
_LONGEST = timedelta(seconds=10)


class Ticking:
    """Passes time. After a while in which it could not (the machine slept, the store refused writes, no
    relay ran) people get a moment first: nobody could have answered.
    """

    def __init__(
        self,
        store: Store,
        rest_only: Collection[str],
        clock: Callable[[], datetime],
        retain: Callable[[datetime], Awaitable[None]] | None = None,
    ) -> None:
        self._store = store
        self._rest_only = rest_only
        self._clock = clock
        self._retain = retain
        self._passed: datetime | None = None  # until when time was passed

    async def run(self) -> None:
        """Pass time until cancelled."""
        with contextlib.suppress(StoreError):  # then it is made up for by the first tick
            await self._hear(self._clock())
        while True:
            await asyncio.sleep(_TICK)
            with contextlib.suppress(StoreError):  # /readyz says so
                await self.tick()

    async def tick(self) -> None:
        """Do what is due now. Raises StoreError."""
        now = self._clock()  # for all of it: the machine may sleep in between
        if self._passed is None or now - self._passed > _LONGEST:
            await self._hear(now)
        await self._store.transact(partial(_write, now=now))
        await self._store.transact(partial(pass_time, now=now, rest_only=self._rest_only))
        while await self._store.transact(partial(pass_silence, now=now)) >= AT_ONCE:
            pass  # whoever clicks meanwhile comes in between
        self._passed = now
        if self._retain is not None:
            await self._retain(now)

    async def _hear(self, now: datetime) -> None:
        await hear_people_first(self._store, now)
        self._passed = now


def _write(tx: Transaction, now: datetime) -> None:
    """Write where a request ends soon: a store that takes no answers may well have nothing else to refuse."""
    if tx.approvals.over_by(now + 2 * HEARING, 1):
        tx.touch(now)
