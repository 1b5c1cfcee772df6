"""Of several relays on one store, one at a time holds an environment: its sockets, and what is sent to it.

Nominal flow:   look ─▶ take what is free and due to this relay, renew what is held ─▶ sockets open
Recovery flow:  a holder is gone ─▶ its leases run out ─▶ others take them, with what was missed read anew
Cut off:        not renewed in time ─▶ let go here, before it can be held elsewhere

A store in a file has one relay, which holds all there is without a word.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Collection
from functools import partial
from typing import Any

from relay.domain.deliveries import Delivery, Outcome, Retry
from relay.domain.leases import LASTS, MARGIN
from relay.store import FencedError, Store, StoreError, Transaction
from relay.use_cases.hold_environments import Looked, Mine, hold_environments
from relay.web import Health

_LOOK_EVERY = 1.0
_WATCH_EVERY = 0.25
# So long others wait for an environment to be at rest.
_PATIENCE = 60.0

Send = Callable[[Delivery], Awaitable[Outcome]]
Fence = Callable[[Transaction], None]


class Holding:
    """Holds this relay's share of the environments.

    `changed` is told what is held whenever that changes, and what of it was not held before; `busy` tells
    in which something goes on: those are let go last.
    """

    def __init__(
        self,
        store: Store,
        environments: Collection[str],
        log: Any,
        *,
        busy: Callable[[], Collection[str]],
        bound: Collection[str] = (),
        changed: Callable[[frozenset[str], frozenset[str]], None],
    ) -> None:
        self._store = store
        self._environments = frozenset(environments)
        self._log = log
        self._busy = busy
        self._bound = frozenset(bound)
        self._changed = changed
        self._mine: dict[str, Mine] = {}
        self._looked = Looked({}, {}, frozenset(), uneven=False)
        self._uneven_since: float | None = None
        self._left = False

    @property
    def held(self) -> frozenset[str]:
        """The environments that this relay holds."""
        return frozenset(self._mine) if self._store.is_shared else self._environments

    def holds(self, environment: str) -> bool:
        """Return whether this relay holds an environment now, and may send there."""
        if not self._store.is_shared:
            return True
        mine = self._mine.get(environment)
        if mine is not None:
            return self._store.now() < mine.until - MARGIN
        # What nobody serves any more is nobody's: whoever looks says so.
        return environment not in self.elsewhere()

    def elsewhere(self) -> Collection[str]:
        """Return the environments to which this relay sends nothing: others do, or will."""
        if not self._store.is_shared:
            return ()
        now = self._store.now()
        usable = {name for name, mine in self._mine.items() if now < mine.until - MARGIN}
        return (self._environments | self._looked.served | self._looked.others.keys()) - usable

    def only_here(self, send: Send) -> Send:
        """Return what sends as `send` does, if this relay holds the environment when the attempt begins."""

        async def sent(delivery: Delivery) -> Outcome:
            if not self.holds(delivery.environment):  # let go since it was claimed
                return Retry("another relay holds its environment", unasked=True)
            return await send(delivery)

        return sent

    def fence(self, environment: str) -> Fence:
        """Return what raises FencedError in a work once an environment is no longer held as it is now.

        Sockets that are opened in another epoch want another one.
        """
        if not self._store.is_shared:
            return _nothing
        mine, me = self._mine.get(environment), self._store.writer

        def check(tx: Transaction) -> None:
            if mine is None or tx.leases.epoch(environment, me) != mine.epoch:
                raise FencedError(f"another relay holds {environment} by now")

        return check

    def health(self) -> dict[str, Health]:
        """Return how the environments are that this relay does not hold."""
        return {
            f"environment {name}": Health(ready=True, words=self.where(name))
            for name in sorted(self._environments - self.held)
        }

    def where(self, environment: str) -> str:
        """Return who has the sockets of an environment, if it is not this relay; empty: it is."""
        if environment in self.held:
            return ""
        looked = self._looked.at
        if looked is not None and self._store.now() - looked > LASTS:
            # Whatever was seen then has run out since, or was renewed unseen.
            return f"which relay has its sockets is not known since {looked:%Y-%m-%d %H:%M:%SZ}"
        if environment in self._looked.others:
            return "another relay has its sockets"
        return "no relay has its sockets at the moment"

    async def begin(self) -> None:
        """Take what is this relay's share, before anything is sent. Raises StoreError."""
        if self._store.is_shared:
            await self._look()

    async def run(self) -> None:
        """Keep it until cancelled."""
        if not self._store.is_shared:
            await asyncio.Event().wait()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._watch())
            while True:
                await asyncio.sleep(_LOOK_EVERY)
                with contextlib.suppress(StoreError):  # /readyz says so; what is not renewed is let go
                    await self._look()

    async def leave(self) -> None:
        """Let go of everything, for others to take it at once."""
        self._left = True
        if self._store.is_shared:
            self._take_up({})
            with contextlib.suppress(StoreError):  # then it runs out
                now = self._store.now()
                await self._store.transact(lambda tx: tx.leases.leave(self._store.writer, now))

    async def _look(self) -> None:
        now = self._store.now()
        work = partial(
            hold_environments,
            me=self._store.writer, serves=self._environments, busy=self._kept_for_now(), now=now,
        )  # fmt: skip
        looked = await self._store.transact(work)
        if self._left:
            return
        self._looked = looked
        self._note_uneven(uneven=looked.uneven)
        self._take_up(dict(looked.mine))

    def _kept_for_now(self) -> Collection[str]:
        since, now, busy = self._uneven_since, asyncio.get_running_loop().time(), frozenset(self._busy())
        return busy & self._bound if since is not None and now - since > _PATIENCE else busy

    def _note_uneven(self, *, uneven: bool) -> None:
        if not uneven:
            self._uneven_since = None
        elif self._uneven_since is None:
            self._uneven_since = asyncio.get_running_loop().time()

    async def _watch(self) -> None:
        """Let go of what could not be renewed, while it is still ours."""
        while True:
            await asyncio.sleep(_WATCH_EVERY)
            now = self._store.now()
            self._take_up({name: one for name, one in self._mine.items() if now < one.until - MARGIN})

    def _take_up(self, mine: dict[str, Mine]) -> None:
        """Hold what is mine; what was held in another epoch is let go first."""
        before, self._mine = self._mine, mine
        same = {name for name, one in mine.items() if name in before and before[name].epoch == one.epoch}
        for name in before.keys() - same:
            self._log.warning("environment.let_go", environment=name, epoch=before[name].epoch)
        if before.keys() - same:
            self._changed(frozenset(same), frozenset())
        for name in mine.keys() - same:
            self._log.info("environment.taken", environment=name, epoch=mine[name].epoch)
        if mine.keys() - same:
            self._changed(frozenset(mine), frozenset(mine.keys() - same))


def _nothing(_: Transaction) -> None:
    return None
