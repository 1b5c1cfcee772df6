"""One running turn, as it is shown in the threads of the messages it answers."""

import asyncio
import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from relay.domain.presence import Glimpse
from relay.slack import posts, sentences
from relay.slack.live_calls import LiveCalls, Said
from relay.store import Store, Transaction
from relay.store.live_posts import WORKING, LivePost
from relay.store.messages import Message

_QUIET_WITHIN = 2.0
_MOST_THREADS = 5

Place = tuple[str, str]


@dataclass(frozen=True)
class Pace:
    """How often something is shown, in seconds."""

    begin_after: float = 0.7  # a turn that is over by then was no time to wait
    every: float = 1.0
    renew_after: float = 90.0  # Slack takes a status away after two minutes
    forgotten_after: float = 200.0  # nothing was heard for longer than a device stays silent


@dataclass
class Stream:
    """A message whose words come; `appended` are those it has, None when that is not sure."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    ts: str = ""
    appended: str | None = ""
    over: bool = False


Streams = dict[tuple[str, str], Stream]


@dataclass
class _Status:
    words: str = ""
    at: float = 0.0


class LiveTurn:
    """Shows one turn until it is over."""

    def __init__(
        self,
        calls_of: Callable[[str], LiveCalls | None],
        store: Store,
        streams: Streams,
        clock: Callable[[], datetime],
        pace: Pace,
    ) -> None:
        self.glimpse = Glimpse()
        self.messages: list[Message] = []
        self._found: tuple[str, ...] = ()
        self._calls_of = calls_of
        self._calls: LiveCalls  # of the workspace of the messages, known with them
        self._store = store
        self._streams = streams
        self._clock = clock
        self._pace = pace
        self._changed = asyncio.Event()
        self._over = asyncio.Event()
        self._lock = asyncio.Lock()
        self._statuses: dict[Place, _Status] = {}
        self._working: dict[Place, LivePost] = {}
        self._keys: set[tuple[str, str]] = set()

    @property
    def shown(self) -> set[tuple[str, str]]:
        """Everything begun for this turn that is not taken away while it runs."""
        return self._keys | {(one.message_id, one.key) for one in self._working.values()}

    def see(self, glimpse: Glimpse) -> None:
        """Take note of how the turn is now."""
        self.glimpse = glimpse
        self._changed.set()
        if not glimpse.running:
            self._over.set()

    def posted(self, place: Place) -> None:
        """Note that a message came into a thread: Slack takes the status away then."""
        if self._statuses.pop(place, None) is not None:
            self._changed.set()

    async def run(self) -> None:
        """Show it until it is over, then leave nothing behind but words."""
        await self._pause(self._pace.begin_after)
        while not self._over.is_set():
            await self._show()
            if not await self._news():
                break
            await self._pause(self._pace.every)
        await self._clear()

    async def _news(self) -> bool:
        """Wait for something new to show, or for a status to renew; False when nothing is heard any more."""
        heard_at = time.monotonic()
        while time.monotonic() - heard_at < self._pace.forgotten_after:
            try:
                async with asyncio.timeout(self._pace.renew_after):
                    await self._changed.wait()
            except TimeoutError:
                await self._show()
                continue
            self._changed.clear()
            return True
        return False

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._over.wait()

    async def _show(self) -> None:
        self._changed.clear()
        glimpse = self.glimpse
        await self._find_threads(glimpse.message_ids)
        if not self.messages:
            return
        await self._stream(glimpse)
        async with self._lock:
            for place, message in self._places().items():
                await self._status(place, message)

    async def _find_threads(self, message_ids: tuple[str, ...]) -> None:
        if message_ids == self._found:
            return
        found = await self._store.transact(lambda tx: tx.messages.some(message_ids))
        calls = self._calls_of(found[0].team_id) if found else None
        if calls is not None:
            self._calls = calls
        # A conversation is one workspace's; what was never shown anywhere is not shown elsewhere.
        theirs = [one for one in found if calls is not None and one.team_id == found[0].team_id]
        self.messages = [one for one in theirs if one.place != "private" and one.thread_ts]
        if any(one.place == "thread" and not one.thread_ts for one in found):
            self._changed.set()  # a thread that is not there yet is looked for again
        else:
            self._found = message_ids

    def _places(self) -> dict[Place, Message]:
        places = {(one.channel_id, one.thread_ts or ""): one for one in self.messages}
        return dict(list(places.items())[-_MOST_THREADS:])

    # The status.

    async def _status(self, place: Place, message: Message) -> None:
        now, glimpse = time.monotonic(), self.glimpse
        wanted = (
            "" if glimpse.asking or glimpse.key or not glimpse.running else sentences.status(glimpse.tool)
        )
        shown = self._statuses.get(place, _Status())
        if wanted == shown.words and (not wanted or now - shown.at < self._pace.renew_after):
            return
        said = await self._calls.status(*place, wanted, sentences.loading(glimpse.tool))
        if said in (Said.DONE, Said.UNCLEAR):
            self._statuses[place] = _Status(wanted, now)
        elif place[0] in self._calls.no_status and wanted:
            await self._say_working(place, message)

    async def _say_working(self, place: Place, message: Message) -> None:
        """Say it in a message where Slack has no status to set."""
        if place in self._working:
            return
        post = LivePost(message.id, WORKING, message.team_id, *place, None, self._clock())
        self._working[place] = post
        if not await self._store.transact(lambda tx: tx.live_posts.begin(post)):
            return
        said, ts = await self._calls.post(message, posts.working(message))
        if said is Said.DONE:
            await self._store.transact(lambda tx: tx.live_posts.posted(message.id, WORKING, ts))

    async def quiet(self) -> None:
        """Take the status away: something is about to be asked."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_QUIET_WITHIN), self._lock:
                await self._no_status()

    async def _no_status(self) -> None:
        for place, status in list(self._statuses.items()):
            if status.words:
                await self._calls.status(*place, "", [])
            self._statuses.pop(place, None)  # a message may have taken it away meanwhile

    async def _clear(self) -> None:
        async with self._lock:
            await self._no_status()
        for post in self._working.values():
            await self._take_away(post.message_id)

    async def _take_away(self, message_id: str) -> None:
        def work(tx: Transaction) -> LivePost | None:
            found = tx.live_posts.get(message_id, WORKING)
            tx.live_posts.forget(message_id, WORKING)
            return found

        found = await self._store.transact(work)
        if found is not None and found.ts is not None:
            await self._calls.take_away(found.channel_id, found.ts, stream=False)

    # The words.

    async def _stream(self, glimpse: Glimpse) -> None:
        words = posts.so_far(glimpse.words) if glimpse.key else ""
        if not words:
            return
        message = self.messages[-1]
        if message.answers_in is None:  # Slack streams into threads alone
            return
        which = (message.id, glimpse.key)
        stream = self._streams.get(which)
        if stream is None:
            if which not in self._keys:  # else its reply has finished it
                await self._start(message, glimpse.key, words)
            return
        async with stream.lock:
            if not stream.over and stream.appended is not None:
                await self._append(message, stream, words)

    async def _start(self, message: Message, key: str, words: str) -> None:
        if message.channel_id in self._calls.no_streams:
            return
        place = (message.channel_id, message.thread_ts or "")
        post = LivePost(message.id, key, message.team_id, *place, None, self._clock())
        stream = Stream()
        async with stream.lock:
            self._streams[message.id, key] = stream
            self._keys.add((message.id, key))
            if not await self._store.transact(lambda tx: tx.live_posts.begin(post)):
                self._streams.pop((message.id, key), None)
                return
            said, stream.ts = await self._calls.start(message, words)
            stream.appended = words if said is Said.DONE else None
            if said is Said.DONE:
                self._statuses.pop(place, None)
                await self._store.transact(lambda tx: tx.live_posts.posted(message.id, key, stream.ts))
            elif said is not Said.UNCLEAR:  # where it may have begun, the reply looks for it
                self._streams.pop((message.id, key), None)
                await self._store.transact(lambda tx: tx.live_posts.forget(message.id, key))

    async def _append(self, message: Message, stream: Stream, words: str) -> None:
        before = stream.appended or ""
        if words == before:
            return
        if not words.startswith(before):
            stream.appended = None
            return
        said = await self._calls.append(message.channel_id, stream.ts, words[len(before) :])
        if said is Said.DONE:
            stream.appended = words
        elif said is not Said.DROPPED:  # it has died, or may hold these words: its reply rewrites it
            stream.appended = None
        else:
            self._changed.set()
