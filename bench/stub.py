"""The two neighbours in one small server: Slack's Web API, and an environment that counts what arrives."""

import asyncio
import json
import time
from collections import Counter
from time import perf_counter
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs

from aiohttp import WSCloseCode, WSMsgType, web

from bench.commands import TEAM, number_in

CONNECTION, DEVICE = "connection-bench", "device-bench"
SECOND_DEVICE = "device-second"  # of those that serve two environments
_POLL = 0.02


class Arrivals:
    """Which commands reached the environment, and when."""

    def __init__(self) -> None:
        self.moments: dict[int, float] = {}
        self.copies: Counter[int] = Counter()
        self._awaited: dict[int, asyncio.Future[None]] = {}

    def take(self, number: int) -> None:
        """Note that a command arrived."""
        self.copies[number] += 1
        self.moments.setdefault(number, perf_counter())
        if number in self._awaited:
            self._awaited.pop(number).set_result(None)

    async def one(self, number: int, seconds: float) -> None:
        """Wait until a command has arrived, and no longer than `seconds`."""
        if number in self.moments:
            return
        self._awaited[number] = asyncio.get_running_loop().create_future()
        await asyncio.wait([self._awaited[number]], timeout=seconds)
        self._awaited.pop(number, None)

    async def of(self, numbers: list[int], quiet: float, longest: float) -> float:
        """Return the arrivals a second of `numbers`, from the first to the last.

        Waits for them until nothing came for `quiet` seconds, and no longer than `longest`.
        """
        wanted, began = set(numbers), perf_counter()
        news, seen = began, -1
        while not self.moments.keys() >= wanted:
            now = perf_counter()
            if len(self.moments) != seen:
                news, seen = now, len(self.moments)
            if now - news > quiet or now - began > longest:
                break
            await asyncio.sleep(_POLL)
        moments = [self.moments[number] for number in numbers if number in self.moments]
        return (len(moments) - 1) / (max(moments) - min(moments)) if len(moments) > 1 else 0.0

    def lost(self, numbers: list[int]) -> int:
        """Return how many of `numbers` never arrived."""
        return sum(number not in self.moments for number in numbers)

    def doubled(self, numbers: list[int]) -> int:
        """Return how many of `numbers` arrived more than once."""
        return sum(self.copies[number] > 1 for number in numbers)


class Stub:
    """Serves both neighbours on one port of 127.0.0.1 while it is entered.

    The environment's devices can go away and come back, all at once.
    """

    def __init__(self) -> None:
        self.arrivals = Arrivals()
        self.port = 0
        self._is_away = False
        self._sockets: set[web.WebSocketResponse] = set()
        # No router in between: the neighbours must cost less than what is measured.
        self._runner = web.ServerRunner(web.Server(self._answer, access_log=None), shutdown_timeout=0.2)

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0, backlog=1024).start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._runner.cleanup()

    async def go_away(self) -> None:
        """Have the devices be offline: their sockets end, and what is posted to them is not taken."""
        self._is_away = True
        for socket in list(self._sockets):
            await socket.close(code=WSCloseCode.GOING_AWAY)

    def come_back(self) -> None:
        """Have the devices be online again."""
        self._is_away = False

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        path = request.path
        if path.endswith("/messages"):
            return await self._take_message(request)
        if path.startswith("/api/"):
            return json_answer(to_call(path.removeprefix("/api/"), await request.read()))
        if path.endswith("/status/ws"):
            return await self._status_socket(request)
        return json_answer(device(path.rpartition("/")[2], online=not self._is_away))

    async def _take_message(self, request: web.BaseRequest) -> web.Response:
        if self._is_away:
            return _not_here()
        number = number_in(await request.read())
        if number is None:
            return web.Response(status=400, text="no command of this run")
        self.arrivals.take(number)
        return web.Response(body=b'{"message":"forwarded","success":true}', content_type="application/json")

    async def _status_socket(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer what is asked, and that nothing is waited for: no turn ever begins here."""
        if self._is_away:
            return _not_here()
        socket = web.WebSocketResponse(compress=False)
        await socket.prepare(request)
        self._sockets.add(socket)
        try:
            async for received in socket:
                if received.type is WSMsgType.TEXT:
                    for answer in to_frame(json.loads(received.data)):
                        await socket.send_json(answer)
        finally:
            self._sockets.discard(socket)
        return socket


def json_answer(answer: dict[str, Any]) -> web.Response:
    """Return an answer with this object as its body."""
    return web.Response(body=json.dumps(answer).encode(), content_type="application/json")


def to_call(method: str, body: bytes) -> dict[str, Any]:
    """Return Slack's answer to a call of its Web API."""
    asked = {name: values[0] for name, values in parse_qs(body.decode()).items()}
    match method:
        case "auth.test":
            ids = {"user_id": "U0RELAY00", "bot_id": "B0RELAY00"}
            return {"ok": True, "url": "https://bench.slack.com/", "team": "bench", "team_id": TEAM, **ids}
        case "users.info":
            user = {"id": asked.get("user"), "team_id": TEAM, "name": "bench", "real_name": "Bench Person"}
            return {"ok": True, "user": user}
        case "conversations.info":
            return {"ok": True, "channel": {"id": asked.get("channel"), "name": "bench", "is_member": True}}
    return {"ok": True, "channel": asked.get("channel"), "ts": f"{time.time():.6f}"}


def device(which: str = DEVICE, *, online: bool = True) -> dict[str, Any]:
    """Return what the environments API says of a device."""
    return {
        "id": which,
        "connectionId": which.replace("device", "connection") if online else None,
        "deviceId": which,
        "connectionName": "bench",
        "lastHeartbeat": int(time.time() * 1000),
        "currentMode": "standard",
        "metadata": {"environmentMessageProtocol": "v2-input"},
    }


def _not_here() -> web.Response:
    return web.Response(status=404, body=b'{"message":"not connected"}', content_type="application/json")


def to_frame(asked: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what an idle device answers to a frame."""
    match asked.get("type"):
        case "ping":
            return [{"type": "pong"}]
        case "runtime_start" | "sync" as kind:
            idle = {"is_online": True, "is_processing": False, "pending_control_requests": []}
            answer = {"type": f"{kind}_response", "request_id": asked.get("request_id"), "success": True}
            return [answer, {"type": "update_device_status", "device_status": idle}]
    return []
