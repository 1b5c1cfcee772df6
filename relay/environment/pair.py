"""One pair of open status sockets, from the greeting to the end of either.

Nominal flow:   runtime_start ─▶ state stored: in step ─▶ frames: in order, stored, acknowledged
Words missed:   the conversation itself is asked what was said, at the end of the turn that was cut
In silence:     while something is waited for, the state is asked for again every minute
"""

import asyncio
import contextlib
import json
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import aiohttp

from relay import __version__
from relay.domain.presence import UnderWay
from relay.domain.runtime import Runtime
from relay.environment import frames, outgoing
from relay.environment.catch_up import exchanges
from relay.environment.sequencer import Sequencer
from relay.environment.turns import AnswerNotTaken, Arrival, Behind, Exchange, Missed, Turns, Unheard
from relay.store import StoreError

_DEAF_AFTER = 90.0  # three pings without any answer: the socket is open and deaf
_HOLD = 0.05
_STATE_WITHIN = 5.0
_ANSWER_WITHIN = 10.0
_LOOK_AGAIN = 10.0
_MOST_LOOKS = 3  # at a conversation that cannot be read; after that the minute's look comes to it
_HOW_IT_ENDED = 1.0  # a turn that was stopped says so in a moment
_MOST_PAGES = 10

Socket = aiohttp.ClientWebSocketResponse


class SocketsLostError(Exception):
    """The pair of sockets is of no use any more; the message says why."""


class RuntimeRefusedError(SocketsLostError):
    """The device does not know the agent or the conversation."""


@dataclass(frozen=True)
class Ears:
    """What a pair tells, and asks of whoever listens.

    `take(epoch, arrivals)` returns once they are stored; `awaited(ended)` gives the messages whose
    answers may have been missed; `in_step()` is told once what the environment waits for is known;
    `seen(frame)` is told each frame of this conversation, in order, once it is stored.
    """

    take: Callable[[str, Sequence[Arrival]], Awaitable[None]]
    awaited: Callable[[tuple[str, ...]], Awaitable[frozenset[str]]]
    in_step: Callable[["Pair"], Awaitable[None]]
    seen: Callable[[frames.Frame], None]
    new_id: Callable[[], str]
    log: Any


@dataclass
class _Received:
    socket: Socket
    text: str


class Pair:
    """A pair of open sockets of one runtime."""

    def __init__(
        self,
        sockets: Mapping[str, Socket],
        runtime: Runtime,
        ears: Ears,
        *,
        ping_every: float,
        ask_again_every: float,
        look_again: float = _LOOK_AGAIN,
    ) -> None:
        self._sockets = sockets
        self._runtime = runtime
        self._ears = ears
        self._ping_every = ping_every
        self._ask_again_every = ask_again_every
        self._look_again = look_again
        self._greeting = ""
        self._epoch = ears.new_id()
        self._sequencer = Sequencer()
        self._turns = Turns()
        self._received: asyncio.Queue[_Received] = asyncio.Queue(maxsize=1000)
        self._asked: dict[str, asyncio.Future[frames.Frame]] = {}
        self._listed = asyncio.Event()
        self._owed: list[tuple[Socket, int]] = []
        self._behind: asyncio.Queue[Behind] = asyncio.Queue()
        self._ended = asyncio.Event()
        self._ending = ""

    @property
    def alive(self) -> bool:
        """Whether a turn runs or something is waited for."""
        return self._turns.alive

    @property
    def under_way(self) -> UnderWay:
        """What is known of the turn that runs now."""
        return self._turns.under_way

    async def listen(self) -> None:
        """Listen until a socket ends. Raises SocketsLostError, StoreError, aiohttp.ClientError."""
        await self._greet()
        try:
            async with asyncio.TaskGroup() as group:
                for socket in self._sockets.values():
                    group.create_task(self._read(socket))
                    group.create_task(_ping(socket, self._ping_every))
                parts = (self._handle_all, self._get_in_step, self._catch_up, self._ask_again, self._end)
                for part in parts:
                    group.create_task(part())
        except* (SocketsLostError, StoreError, aiohttp.ClientError, ConnectionError) as several:
            raise several.exceptions[0] from None
        finally:
            for answer in self._asked.values():
                if not answer.done():
                    answer.set_exception(ConnectionResetError("the sockets ended before the answer came"))

    def close(self, reason: str) -> None:
        """End it: there is a better pair to be had."""
        self._ending = reason
        self._ended.set()

    async def _end(self) -> None:
        await self._ended.wait()
        raise SocketsLostError(self._ending)

    async def ask(self, request_id: str, frame: dict[str, Any]) -> frames.Frame:
        """Send a request and return the device's answer. Raises TimeoutError, and what a socket raises."""
        answer: asyncio.Future[frames.Frame] = asyncio.get_running_loop().create_future()
        self._asked[request_id] = answer
        try:
            async with asyncio.timeout(_ANSWER_WITHIN):
                await _send(self._sockets["control"], frame)
                return await answer
        finally:
            del self._asked[request_id]

    async def _greet(self) -> None:
        where = (self._runtime.agent_id, self._runtime.conversation_id)
        self._greeting = self._ears.new_id()
        greeting = outgoing.runtime_start(self._greeting, *where, __version__)
        await _send(self._sockets["control"], greeting)

    async def _get_in_step(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_STATE_WITHIN):
                await self._listed.wait()
        await self._ears.in_step(self)

    async def _read(self, socket: Socket) -> None:
        while True:
            try:
                received = await socket.receive(timeout=_DEAF_AFTER)
            except TimeoutError:
                raise SocketsLostError("its status socket fell silent") from None
            if received.type is aiohttp.WSMsgType.TEXT:
                await self._received.put(_Received(socket, received.data))
            elif received.type is not aiohttp.WSMsgType.BINARY:
                raise SocketsLostError("its status socket was closed")

    async def _handle_all(self) -> None:
        now = asyncio.get_running_loop().time
        while True:
            received = await self._next()
            if received is not None:
                await self._handle([received, *self._what_waits()])
            # What goes on coming keeps nothing waiting any longer.
            if now() >= self._held_until():
                await self._take_in(self._sequencer.release())
            if not self._sequencer.waiting:
                await self._acknowledge()

    async def _next(self) -> _Received | None:
        """Return what comes next, or None once a frame has waited long enough for those before it."""
        until = self._held_until()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(None if math.isinf(until) else until):
                return await self._received.get()
        return None

    def _held_until(self) -> float:
        oldest = self._sequencer.oldest
        return math.inf if oldest is None else oldest + _HOLD

    async def _acknowledge(self) -> None:
        """Acknowledge what came: all of it is stored, none waits for its order."""
        owed, self._owed = self._owed, []
        for socket, seq in owed:
            await _send(socket, outgoing.ack(seq))

    def _what_waits(self) -> list[_Received]:
        """Return what came meanwhile: taken in together, it costs one commit."""
        return [self._received.get_nowait() for _ in range(self._received.qsize())]

    async def _handle(self, several: list[_Received]) -> None:
        ready: list[frames.Frame] = []
        for frame in filter(None, map(self._parsed, several)):
            if self._answered(frame):
                continue
            if isinstance(frame, frames.InputAccepted) and frames.is_not_pending(frame):
                await self._take_in(ready)
                ready = []
                await self._hand_on([AnswerNotTaken()])
            if self._sequencer.starts_again(frame):
                await self._take_in(ready)
                ready = []
                await self._begin_again()
            ready += self._sequencer.take(frame, asyncio.get_running_loop().time())
        await self._take_in(ready)

    def _parsed(self, received: _Received) -> frames.Frame | None:
        try:
            frame = frames.parse(received.text)
        except frames.FrameError as problem:
            # Acknowledged all the same: asked for again, it would be no better.
            self._ears.log.warning("frame.unreadable", reason=str(problem))
            if problem.seq is not None:
                self._owed.append((received.socket, problem.seq))
            return None
        if frame.seq is not None:
            self._owed.append((received.socket, frame.seq))
        return frame

    def _answered(self, frame: frames.Frame) -> bool:
        """Hand a direct answer to whoever asked; return whether it was one."""
        answer = self._asked.get(frame.request_id or "")
        if answer is None or isinstance(frame, frames.ControlRequest):
            return False
        if not answer.done():
            answer.set_result(frame)
        return True

    async def _begin_again(self) -> None:
        """Follow a device that started again behind open sockets: it lost what it asked, in silence."""
        await self._take_in(self._sequencer.restart())
        self._epoch = self._ears.new_id()
        self._turns = Turns()
        await self._greet()

    async def _take_in(self, ready: list[frames.Frame]) -> None:
        taken = [frame for frame in ready if self._is_for_us(frame)]
        arrivals: list[Arrival] = []
        for frame in taken:
            if self._refuses_us(frame):
                await self._hand_on(arrivals)
                raise RuntimeRefusedError("its device does not know the agent or the conversation")
            try:
                arrivals += self._turns.take(frame)
            except Exception:  # one frame that cannot be taken in must not end all the others
                self._ears.log.exception("frame.defect", type=frame.type)
        await self._hand_on(arrivals)
        for frame in taken:
            self._show(frame)
            if isinstance(frame, frames.DeviceStatus):
                self._listed.set()

    def _refuses_us(self, frame: frames.Frame) -> bool:
        """Whether a frame refuses our own greeting: others on the same socket are answered there, too."""
        if not isinstance(frame, frames.RuntimeStarted) or frame.success:
            return False
        return frame.request_id == self._greeting

    def _show(self, frame: frames.Frame) -> None:
        try:
            self._ears.seen(frame)
        except Exception:  # what only shows must not end what counts
            self._ears.log.exception("frame.not_shown", type=frame.type)

    async def _hand_on(self, arrivals: Sequence[Arrival]) -> None:
        told = [one for one in arrivals if not isinstance(one, Behind)]
        if told:
            await self._store(told)
        for one in arrivals:
            if isinstance(one, Behind):
                self._behind.put_nowait(one)

    async def _store(self, told: Sequence[Arrival]) -> None:
        try:
            await self._ears.take(self._epoch, told)
        except StoreError:
            raise
        except Exception:  # nothing of it was kept: what cannot be taken in must not end all the others
            self._ears.log.exception("arrival.defect", type=[type(one).__name__ for one in told])
            for one in told if len(told) > 1 else ():
                await self._store([one])

    def _is_for_us(self, frame: frames.Frame) -> bool:
        """Whether a frame speaks of this conversation; one that names none does."""
        named, ours = frame.runtime, self._runtime
        return named.agent_id in ("", ours.agent_id) and named.conversation_id in ("", ours.conversation_id)

    async def _catch_up(self) -> None:
        while True:
            behind = await self._behind.get()
            wanted = await self._ears.awaited(behind.ended or ())
            if not wanted:
                continue
            if behind.heard:
                await asyncio.sleep(_HOW_IT_ENDED)
            try:
                found = await self._said(wanted, behind.ended or ())
            except (TimeoutError, SocketsLostError) as problem:
                self._ears.log.warning("conversation.not_read", reason=str(problem) or "no answer in time")
                if not behind.heard:
                    await self._look_later(behind, wanted)
                    continue
                found, wanted = (Exchange(behind.ended or (), ()),), frozenset()
            unseen = wanted - {message_id for one in found for message_id in one.message_ids}
            over = self._of_what(behind, found, unseen)
            unseen = unseen if over.ended is None else frozenset()
            await self._store([Missed(found, over, tuple(unseen), sure=behind.ended is not None)])

    async def _look_later(self, behind: Behind, wanted: frozenset[str]) -> None:
        """Look again soon at what could not be read; say at last that it was not, and end no turn by it."""
        sought = behind.ended or behind.sought or tuple(wanted)
        if behind.looks + 1 < _MOST_LOOKS:
            self._again(replace(behind, looks=behind.looks + 1, sought=sought))
        elif behind.ended is not None or not self.alive:
            unheard = tuple(message_id for message_id in sought if message_id in wanted)
            if unheard and not behind.failed:
                await self._store([Unheard(unheard)])

    def _again(self, behind: Behind) -> None:
        asyncio.get_running_loop().call_later(self._look_again, self._behind.put_nowait, behind)

    def _of_what(self, behind: Behind, found: tuple[Exchange, ...], unseen: frozenset[str]) -> Behind:
        """Return which turns are over; a message on its way may be listed before its turn is told of."""
        if behind.ended is not None or (not unseen and all(one.answers for one in found)):
            return behind
        if behind.last and not self.alive:
            return behind
        if not behind.last:
            self._again(Behind(last=True))
        answered = (message_id for one in found if one.answers for message_id in one.message_ids)
        return Behind(tuple(answered))

    async def _said(self, wanted: frozenset[str], ended: tuple[str, ...]) -> tuple[Exchange, ...]:
        """Return what was answered to the messages `wanted`, as far back as the conversation tells."""
        said: list[frames.Delta] = []
        before = ""
        for _ in range(_MOST_PAGES):
            request_id = self._ears.new_id()
            where = (self._runtime.agent_id, self._runtime.conversation_id)
            page = await self.ask(request_id, outgoing.messages_list(request_id, *where, before))
            if not isinstance(page, frames.MessagesListed) or not page.success:
                raise SocketsLostError("the device does not tell what was said")
            said += page.read
            before = page.next_before
            if not (page.has_more and before) or wanted <= {one.otid for one in said}:
                break
        return exchanges(said, wanted, ended)

    async def _ask_again(self) -> None:
        """Ask now and then for what a device does not tell: it may restart, or speak while it is cut off."""
        while True:
            await asyncio.sleep(self._ask_again_every)
            if self.alive:
                where = (self._runtime.agent_id, self._runtime.conversation_id)
                await _send(self._sockets["control"], outgoing.sync(self._ears.new_id(), *where))
            else:
                self._behind.put_nowait(Behind())


async def _ping(socket: Socket, every: float) -> None:
    while True:
        await asyncio.sleep(every)
        await _send(socket, outgoing.PING)


async def _send(socket: Socket, frame: dict[str, Any]) -> None:
    await socket.send_str(json.dumps(frame, separators=(",", ":"), ensure_ascii=False))
