"""Listens to one conversation of an environment: both status sockets, opened again whenever they close.

Nominal flow:   resolve ─▶ open control + stream ─▶ runtime_start ─▶ state stored: in step, "up"
                ─▶ frames: in order, stored, acknowledged
A socket ends:  close the other, wait a little longer each time, resolve again, open both again
A frame fails:  not stored is not acknowledged: close both; runtime_start replays what is still asked
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, urlencode

import aiohttp

from relay.config import Environment
from relay.domain.deliveries import Delivery, Outcome, Retry
from relay.domain.presence import UnderWay
from relay.domain.runtime import Runtime
from relay.domain.seen import Seen, unseen
from relay.environment import frames, outgoing
from relay.environment.directory import Directory
from relay.environment.errors import EnvironmentAwayError, LookupRefusedError
from relay.environment.pair import Ears, Pair, RuntimeRefusedError, SocketsLostError
from relay.environment.turns import Arrival
from relay.environment.verdicts import meaning_of_input
from relay.store import StoreError

_PING_EVERY = 30.0
_ASK_AGAIN_EVERY = 60.0
_SHORTEST_WAIT, _LONGEST_WAIT = 0.5, 10.0
_OPEN_WITHIN = 6.0
_TAKEN_WITHIN = 10.0
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
        on_behind: "Callable[[Runtime, tuple[str, ...]], Awaitable[frozenset[str]]]",
        on_frame: "Callable[[Runtime, frames.Frame], None]",
        clock: Callable[[], datetime],
        chance: Callable[[], float],
        new_id: Callable[[], str],
        log: Any,
        ping_every: float = _PING_EVERY,
        ask_again_every: float = _ASK_AGAIN_EVERY,
        seen: Seen = unseen,
    ) -> None:
        self._environment = environment
        self._runtime = runtime
        self._directory = directory
        self._session = session
        self._on_arrivals = on_arrivals
        self._on_presence = on_presence
        self._on_behind = on_behind
        self._on_frame = on_frame
        self._clock = clock
        self._chance = chance
        self._new_id = new_id
        self.log = log.bind(environment=environment.name)
        self._ping_every = ping_every
        self._ask_again_every = ask_again_every
        self._tell_seen = seen
        self._opened_before = False
        self.sockets = 0  # how many are open now
        self._pair: Pair | None = None
        self._open_on = ""
        self._turned = asyncio.Condition()
        self._hurry = asyncio.Event()
        self._ends = 0  # how often a pair of sockets ended, or could not be opened
        self._unknown = ""  # why its device refuses the runtime, while it does
        self.presence = Presence(up=False)
        self.mode = ""  # the permission mode, as the device told it last
        self._moved_at = time.monotonic()

    @property
    def busy(self) -> bool:
        """Whether a turn runs or something is waited for, as far as is known."""
        return self._pair is not None and self._pair.alive

    @property
    def under_way(self) -> UnderWay | None:
        """What is known of the turn that runs now; None: its sockets are not open."""
        return self._pair.under_way if self._pair is not None else None

    @property
    def rested(self) -> float:
        """For how many seconds nothing was said, asked or sent."""
        return time.monotonic() - self._moved_at

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
        Raises RuntimeRefusedError when its device does not know the runtime.
        """
        self._moved_at = time.monotonic()
        if self._open_on == connection_id:
            return False
        self._unknown = ""
        self._hurry.set()
        if self._pair is not None:
            self._pair.close("its connection changed")
        await self._wait_for(lambda: self._open_on == connection_id or bool(self._unknown))
        if self._unknown:
            raise RuntimeRefusedError(self._unknown)
        return True

    async def opened(self) -> bool:
        """Return when its sockets are open, or once they could not be; False: they were.

        Raises RuntimeRefusedError when its device does not know the runtime.
        """
        self._moved_at = time.monotonic()
        if self._pair is not None:
            return False
        ends = self._ends
        self._hurry.set()
        await self._wait_for(lambda: bool(self._open_on) or self._ends > ends)
        if self._unknown:
            raise RuntimeRefusedError(self._unknown)
        return True

    async def _wait_for(self, turned: Callable[[], bool]) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_OPEN_WITHIN), self._turned:
                await self._turned.wait_for(turned)

    async def _turn(self, open_on: str) -> None:
        async with self._turned:
            self._open_on = open_on
            self._turned.notify_all()

    async def _one_pair(self) -> tuple[str, bool, bool]:
        """Listen to a pair until it ends; return why it ended, whether it opened, whether it was refused."""
        was_up, refused, connection_id, self._unknown = False, False, "", ""
        reason = "its status sockets were closed"
        try:
            connection_id = await self._directory.connection_id(self._environment)
            async with self._open(connection_id) as sockets:
                was_up = True
                self._count_open(len(sockets))
                await Pair(
                    sockets,
                    self._runtime,
                    self._ears(connection_id),
                    ping_every=self._ping_every,
                    ask_again_every=self._ask_again_every,
                ).listen()
        except (EnvironmentAwayError, LookupRefusedError, SocketsLostError) as problem:
            reason = str(problem)
            refused = isinstance(problem, (LookupRefusedError, RuntimeRefusedError))
            self._unknown = reason if isinstance(problem, RuntimeRefusedError) else ""
        except aiohttp.WSServerHandshakeError as problem:
            reason = f"its status sockets were refused ({problem.status})"
            refused = problem.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
        except (aiohttp.ClientError, TimeoutError, OSError) as problem:
            reason = f"its status sockets cannot be opened ({type(problem).__name__})"
        except StoreError as problem:
            reason = f"the store took no frames: {problem}"
        self._pair, self.sockets = None, 0
        self._ends += 1
        await self._turn("")
        if connection_id:
            self._directory.gone(self._environment, connection_id)
        return reason, was_up, refused

    def _count_open(self, sockets: int) -> None:
        self.sockets = sockets
        if self._opened_before:
            self._tell_seen("environment_reconnects", environment=self._environment.name)
        self._opened_before = True

    def _ears(self, connection_id: str) -> Ears:
        async def in_step(pair: Pair) -> None:
            self._pair, self._unknown = pair, ""
            await self._turn(connection_id)
            await self._tell(Presence(up=True, reason=""))

        async def take(epoch: str, arrivals: Sequence[Arrival]) -> None:
            await self._on_arrivals(self._runtime, Arrivals(epoch, tuple(arrivals)))

        async def awaited(ended: tuple[str, ...]) -> frozenset[str]:
            return await self._on_behind(self._runtime, ended)

        return Ears(take, awaited, in_step, self._seen, self._new_id, self.log)

    def _seen(self, frame: frames.Frame) -> None:
        self._moved_at = time.monotonic()
        if isinstance(frame, frames.DeviceStatus):
            self.mode = frame.device_status.current_permission_mode or self.mode
        self._on_frame(self._runtime, frame)

    @contextlib.asynccontextmanager
    async def _open(self, connection_id: str) -> "AsyncIterator[dict[str, aiohttp.ClientWebSocketResponse]]":
        # Not wss://, though it is a socket: its proxy would be that of WSS_PROXY, which nobody sets.
        path = f"{self._environment.base_url}/v1/environments/{quote(connection_id, safe='')}/status/ws"
        headers = {"Authorization": f"Bearer {self._environment.api_key.get_secret_value()}"}
        async with contextlib.AsyncExitStack() as stack:
            sockets = {}
            # Whoever takes a connection and says nothing is not to keep the others waiting.
            async with self._directory.opening(self._environment), asyncio.timeout(_TAKEN_WITHIN):
                for channel in _CHANNELS:
                    where = {
                        "agentId": self._runtime.agent_id,
                        "conversationId": self._runtime.conversation_id,
                        "channel": channel,
                    }
                    opening = self._session.ws_connect(
                        f"{path}?{urlencode(where)}",
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

    async def stop_turn(self) -> bool | None:
        """Stop the turn under way with what it asks; return whether there was one, None: not reachable."""
        if self._pair is None:
            return None
        request_id = self._new_id()
        frame = outgoing.abort(request_id, self._runtime.agent_id, self._runtime.conversation_id)
        try:
            said = await self._pair.ask(request_id, frame)
        except (TimeoutError, aiohttp.ClientError, ConnectionError):
            return None
        return said.aborted if isinstance(said, frames.Aborted) else None

    async def answer(self, delivery: Delivery) -> Outcome:
        """Decide a tool call over the open control socket and return what the device said."""
        body = delivery.body
        frame = outgoing.approval_response(
            self._new_id(),
            body["agent_id"],
            body["conversation_id"],
            body["tool_call_id"],
            approve=body["approve"],
            reason=body["reason"],
            updated_input=body.get("updated_input"),
            suggestions=body.get("suggestions", ()),
        )
        return await self._put_in(frame)

    async def submit(self, delivery: Delivery, message: dict[str, Any]) -> Outcome:
        """Hand over a person's message over the open socket and return what the device said."""
        where = (delivery.body["agent_id"], delivery.body["conversation_id"])
        return await self._put_in(outgoing.create_message(self._new_id(), *where, message))

    async def _put_in(self, frame: dict[str, Any]) -> Outcome:
        self._moved_at = time.monotonic()
        if self._pair is None:
            return Retry("its sockets are not open", away=True)
        try:
            said = await self._pair.ask(frame["request_id"], frame)
        except (TimeoutError, aiohttp.ClientError, ConnectionError):
            return Retry("the device did not answer over its socket", uncertain=True, down=True)
        if not isinstance(said, frames.InputAccepted):
            return Retry("the device answered something else over its socket", uncertain=True)
        return meaning_of_input(said)
