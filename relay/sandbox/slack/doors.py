"""The two ways from Slack to an app: signed HTTP requests, and Socket Mode."""

import asyncio
import hashlib
import hmac
import json
import time
import uuid
from dataclasses import dataclass
from typing import Literal, get_args
from urllib.parse import urlencode

import aiohttp
from aiohttp import web

from relay.sandbox.slack.workspace import Json, Workspace

Kind = Literal["command", "action", "view_submission", "view_closed", "shortcut", "event"]
Retry = tuple[int, str]
Reason = Literal["warning", "refresh_requested", "link_disabled", "too_many_websockets"]
CLOSE_AFTER = 0.1
MOST_SOCKETS = 10
# An event that is not acknowledged comes again at once, a minute later and five minutes later.
MOST_RETRIES = 3


@dataclass(frozen=True)
class Answer:
    """What came back on one delivery; `status` None when nothing did."""

    status: int | None
    body: Json | str | None = None


NOBODY = Answer(None)


def sign(secret: str, body: bytes, timestamp: int | None = None) -> dict[str, str]:
    """Return the headers of https://docs.slack.dev/authentication/verifying-requests-from-slack."""
    at = str(int(time.time()) if timestamp is None else timestamp)
    mark = hmac.new(secret.encode(), b"v0:" + at.encode() + b":" + body, hashlib.sha256).hexdigest()
    return {"X-Slack-Request-Timestamp": at, "X-Slack-Signature": f"v0={mark}"}


def encoded(kind: str, payload: Json) -> tuple[bytes, str]:
    """Return a payload as bytes for HTTP, and its content type."""
    if kind == "event":
        return json.dumps(payload).encode(), "application/json"
    form = payload if kind == "command" else {"payload": json.dumps(payload)}
    return urlencode(form).encode(), "application/x-www-form-urlencoded"


class HttpDoor:
    """Posts signed requests to one URL."""

    def __init__(self, secret: str) -> None:
        self._secret = secret
        self._session: aiohttp.ClientSession | None = None

    async def send(
        self,
        url: str,
        kind: str,
        payload: Json,
        retry: Retry | None,
        headers: dict[str, str] | None,
        body: bytes | None,
    ) -> Answer:
        """Deliver one payload; `headers` replace the signature, `body` the encoded payload."""
        usual, content_type = encoded(kind, payload)
        body = usual if body is None else body
        sent = {"Content-Type": content_type, "User-Agent": "Slackbot 1.0 (+https://api.slack.com/robots)"}
        sent |= sign(self._secret, body) if headers is None else headers
        if retry is not None:
            sent |= {"X-Slack-Retry-Num": str(retry[0]), "X-Slack-Retry-Reason": retry[1]}
        try:
            async with self._open().post(url, data=body, headers=sent, allow_redirects=False) as response:
                return Answer(response.status, await _read(response))
        except (aiohttp.ClientError, OSError, ValueError):
            return NOBODY

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        return self._session

    async def close(self) -> None:
        """Let go of all connections."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()


async def _read(response: aiohttp.ClientResponse) -> Json | str | None:
    text = await response.text(errors="replace")
    if response.content_type != "application/json":
        return text or None
    try:
        return _mapping(json.loads(text)) or text
    except ValueError:
        return text or None


def _mapping(value: object) -> Json | None:
    return value if isinstance(value, dict) and value else None


class SocketDoor:
    """Socket Mode: takes an app's connections, and gives each envelope to one of them."""

    def __init__(self, workspace: Workspace) -> None:
        self.refuse_tickets = 0
        self.refused: list[str] = []
        self._workspace = workspace
        self._sockets: list[web.WebSocketResponse] = []
        self._unanswered: dict[str, asyncio.Future[Answer]] = {}
        self._ended = asyncio.Event()

    @property
    def connected(self) -> int:
        """How many sockets are open and would be given an envelope."""
        return len(self._sockets)

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
        socket = web.WebSocketResponse(timeout=0.5)
        await socket.prepare(request)
        if len(self._sockets) < MOST_SOCKETS:
            await self._serve(socket)
        else:
            await socket.send_json(_notice("too_many_websockets"))
            await socket.close()
        return socket

    async def _serve(self, socket: web.WebSocketResponse) -> None:
        self._sockets.append(socket)
        try:
            await socket.send_json(self._hello())
            self._workspace.changed()
            async for frame in socket:
                if frame.type is aiohttp.WSMsgType.TEXT:
                    self._acknowledged(frame.data)
        finally:
            self._forget(socket)

    def _hello(self) -> Json:
        return {
            "type": "hello",
            "num_connections": self.connected,
            "debug_info": {"host": "applink-1", "build_number": 1, "approximate_connection_time": 18060},
            "connection_info": {"app_id": self._workspace.app_id},
        }

    def _acknowledged(self, text: str) -> None:
        try:
            frame = json.loads(text)
            waiting = self._unanswered.pop(frame["envelope_id"], None)
        except (ValueError, KeyError, TypeError):
            return
        if waiting is not None and not waiting.done():
            waiting.set_result(Answer(200, _mapping(frame.get("payload"))))

    def _forget(self, socket: web.WebSocketResponse) -> None:
        if socket in self._sockets:
            self._sockets.remove(socket)
        self._ended.set()
        self._workspace.changed()

    async def send(self, kind: str, payload: Json, retry: Retry | None) -> Answer:
        """Deliver one payload to one open socket and wait for its acknowledgement."""
        if not self._sockets:
            return NOBODY
        socket = self._sockets.pop(0)
        self._sockets.append(socket)
        envelope = _envelope(kind, payload, retry)
        waiting: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._unanswered[envelope["envelope_id"]] = waiting
        try:
            await socket.send_json(envelope)
            return await waiting
        except (ConnectionError, RuntimeError):
            return NOBODY
        finally:
            self._unanswered.pop(envelope["envelope_id"], None)

    async def disconnect(self, reason: Reason) -> None:
        """Tell every open socket to go, and close those that have not gone a moment later."""
        if reason not in get_args(Reason):
            raise AssertionError(f"Slack gives no such reason as {reason}; it gives {get_args(Reason)}.")
        leaving, self._sockets = self._sockets, []
        self._workspace.changed()
        for socket in leaving:
            await _quietly(socket, _notice(reason))
        try:
            async with asyncio.timeout(CLOSE_AFTER):
                while not all(socket.closed for socket in leaving):
                    self._ended.clear()
                    await self._ended.wait()
        except TimeoutError:
            await asyncio.gather(*(socket.close() for socket in leaving))

    async def close(self) -> None:
        """Close every socket without a word, as a server that goes away."""
        leaving, self._sockets = self._sockets, []
        await asyncio.gather(*(socket.close(code=1001) for socket in leaving))


def _notice(reason: Reason) -> Json:
    return {"type": "disconnect", "reason": reason, "debug_info": {"host": "applink-1"}}


async def _quietly(socket: web.WebSocketResponse, notice: Json) -> None:
    try:
        await socket.send_json(notice)
    except (ConnectionError, RuntimeError):
        return


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
