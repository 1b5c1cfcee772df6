"""Removes old texts while relay runs: a page at each tick, so that no acknowledgement waits for it."""

from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from relay.store import Store, StoreError, Transaction
from relay.store.texts import Removed

_EVERY = timedelta(hours=1)
_Walk = Callable[[Transaction, Any, datetime], Removed]
# What is walked over, in turn, from which place on.
_WALKS: dict[str, tuple[Any, _Walk]] = {
    "messages": ("", lambda tx, after, before: tx.texts.of_messages(after, before)),
    "requests": ("", lambda tx, after, before: tx.texts.of_approvals(after, before)),
    "deliveries": (0, lambda tx, after, before: tx.texts.of_deliveries(after, before)),
    "grants": ("", lambda tx, after, before: tx.texts.of_grants(after, before)),
}


class Retaining:
    """Keeps texts for as long as `texts` says as things are now (None: for ever), and looks every hour."""

    def __init__(self, store: Store, texts: Callable[[], timedelta | None], log: Any) -> None:
        self._store = store
        self._texts = texts
        self._log = log
        self._begun: datetime | None = None
        self._left: list[str] = []
        self._after: Any = ""
        self._removed: Counter[str] = Counter()

    async def step(self, now: datetime) -> None:
        """Look at the next page, if it is time to. Raises StoreError."""
        texts = self._texts()
        if texts is None:
            self._left, self._begun = [], None
            return
        if not self._left and self._begun is not None and now - self._begun < _EVERY:
            return
        if not self._left:
            self._begun, self._left = now, list(_WALKS)
            self._after = _WALKS[self._left[0]][0]
        try:
            await self._look(now - texts)
        except StoreError:
            raise
        except Exception as problem:  # noqa: BLE001 - whatever stands in the file: relay goes on, and looks again in an hour
            self._log.error("texts.not_removed", of=self._left[0], exc_info=problem)
            self._next()

    async def _look(self, before: datetime) -> None:
        name, after = self._left[0], self._after
        _, walk = _WALKS[name]
        removed = await self._store.transact(lambda tx: walk(tx, after, before))
        self._removed[name] += removed.rows
        self._after = removed.after
        if removed.after is None:
            self._next()

    def _next(self) -> None:
        """Go on with what is walked over next; after the last say what was removed."""
        del self._left[0]
        if self._left:
            self._after = _WALKS[self._left[0]][0]
        elif self._removed.total():
            self._log.info("texts.removed", **{name: self._removed[name] for name in _WALKS})
            self._removed.clear()
