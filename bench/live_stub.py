"""The two neighbours once more, with status sockets that speak: what comes is told to whoever measures."""

import asyncio
import json
from collections import defaultdict
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from aiohttp import WSMsgType, web

from bench.stub import device, json_answer, to_call, to_frame

Json = dict[str, Any]


class LiveStub:
    """Serves both neighbours on one port of 127.0.0.1 while it is entered.

    `on_message(conversation, id)`, `on_decision(conversation, tool_call_id)` and `on_post(body, ts)` are
    told as soon as a request has been read.
    """

    def __init__(self) -> None:
        self.on_message: Callable[[str, str], None] = lambda *_: None
        self.on_decision: Callable[[str, str], None] = lambda *_: None
        self.on_post: Callable[[Json, str], None] = lambda *_: None
        self.port = 0
        self.sockets: dict[str, list[web.WebSocketResponse]] = defaultdict(list)
        self._numbers: dict[str, int] = defaultdict(int)
        self._runner = web.ServerRunner(web.Server(self._answer, access_log=None), shutdown_timeout=0.2)

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0, backlog=2048).start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._runner.cleanup()

    async def listened_to(self, conversations: int, sockets: int) -> None:
        """Wait until so many sockets are open in each of so many conversations."""
        async with asyncio.timeout(60):
            while sum(map(len, self.sockets.values())) < conversations * sockets:  # noqa: ASYNC110
                await asyncio.sleep(0.02)

    async def say(self, conversation: str, frame: Json) -> list[str]:
        """Send a frame as the next of its conversation on all its sockets; return what was sent."""
        self._numbers[conversation] += 1
        number = self._numbers[conversation]
        told = {**frame, "event_seq": number, "idempotency_key": f"{conversation}:{number}", "seq": number}
        text = json.dumps(told, ensure_ascii=False, separators=(",", ":"))
        for socket in self.sockets[conversation]:
            await socket.send_str(text)
        return [text] * len(self.sockets[conversation])

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        path = request.path
        if path.endswith("/messages"):
            return self._take(json.loads(await request.read()))
        if path.startswith("/api/"):
            return self._call(path.removeprefix("/api/"), await request.read(), request.content_type)
        if path.endswith("/status/ws"):
            return await self._status_socket(request)
        return json_answer(device())

    def _take(self, body: Json) -> web.Response:
        conversation = body.get("conversationId", "")
        for message in body["messages"]:
            for approval in message.get("approvals", ()):
                self.on_decision(conversation, approval["tool_call_id"])
            if "client_message_id" in message:
                self.on_message(conversation, message["client_message_id"])
        return json_answer({"message": "forwarded", "success": True})

    def _call(self, method: str, body: bytes, content_type: str) -> web.Response:
        if content_type != "application/json":
            return json_answer(to_call(method, body))
        asked = json.loads(body)
        answer = {**to_call(method, b""), "channel": asked.get("channel")}
        if method == "chat.postMessage":
            self.on_post(asked, answer["ts"])
        return json_answer(answer)

    async def _status_socket(self, request: web.BaseRequest) -> web.WebSocketResponse:
        conversation = request.query["conversationId"]
        socket = web.WebSocketResponse(compress=False)
        await socket.prepare(request)
        self.sockets[conversation].append(socket)
        async for received in socket:
            if received.type is WSMsgType.TEXT:
                for answer in to_frame(json.loads(received.data)):
                    await socket.send_json(answer)
        self.sockets[conversation].remove(socket)
        return socket
