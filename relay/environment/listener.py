"""Listens to one conversation of an environment: both status sockets, opened again whenever they close.

Nominal flow:   resolve ─▶ open control + stream ─▶ runtime_start ─▶ state stored: in step, "up"
                ─▶ frames: in order, stored, acknowledged
A socket ends:  close the other, wait a little longer each time, resolve again, open both again
A frame fails:  not stored is not acknowledged: close both; runtime_start replays what is still asked
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from datetime import datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, urlencode

import aiohttp

from relay import __version__
from relay.config import Environment
from relay.domain.deliveries import Delivered, Delivery, Outcome, Refused, Retry
from relay.domain.runtime import Runtime
from relay.environment import frames
from relay.environment.directory import Directory, EnvironmentAwayError, LookupRefusedError
from relay.environment.sequencer import Sequencer
from relay.environment.turns import Arrival, Turns
from relay.store import StoreError

_PING_EVERY = 30.0
_DEAF_AFTER = 90.0  # three pings without any answer: the socket is open and deaf
_HOLD = 0.05
_SHORTEST_WAIT, _LONGEST_WAIT = 0.5, 10.0
_ANSWER_WITHIN = 10.0
_OPEN_WITHIN = 6.0
_STATE_WITHIN = 5.0
_CHANNELS = ("control", "stream")


@dataclass(frozen=True)
class Presence:
    """Whether an environment is being listened to, since when, and why not.

    `refused` says that it is not for being offline: someone has to mend the configuration.
    """

    up: bool
    since: datetime | None = None
    reason: str = "not connected yet"
    refused: bool = False


@dataclass(frozen=True)
class Arrivals:
    """What one frame brought, and the pair of sockets it came through."""

    epoch: str
    items: tuple[Arrival, ...]


class _SocketsLostError(Exception):
    """The pair of sockets is of no use any more; the message says why."""


class Listener:
    """Supervises the pair of status sockets of one runtime."""

    def __init__(
        self,
        environment: Environment,
        runtime: Runtime,
        directory: Directory,
        session: aiohttp.ClientSession,
        *,
        on_arrivals: "Callable[[Runtime, Arrivals], Any]",
        on_presence: "Callable[[Runtime, Presence], Any]",
        clock: Callable[[], datetime],
        chance: Callable[[], float],
        new_id: Callable[[], str],
        log: Any,
        ping_every: float = _PING_EVERY,
    ) -> None:
        self._environment = environment
        self._runtime = runtime
        self._directory = directory
        self._session = session
        self._on_arrivals = on_arrivals
        self._on_presence = on_presence
        self._clock = clock
        self._chance = chance
        self._new_id = new_id
        self.log = log.bind(environment=environment.name)
        self.ping_every = ping_every
        self._pair: _Pair | None = None
        self._open_on = ""
        self._turned = asyncio.Condition()
        self._hurry = asyncio.Event()
        self.presence = Presence(up=False)

    async def run(self) -> None:
        """Listen until cancelled."""
        failures, clock = 0, asyncio.get_running_loop().time
        while True:
            began = clock()
            reason, was_up, refused = await self._one_pair()
            # Sockets that open only to close again are no reason to hurry.
            failures = 1 if was_up and clock() - began > _PING_EVERY else failures + 1
            await self._tell(Presence(up=False, reason=reason, refused=refused))
            wait = min(_SHORTEST_WAIT * 2 ** min(failures - 1, 10), _LONGEST_WAIT / 1.2)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait * (0.8 + 0.4 * self._chance())):
                    await self._hurry.wait()
            self._hurry.clear()

    async def ready(self, connection_id: str) -> bool:
        """Return when its state on a connection is known here, or after a while without; False: at once.

        What is sent there before has its answer told to nobody, and a decision might meet another
        question: an environment that is back is found by whoever looks first, sender or listener.
        """
        if self._open_on == connection_id:
            return False
        self._hurry.set()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_OPEN_WITHIN), self._turned:
                await self._turned.wait_for(lambda: self._open_on == connection_id)
        return True

    async def _turn(self, open_on: str) -> None:
        async with self._turned:
            self._open_on = open_on
            self._turned.notify_all()

    async def _one_pair(self) -> tuple[str, bool, bool]:
        """Listen to a pair until it ends; return why it ended, whether it opened, whether it was refused."""
        was_up, refused, connection_id = False, False, ""
        reason = "its status sockets were closed"
        try:
            connection_id = await self._directory.connection_id(self._environment)
            async with self._open(connection_id) as sockets:
                was_up = True
                await _Pair(self, sockets, connection_id).listen()
        except (EnvironmentAwayError, LookupRefusedError, _SocketsLostError) as problem:
            reason, refused = str(problem), isinstance(problem, LookupRefusedError)
        except aiohttp.WSServerHandshakeError as problem:
            reason = f"its status sockets were refused ({problem.status})"
            refused = problem.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
        except (aiohttp.ClientError, TimeoutError, OSError) as problem:
            reason = f"its status sockets cannot be opened ({type(problem).__name__})"
        except StoreError as problem:
            reason = f"the store took no frames: {problem}"
        self._pair = None
        await self._turn("")
        if connection_id:
            self._directory.gone(self._environment, connection_id)
        return reason, was_up, refused

    async def in_step(self, pair: "_Pair", connection_id: str) -> None:
        """Begin to send: what the environment waits for is known, or it does not say."""
        self._pair = pair
        await self._turn(connection_id)
        await self._tell(Presence(up=True, reason=""))

    @contextlib.asynccontextmanager
    async def _open(self, connection_id: str) -> "AsyncIterator[dict[str, aiohttp.ClientWebSocketResponse]]":
        base = "ws" + self._environment.base_url.removeprefix("http")
        path = f"{base}/v1/environments/{quote(connection_id, safe='')}/status/ws"
        headers = {"Authorization": f"Bearer {self._environment.api_key.get_secret_value()}"}
        async with contextlib.AsyncExitStack() as stack:
            sockets = {}
            for channel in _CHANNELS:
                query = urlencode(
                    {
                        "agentId": self._runtime.agent_id,
                        "conversationId": self._runtime.conversation_id,
                        "channel": channel,
                    }
                )
                opening = self._session.ws_connect(
                    f"{path}?{query}",
                    headers=headers,
                    max_msg_size=0,
                    timeout=aiohttp.ClientWSTimeout(ws_close=2.0),
                )
                sockets[channel] = await stack.enter_async_context(opening)
            yield sockets

    async def _tell(self, now: Presence) -> None:
        before = self.presence
        if before.since is None or (now.up, now.refused) != (before.up, before.refused):
            tell = self.log.info if now.up else self.log.warning
            tell("environment.listening" if now.up else "environment.offline", reason=now.reason)
        turned = before.since is None or now.up != before.up
        self.presence = replace(now, since=self._clock() if turned else before.since)
        with contextlib.suppress(StoreError):
            await self._on_presence(self._runtime, self.presence)

    async def answer(self, delivery: Delivery) -> Outcome:
        """Decide a tool call over the open control socket and return what the device said."""
        if self._pair is None:
            return Retry("the status sockets are not open", away=True)
        body = delivery.body
        request_id = self._new_id()
        frame = frames.approval_response(
            request_id,
            body["agent_id"],
            body["conversation_id"],
            body["tool_call_id"],
            approve=body["approve"],
            reason=body["reason"],
        )
        try:
            async with asyncio.timeout(_ANSWER_WITHIN):
                said = await self._pair.ask(request_id, frame)
        except (TimeoutError, aiohttp.ClientError, ConnectionError):
            return Retry("the device did not answer over its socket", uncertain=True)
        if said.accepted:
            return Delivered({"via": "socket"})
        return Refused("the device did not take the answer", said=said.error or "")

    async def deliver(self, epoch: str, items: list[Arrival]) -> None:
        """Hand arrivals on; returns once they are stored."""
        if items:
            await self._on_arrivals(self._runtime, Arrivals(epoch, tuple(items)))

    def greeting(self) -> dict[str, Any]:
        """Return the frame that asks for the state and for a replay of what is pending."""
        return frames.runtime_start(
            self._new_id(), self._runtime.agent_id, self._runtime.conversation_id, __version__
        )

    def is_for_us(self, frame: frames.Frame) -> bool:
        """Whether a frame speaks of this conversation; one that names none does."""
        named = frame.runtime
        return named.agent_id in ("", self._runtime.agent_id) and named.conversation_id in (
            "",
            self._runtime.conversation_id,
        )

    def new_epoch(self) -> str:
        """Return a name for a pair of sockets, never used before."""
        return self._new_id()


@dataclass
class _Received:
    socket: aiohttp.ClientWebSocketResponse
    text: str


class _Pair:
    """One pair of open sockets, from the greeting to the end of either."""

    def __init__(
        self, listener: Listener, sockets: dict[str, aiohttp.ClientWebSocketResponse], connection_id: str
    ) -> None:
        self._listener = listener
        self._sockets = sockets
        self._connection_id = connection_id
        self._listed = asyncio.Event()
        self._owed: list[tuple[aiohttp.ClientWebSocketResponse, int]] = []
        self._epoch = listener.new_epoch()
        self._sequencer = Sequencer()
        self._turns = Turns()
        self._received: asyncio.Queue[_Received] = asyncio.Queue(maxsize=1000)
        self._asked: dict[str, asyncio.Future[frames.InputAccepted]] = {}

    async def listen(self) -> None:
        """Listen until a socket ends. Raises _SocketsLostError, StoreError, aiohttp.ClientError."""
        await _send(self._sockets["control"], self._listener.greeting())
        try:
            async with asyncio.TaskGroup() as group:
                for socket in self._sockets.values():
                    group.create_task(self._read(socket))
                    group.create_task(_ping(socket, self._listener.ping_every))
                group.create_task(self._handle_all())
                group.create_task(self._get_in_step())
        except* (_SocketsLostError, StoreError, aiohttp.ClientError, ConnectionError) as several:
            raise several.exceptions[0] from None
        finally:
            for answer in self._asked.values():
                if not answer.done():
                    answer.set_exception(ConnectionResetError("the sockets ended before the answer came"))

    async def _get_in_step(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_STATE_WITHIN):
                await self._listed.wait()
        await self._listener.in_step(self, self._connection_id)

    async def _read(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        while True:
            try:
                received = await socket.receive(timeout=_DEAF_AFTER)
            except TimeoutError:
                raise _SocketsLostError("its status socket fell silent") from None
            if received.type is aiohttp.WSMsgType.TEXT:
                await self._received.put(_Received(socket, received.data))
            elif received.type is not aiohttp.WSMsgType.BINARY:
                raise _SocketsLostError("its status socket was closed")

    async def _handle_all(self) -> None:
        while True:
            try:
                async with asyncio.timeout(_HOLD if self._sequencer.waiting else None):
                    received = await self._received.get()
            except TimeoutError:
                await self._take_in(self._sequencer.release())
            else:
                await self._handle(received)
            if not self._sequencer.waiting:
                await self._acknowledge()

    async def _acknowledge(self) -> None:
        """Acknowledge what came: all of it is stored, none waits for its order."""
        owed, self._owed = self._owed, []
        for socket, seq in owed:
            await _send(socket, frames.ack(seq))

    async def _handle(self, received: _Received) -> None:
        try:
            frame = frames.parse(received.text)
        except frames.FrameError as problem:
            # Acknowledged all the same: asked for again, it would be no better.
            self._listener.log.warning("frame.unreadable", reason=str(problem))
            if problem.seq is not None:
                self._owed.append((received.socket, problem.seq))
            return
        if frame.seq is not None:
            self._owed.append((received.socket, frame.seq))
        if isinstance(frame, frames.InputAccepted):
            self._answered(frame)
        if self._sequencer.starts_again(frame):
            await self._begin_again()
        await self._take_in(self._sequencer.take(frame))

    async def _begin_again(self) -> None:
        """Follow a device that started again behind open sockets: it lost what it asked, in silence."""
        await self._take_in(self._sequencer.restart())
        self._epoch = self._listener.new_epoch()
        self._turns = Turns()
        await _send(self._sockets["control"], self._listener.greeting())

    async def ask(self, request_id: str, frame: dict[str, Any]) -> frames.InputAccepted:
        """Send an input and return the device's answer to it."""
        answer: asyncio.Future[frames.InputAccepted] = asyncio.get_running_loop().create_future()
        self._asked[request_id] = answer
        try:
            await _send(self._sockets["control"], frame)
            return await answer
        finally:
            del self._asked[request_id]

    def _answered(self, frame: frames.InputAccepted) -> None:
        answer = self._asked.get(frame.request_id or "")
        if answer is not None and not answer.done():
            answer.set_result(frame)

    async def _take_in(self, ready: list[frames.Frame]) -> None:
        for frame in ready:
            if not self._listener.is_for_us(frame):
                continue
            try:
                await self._listener.deliver(self._epoch, self._turns.take(frame))
            except StoreError:
                raise
            except Exception:  # one frame that cannot be taken in must not end all the others
                self._listener.log.exception("frame.defect", type=frame.type)
            if isinstance(frame, frames.DeviceStatus):
                self._listed.set()


async def _ping(socket: aiohttp.ClientWebSocketResponse, every: float) -> None:
    while True:
        await asyncio.sleep(every)
        await _send(socket, frames.PING)


async def _send(socket: aiohttp.ClientWebSocketResponse, frame: dict[str, Any]) -> None:
    await socket.send_str(json.dumps(frame, separators=(",", ":"), ensure_ascii=False))
