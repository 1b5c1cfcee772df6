"""Socket Mode: an app's connections, each pinged, and each envelope given to one of them."""

import asyncio
import contextlib
import json
import uuid
from collections.abc import Awaitable, Iterable
from dataclasses import dataclass, field
from typing import Literal, get_args

import aiohttp
from aiohttp import web

from relay.sandbox.slack.doors import NOBODY, Answer, Retry, mapping
from relay.sandbox.slack.workspace import Json, Workspace

Reason = Literal["warning", "refresh_requested", "link_disabled", "too_many_websockets"]
CLOSE_AFTER = 0.1  # Slack: ten seconds after a warning
MOST_SOCKETS = 10
_PING_EVERY = 10.0
_LAST_ACKNOWLEDGEMENTS = 1.0


@dataclass(eq=False)
class _Line:
    """One connection; a silent one neither pings nor answers, and is as open as before."""

    socket: web.WebSocketResponse
    transport: asyncio.Transport | None
    silent: bool = False
    unanswered: dict[str, asyncio.Future[Answer | None]] = field(default_factory=dict)
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    async def say(self, frame: Json) -> None:
        """Send a frame, to nobody where the app has gone."""
        with contextlib.suppress(ConnectionError, RuntimeError):
            await self.socket.send_json(frame)

    def acknowledged(self, text: str) -> None:
        """Take an acknowledgement; it counts on the connection that brought the envelope."""
        try:
            frame = json.loads(text)
            waiting = self.unanswered.pop(frame["envelope_id"], None)
        except (ValueError, KeyError, TypeError):
            return
        if waiting is not None and not waiting.done():
            waiting.set_result(Answer(200, mapping(frame.get("payload"))))

    def cut(self) -> None:
        """Break it, without a word."""
        if self.transport is not None:
            self.transport.abort()

    def end(self) -> None:
        """Let nobody wait any more for what comes by it."""
        for waiting in self.unanswered.values():
            if not waiting.done():
                waiting.set_result(None)
        self.ended.set()


class SocketDoor:
    """Takes an app's connections, and gives each envelope to one of them."""

    def __init__(self, workspace: Workspace) -> None:
        self.refuse_tickets = 0
        self.refused: list[str] = []
        self.pinged = 0
        self.lose_acknowledgements = 0
        self._workspace = workspace
        self._lines: list[_Line] = []
        self._all: set[_Line] = set()

    @property
    def connected(self) -> int:
        """How many connections are open and would be given an envelope."""
        return len(self._lines)

    async def link(self, request: web.Request) -> web.StreamResponse:
        """Take one connection for one ticket, and read its acknowledgements until it ends."""
        ticket = request.query.get("ticket", "")
        known = ticket in self._workspace.tickets
        self._workspace.tickets.discard(ticket)
        if not known or self.refuse_tickets > 0:
            self.refuse_tickets -= 1 if known else 0
            self.refused.append(ticket)
            self._workspace.changed()
            return web.Response(status=403, text="invalid ticket")
        line = _Line(web.WebSocketResponse(timeout=0.5, autoping=False), request.transport)
        await line.socket.prepare(request)
        if len(self._lines) < MOST_SOCKETS:
            await self._serve(line)
        else:
            await line.say(_notice("too_many_websockets"))
            await line.socket.close()
        return line.socket

    async def _serve(self, line: _Line) -> None:
        self._lines.append(line)
        self._all.add(line)
        pinging = asyncio.create_task(_ping(line))
        try:
            await line.say(self._hello())
            self._workspace.changed()
            async for frame in line.socket:
                await self._take(line, frame)
        finally:
            pinging.cancel()
            self._leave(line)
            self._all.discard(line)
            line.end()
            self._workspace.changed()

    async def _take(self, line: _Line, frame: aiohttp.WSMessage) -> None:
        if frame.type is aiohttp.WSMsgType.TEXT and self.lose_acknowledgements > 0:
            self.lose_acknowledgements -= 1
            line.cut()
        elif frame.type is aiohttp.WSMsgType.TEXT:
            line.acknowledged(frame.data)
        elif frame.type is aiohttp.WSMsgType.PING:
            self.pinged += 1
            self._workspace.changed()
            if not line.silent:
                await line.socket.pong(frame.data)

    def _hello(self) -> Json:
        return {
            "type": "hello",
            "num_connections": self.connected,
            "debug_info": {"host": "applink-1", "build_number": 1, "approximate_connection_time": 18060},
            "connection_info": {"app_id": self._workspace.app_id},
        }

    def _leave(self, line: _Line) -> None:
        if line in self._lines:
            self._lines.remove(line)
            self._workspace.changed()

    async def send(self, kind: str, payload: Json, retry: Retry | None) -> Answer:
        """Deliver one payload to one connection and wait for its acknowledgement.

        Where the connection ends before, an event is given to another one, once; nothing else is.
        """
        answer = await self._give(kind, payload, retry)
        if answer is None and kind == "event" and retry is None:
            answer = await self._give(kind, payload, (1, "timeout"))
        return answer or NOBODY

    async def _give(self, kind: str, payload: Json, retry: Retry | None) -> Answer | None:
        """Return the acknowledgement; None when the connection ended without one."""
        if not self._lines:
            return NOBODY
        line = self._lines.pop(0)
        self._lines.append(line)
        envelope = _envelope(kind, payload, retry)
        waiting: asyncio.Future[Answer | None] = asyncio.get_running_loop().create_future()
        line.unanswered[envelope["envelope_id"]] = waiting
        try:
            await line.socket.send_json(envelope)
            return await waiting
        except (ConnectionError, RuntimeError):
            return None
        finally:
            line.unanswered.pop(envelope["envelope_id"], None)

    async def disconnect(self, reason: Reason, number: int | None = None, after: float = CLOSE_AFTER) -> None:
        """Tell connections (all, or the first so many) to go; close those that are there `after` seconds.

        Until then they are given envelopes as before; what they have, they may acknowledge.
        """
        if reason not in get_args(Reason):
            raise AssertionError(f"Slack gives no such reason as {reason}; it gives {get_args(Reason)}.")
        leaving = self._lines[:number]
        await asyncio.gather(*(line.say(_notice(reason)) for line in leaving))
        await _until(after, (line.ended.wait() for line in leaving))
        for line in leaving:
            self._leave(line)
        waiting = [one for line in leaving for one in line.unanswered.values()]
        await _until(_LAST_ACKNOWLEDGEMENTS, (asyncio.shield(one) for one in waiting))
        await asyncio.gather(*(line.socket.close() for line in leaving))

    def fall_silent(self, number: int) -> None:
        """Let the first so many connections be open and deaf."""
        for line in self._lines[:number]:
            line.silent = True
            self._leave(line)

    def cut(self, number: int | None) -> None:
        """End connections (all, or the first so many) as a broken line does: without a word."""
        for line in self._lines[:number]:
            line.cut()
            self._leave(line)

    async def close(self) -> None:
        """Close every connection without a word, as a server that goes away."""
        self._lines = []
        await asyncio.gather(*(line.socket.close(code=1001) for line in self._all))


async def _until(seconds: float, waits: Iterable[Awaitable[object]]) -> None:
    """Wait for all of these, for so long at most."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await asyncio.gather(*waits)


async def _ping(line: _Line) -> None:
    with contextlib.suppress(ConnectionError, RuntimeError):
        while True:
            await asyncio.sleep(_PING_EVERY)
            if not line.silent:
                await line.socket.ping(b"Ping from applink-1")


def _notice(reason: Reason) -> Json:
    return {"type": "disconnect", "reason": reason, "debug_info": {"host": "applink-1"}}


def _envelope(kind: str, payload: Json, retry: Retry | None) -> Json:
    outer = {"command": "slash_commands", "event": "events_api"}.get(kind, "interactive")
    envelope: Json = {
        "envelope_id": str(uuid.uuid4()),
        "type": outer,
        "accepts_response_payload": kind in ("command", "view_submission"),
        "payload": payload,
    }
    if kind == "event":
        attempt, reason = retry or (0, "")
        envelope |= {"retry_attempt": attempt, "retry_reason": reason}
    return envelope
