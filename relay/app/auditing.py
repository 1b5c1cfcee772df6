"""Keeps the record while relay runs: anchors go to the log, and what is too old is removed."""

import asyncio
import contextlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from relay.domain.audit import ANCHOR, Anchor
from relay.store import Store, StoreError
from relay.use_cases.keep_audit import end_chain, prune_audit

_TICK = 1.0
_ENTRIES = 1_000
_EVERY = timedelta(hours=1)


class Auditing:
    """Tells the log where the record is, so that a cut end shows.

    `retention` says for how long it is kept as things are now, None: for ever.
    """

    def __init__(self, store: Store, retention: Callable[[], timedelta | None], log: Any) -> None:
        self._store = store
        self._retention = retention
        self._log = log
        self._told: Anchor | None = None
        self._told_at = self._pruned_at = datetime.min.replace(tzinfo=UTC)

    async def run(self) -> None:
        """Tell anchors and remove what is too old, until cancelled."""
        if self._store.chain.after is not None:  # of a run that was killed, nobody told the end
            self._tell(self._store.chain.after)
        while True:
            now = self._store.now()
            self._tell_in_time(now)
            retention = self._retention()
            if retention is not None and now - self._pruned_at >= _EVERY:
                self._pruned_at = now
                await self._prune_or_say(now - retention, now)
            await asyncio.sleep(_TICK)

    async def finish(self) -> None:
        """Close the chain and tell where it ended."""
        with contextlib.suppress(StoreError):
            if self._store.anchor is not None:
                await self._store.transact(partial(end_chain, now=self._store.now()))
        if self._store.anchor is not None:
            self._tell(self._store.anchor)

    def _tell_in_time(self, now: datetime) -> None:
        anchor, told = self._store.anchor, self._told
        if anchor is None or anchor == told:
            return
        told_to = told.number if told is not None and told.chain == anchor.chain else 0
        if told_to == 0 or anchor.number - told_to >= _ENTRIES or now - self._told_at >= _EVERY:
            self._told_at = now
            self._tell(anchor)

    def _tell(self, anchor: Anchor) -> None:
        self._told = anchor
        self._log.info(ANCHOR, **anchor.written())

    async def _prune_or_say(self, before: datetime, now: datetime) -> None:
        try:
            await self._prune(before, now)
        except StoreError:
            pass  # /readyz says so
        except Exception as problem:  # noqa: BLE001 - whatever stands in the file: relay goes on unpruned
            self._log.error("audit.not_pruned", problems=[type(problem).__name__], exc_info=problem)

    async def _prune(self, before: datetime, now: datetime) -> None:
        removed, more = 0, True
        while more:
            pruned = await self._store.transact(partial(prune_audit, before=before, now=now))
            removed, more = removed + pruned.entries, pruned.more
            if pruned.problems:
                self._log.error("audit.not_pruned", problems=[str(one) for one in pruned.problems[:10]])
        if removed:
            self._log.info("audit.pruned", entries=removed)
