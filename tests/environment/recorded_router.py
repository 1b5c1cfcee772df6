"""FakeRecorder: the public side of a device that plays a recording in each of its conversations."""

import asyncio
import json
import time
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Self

from aiohttp import WSMsgType, web

from relay.sandbox.environment.sockets import StatusSocket
from tests.environment.recorded_tape import Tape

Json = dict[str, Any]
DEVICE, CONNECTION, API_KEY, AGENT = "device-1", "connection-1", "sk-letta-recorded", "agent-1"


class FakeRecorder:
    """Serves tapes on a free port of 127.0.0.1 while it is entered."""

    def __init__(self, tapes: list[Tape]) -> None:
        self.tapes = {tape.conversation_id: tape for tape in tapes}
        self.url = ""
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Self:
        application = web.Application()
        application.add_routes(
            [
                web.post("/v1/environments/{connection_id}/messages", self._post_messages),
                web.get("/v1/environments/{connection_id}/status/ws", self._status_socket),
                web.get("/v1/environments/{device_id}", self._retrieve),
            ]
        )
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.2)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for tape in self.tapes.values():
            tape.leave()
        if self._runner is not None:
            await self._runner.cleanup()

    async def _retrieve(self, request: web.Request) -> web.Response:
        return web.json_response(
            {
                "id": DEVICE,
                "connectionId": CONNECTION,
                "deviceId": DEVICE,
                "connectionName": "recorded",
                "lastHeartbeat": int(time.time() * 1000),
                "currentMode": "standard",
                "metadata": {"environmentMessageProtocol": "v2-input"},
            }
        )

    async def _post_messages(self, request: web.Request) -> web.Response:
        body = await request.json()
        tape = self.tapes[body["conversationId"]]
        for message in body["messages"]:
            if message.get("type") != "approval":
                tape.take_message(message)
            for decision in message.get("approvals", ()):
                tape.take_decision(decision)
        return web.json_response({"message": "Message sent", "success": True})

    async def _status_socket(self, request: web.Request) -> web.WebSocketResponse:
        tape = self.tapes[request.query["conversationId"]]
        channel = request.query["channel"]
        socket = StatusSocket(request, channel, AGENT, tape.conversation_id, CONNECTION)
        await socket.socket.prepare(request)
        tape.sockets.append(socket)
        tape.changed()
        return await _serve(socket, tape)


async def _serve(socket: StatusSocket, tape: Tape) -> web.WebSocketResponse:
    """Answer what a client says on a status socket until it is over."""
    writing = asyncio.create_task(socket.write())
    try:
        async for message in socket.socket:
            if message.type is WSMsgType.TEXT:
                asked = json.loads(message.data)
                if asked["type"] == "ack":
                    socket.acked.append(asked["seq"])
                    tape.changed()
                for answer in _answers(asked, tape):
                    socket.send(answer)
    finally:
        writing.cancel()
        if socket in tape.sockets:
            tape.sockets.remove(socket)
    return socket.socket


def _answers(asked: Json, tape: Tape) -> Iterator[Json]:
    answer = {"request_id": asked.get("request_id"), "success": True}
    match asked["type"]:
        case "ping":
            yield {"type": "pong"}
        case "runtime_start" | "sync":
            yield {"type": f"{asked['type']}_response", **answer}
            yield from tape.state()
        case "conversation_messages_list":
            told = {"messages": tape.said(), "has_more": False}
            yield {"type": "conversation_messages_list_response", **answer, **told}
        case "input":
            given = asked["payload"]
            tool_call_id = given["request_id"].removeprefix("perm-")
            tape.take_decision({**given["decision"], "tool_call_id": tool_call_id}, by_socket=True)
            yield {"type": "input_accepted", "request_id": asked["request_id"], "accepted": True}
