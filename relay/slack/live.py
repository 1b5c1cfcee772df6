"""Shows people that a turn runs, and its words as they come: a status, a stream, a way to stop it.

Nominal flow:   a turn begins ─▶ a moment later: status ─▶ words: a stream ─▶ REPLY finishes the stream
A card comes:   the status goes first: a live status locks the composer
Refused:        remembered for the channel; instead of a status, a message with a Stop button
Crash:          what was begun is in the store: the REPLY rewrites it, or it is taken away

None of this is a delivery: it is tried once, and dropped when Slack is busy.
"""

import asyncio
import contextlib
from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from typing import Any

from relay.domain.presence import Glimpse
from relay.domain.runtime import Runtime
from relay.slack.live_calls import LiveCalls
from relay.slack.live_turn import LiveTurn, Pace, Stream, Streams
from relay.store import Store, StoreError, Transaction
from relay.store.live_posts import WORKING, LivePost

_MOST_TURNS = 300
_SWEEP_EVERY = 30.0
_LEFT_AFTER = timedelta(seconds=60)


class Live:
    """Shows the turns of all conversations; those of environments `elsewhere` are another relay's to show.

    `calls_of` a workspace: None where it is not served.
    """

    def __init__(
        self,
        calls_of: Callable[[str], LiveCalls | None],
        store: Store,
        clock: Callable[[], datetime],
        log: Any,
        pace: Pace = Pace(),  # noqa: B008 - frozen
        elsewhere: Callable[[], Collection[str]] = tuple,
    ) -> None:
        self._calls_of = calls_of
        self._store = store
        self._clock = clock
        self._pace = pace
        self._log = log
        self._elsewhere = elsewhere
        self._streams: Streams = {}
        self._turns: dict[Runtime, LiveTurn] = {}
        self._tasks: dict[asyncio.Task[None], Runtime] = {}

    def show(self, runtime: Runtime, glimpse: Glimpse) -> None:
        """Have people see how a conversation is now."""
        turn = self._turns.get(runtime)
        if turn is None:
            if not (glimpse.running and glimpse.message_ids) or len(self._turns) >= _MOST_TURNS:
                return
            turn = self._turns[runtime] = self._made()
            self._begin(runtime, turn)
        if not glimpse.running:
            del self._turns[runtime]
        turn.see(glimpse)

    def _made(self) -> LiveTurn:
        return LiveTurn(self._calls_of, self._store, self._streams, self._clock, self._pace)

    def _begin(self, runtime: Runtime, turn: LiveTurn) -> None:
        async def run() -> None:
            try:
                await turn.run()
            except StoreError as problem:
                self._log.warning("live.not_stored", reason=str(problem))
            except Exception:  # noqa: BLE001 - the turn's boundary: what is shown may fail, what is delivered may not
                self._log.exception("live.defect")
            finally:
                if self._turns.get(runtime) is turn:
                    del self._turns[runtime]

        task = asyncio.create_task(run())
        self._tasks[task] = runtime
        task.add_done_callback(lambda _: self._tasks.pop(task, None))

    def leave(self, environments: Collection[str]) -> None:
        """Show nothing more of environments whose turns another relay shows from now on."""
        for task, runtime in list(self._tasks.items()):
            if runtime.environment in environments:
                task.cancel()

    def message_ids(self, runtime: Runtime) -> tuple[str, ...]:
        """Return the messages whose turn runs in a conversation, as far as it is seen."""
        turn = self._turns.get(runtime)
        return turn.glimpse.message_ids if turn is not None else ()

    async def quiet(self, runtime: Runtime) -> None:
        """Take the status of a conversation away before its card is posted."""
        turn = self._turns.get(runtime)
        if turn is None:
            return
        try:
            await turn.quiet()
        except Exception:  # noqa: BLE001 - the turn's boundary: its card is posted all the same
            self._log.exception("live.defect")

    def posted(self, channel_id: str, thread_ts: str) -> None:
        """Note that a message came into a thread: its status is gone by that."""
        for turn in self._turns.values():
            turn.posted((channel_id, thread_ts))

    async def stream_of(self, message_id: str, key: str) -> Stream | None:
        """Return the stream of a reply, to which nothing is added any more; None: begun in an earlier run."""
        stream = self._streams.pop((message_id, key), None)
        if stream is not None:
            async with stream.lock:
                stream.over = True
        return stream

    async def run(self) -> None:
        """Take away, until cancelled, what was begun and nothing will finish."""
        began = self._clock()
        await self._sweep(lambda tx: _working(tx, began, self._elsewhere()))
        while True:
            await asyncio.sleep(_SWEEP_EVERY)
            await self.sweep()

    async def sweep(self) -> None:
        """Take away words that no reply will finish: of an attempt given up, or of an earlier run."""
        await self._sweep(self._left)

    def _left(self, tx: Transaction) -> list[LivePost]:
        shown = {one for turn in self._turns.values() for one in turn.shown}
        return tx.live_posts.take_left(self._clock() - _LEFT_AFTER, shown, self._elsewhere())

    async def _sweep(self, find: Callable[[Transaction], list[LivePost]]) -> None:
        with contextlib.suppress(StoreError):
            for one in await self._store.transact(find):
                self._streams.pop((one.message_id, one.key), None)
                calls = self._calls_of(one.team_id)
                if one.ts is not None and calls is not None:
                    await calls.take_away(one.channel_id, one.ts, stream=one.key != WORKING)

    async def finish(self) -> None:
        """Show nothing more: what was begun is finished by a reply, or in the next run."""
        left = list(self._tasks)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)


def _working(tx: Transaction, before: datetime, elsewhere: Collection[str]) -> list[LivePost]:
    """Return what an earlier run said of turns: whether they still run is told anew."""
    left = tx.live_posts.working(before, elsewhere)
    for one in left:
        tx.live_posts.forget(one.message_id, one.key)
    return left
