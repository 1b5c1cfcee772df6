"""FakeRouter: the public side of a hosted environment, in front of devices that are real programs.

It forwards, and knows nothing of turns. Two behaviours for a posted approval, as nobody outside knows
which of them the hosted one has:
  verbatim      everything goes to the device as `{"type": "message", …body}`; 0.34.12 answers an approval
                in that shape with a `loop_error` "Protocol violation: …" and the request stays pending
  translating   an approval becomes one `input` of kind `approval_response` for each decision in it
Three layouts of a device's sockets, chosen by the answer to its registration:
  one      nothing: one socket
  split    `supportsSplitStatusChannels`: a second socket; both say `channel=control|stream`
  paired   with `supportsPairedListenerGenerations`: the second is opened only after a `listener_ready` on
           the first, and both name their `connectionGeneration` and `connectionAttempt`
With two sockets, questions (`control_request`), direct answers and `turn_finished` come over `control`, all
else over `stream`; `event_seq` counts over both, so that a question overtakes seven frames and more.
"""

import asyncio
import itertools
import json
import time
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Literal, Self, get_args
from uuid import uuid4

from aiohttp import WSMsgType, web

from relay.sandbox.environment.bodies import problems
from relay.sandbox.environment.sockets import StatusSocket
from tests.letta.lines import DeviceLine, Json, Post, approval_response

Behaviour = Literal["verbatim", "translating"]
Layout = Literal["one", "split", "paired"]
BEHAVIOURS: tuple[Behaviour, ...] = get_args(Behaviour)
LAYOUTS: tuple[Layout, ...] = get_args(Layout)
WAIT_SECONDS = 20.0
# What a program does with a socket closed by this code: it registers anew, and gets a new connection.
UNKNOWN_CONNECTION = 1008


class FakeRouter:
    """Stands on a free port of 127.0.0.1 between devices and their clients."""

    def __init__(self, api_key: str = "sk-letta-router") -> None:
        self.api_key = api_key
        self.behaviour: Behaviour = "translating"
        self.layout: Layout = "one"
        self.closed_to_devices = False
        self.turned_away = 0  # devices that came while it was closed to them
        self.answers_to_lose = 0
        self.keeps_connections = False
        self.url = ""
        self.devices: dict[str, DeviceLine] = {}
        self.sockets: list[StatusSocket] = []
        self.posts: list[Post] = []
        self.trace: deque[tuple[str, Json]] = deque(maxlen=20_000)
        self.unknown: list[str] = []
        self._numbers = itertools.count(1)
        self._asked: dict[str, asyncio.Future[Json] | StatusSocket] = {}
        self._changed = asyncio.Event()
        self._runner: web.AppRunner | None = None

    # Life.

    async def __aenter__(self) -> Self:
        application = web.Application(client_max_size=64 * 2**20)
        application.add_routes(
            [
                web.post("/v1/environments/register", self._register),
                web.get("/device/{connection_id}", self._device_socket),
                web.post("/v1/environments/{connection_id}/messages", self._post_messages),
                web.get("/v1/environments/{connection_id}/status/ws", self._status_socket),
                web.get("/v1/environments/{device_id}", self._retrieve),
                web.get("/v1/environments", self._list),
                web.post("/v1/conversations/", self._create_conversation),
                web.route("*", "/{rest:.*}", self._not_here),
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
        for socket in self.sockets:
            socket.cut()
        self.drop_device()
        if self._runner is not None:
            await self._runner.cleanup()

    def forget(self) -> None:
        """Forget what was seen so far: another test begins."""
        self.posts.clear()
        self.trace.clear()

    async def wait_for(self, seen: Callable[["FakeRouter"], bool], seconds: float = WAIT_SECONDS) -> None:
        """Wait until something is so."""
        async with asyncio.timeout(seconds):
            while not seen(self):
                await self._changed.wait()

    def _change(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    # The device.

    @property
    def device(self) -> DeviceLine:
        """The only device."""
        [device] = self.devices.values()
        return device

    @property
    def is_up(self) -> bool:
        """Whether the device has all its sockets open."""
        return bool(self.devices) and self.device.is_up(1 if self.layout == "one" else 2)

    def drop_device(self) -> None:
        """Break the device's sockets without a closing frame; it comes back by itself."""
        for device in self.devices.values():
            for _, request in device.sockets.values():
                if request.transport is not None:
                    request.transport.abort()
            device.sockets.clear()
        self._change()

    async def rotate(self, layout: Layout | None = None) -> None:
        """Have the device register anew, under a new connection; return when it is up again."""
        self.layout = layout or self.layout
        old = self.device.connection_id
        closing = [socket for socket, _ in self.device.sockets.values()]
        self.device.sockets.clear()
        for socket in closing:
            await socket.close(code=UNKNOWN_CONNECTION, message=b"Environment not found")
        await self.wait_for(lambda router: router.device.connection_id != old and router.is_up)

    async def rename_connection(self) -> None:
        """Know the device by another connection, which it does not notice; status sockets are closed."""
        self.device.connection_id = f"connection-{uuid4()}"
        await self._close_status_sockets()

    async def ask(self, frame: Json) -> Json:
        """Send the device a command of our own and return its answer."""
        request_id = f"router-{next(self._numbers)}"
        answer: asyncio.Future[Json] = asyncio.get_running_loop().create_future()
        self._asked[request_id] = answer
        await self._to_device({**frame, "request_id": request_id})
        async with asyncio.timeout(WAIT_SECONDS):
            return await answer

    async def _register(self, request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != f"Bearer {self.api_key}":
            return web.json_response({"message": "Unauthorized"}, status=401)
        registration = await request.json()
        device_id = registration["deviceId"]
        old = self.devices.get(device_id)
        if old is not None and self.keeps_connections:
            connection_id = old.connection_id
        else:
            connection_id = f"connection-{uuid4()}"
            await self._close_status_sockets()
        self.devices[device_id] = DeviceLine(device_id, registration, connection_id)
        self._change()
        return web.json_response(
            {
                "connectionId": connection_id,
                "wsUrl": f"ws{self.url.removeprefix('http')}/device/{connection_id}",
                "supportsSplitStatusChannels": self.layout != "one",
                "supportsPairedListenerGenerations": self.layout == "paired",
            }
        )

    def cut_status_sockets(self) -> None:
        """Break every status socket without a closing frame."""
        for socket in list(self.sockets):
            socket.cut()

    async def _close_status_sockets(self) -> None:
        for socket in list(self.sockets):
            await socket.close()

    async def _device_socket(self, request: web.Request) -> web.StreamResponse:
        if self.closed_to_devices:
            self.turned_away += 1
            self._change()
            return web.Response(status=503)
        socket = web.WebSocketResponse(max_msg_size=0, timeout=1.0)
        await socket.prepare(request)
        device = self._connected(request.match_info["connection_id"], online=False)
        if device is None:
            await socket.close(code=UNKNOWN_CONNECTION, message=b"Environment not found")
            return socket
        channel = request.query.get("channel", "control")
        if "connectionGeneration" in request.query:
            await socket.send_json(
                {
                    "type": "listener_ready",
                    "connection_generation": request.query["connectionGeneration"],
                    "connection_attempt": int(request.query["connectionAttempt"]),
                }
            )
        device.sockets[channel] = (socket, request)
        self._change()
        try:
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    await self._from_device(device, channel, socket, json.loads(message.data))
        finally:
            if device.sockets.get(channel, (None,))[0] is socket:
                del device.sockets[channel]
            self._change()
        return socket

    async def _from_device(
        self, device: DeviceLine, channel: str, socket: web.WebSocketResponse, frame: Json
    ) -> None:
        device.last_heartbeat = time.time()
        if frame["type"] == "ping":
            await socket.send_json({"type": "pong"})
            return
        self.trace.append((f"device {channel}", frame))
        asker = self._asked.get(str(frame.get("request_id")))
        if isinstance(asker, asyncio.Future):
            if not asker.done():
                asker.set_result(frame)
        elif asker is not None:
            asker.send(frame)
        elif "runtime" in frame:
            for listening in self.sockets:
                if listening.connection_id == device.connection_id and listening.listens_to(frame["runtime"]):
                    listening.deliver(frame)
        self._change()

    async def _to_device(self, frame: Json) -> None:
        self.trace.append(("router", frame))
        if "control" in self.device.sockets:
            await self.device.sockets["control"][0].send_json(frame)

    # The public side.

    def _connected(self, connection_id: str, *, online: bool = True) -> DeviceLine | None:
        return next(
            (
                device
                for device in self.devices.values()
                if device.connection_id == connection_id and ("control" in device.sockets or not online)
            ),
            None,
        )

    def _refusal(self, request: web.Request) -> web.Response | None:
        if request.headers.get("Authorization") != f"Bearer {self.api_key}":
            return web.json_response({"message": "Unauthorized"}, status=401)
        connection_id = request.match_info.get("connection_id")
        if connection_id is not None and self._connected(connection_id) is None:
            return web.json_response({"message": f"Connection {connection_id} not found"}, status=404)
        return None

    def _listing(self, device: DeviceLine) -> Json:
        up = device.is_up(1 if self.layout == "one" else 2)
        return {
            "id": f"environment-{device.device_id}",
            "connectionId": device.connection_id if up else None,
            "deviceId": device.device_id,
            "connectionName": device.registration["connectionName"],
            "lastHeartbeat": int((time.time() if up else device.last_heartbeat) * 1000),
            "lastSeenAt": int(device.last_heartbeat * 1000),
            "currentMode": "standard",
            "metadata": device.registration["metadata"],
        }

    async def _retrieve(self, request: web.Request) -> web.Response:
        if refusal := self._refusal(request):
            return refusal
        device = self.devices.get(request.match_info["device_id"])
        if device is None:
            return web.json_response({"message": "Environment not found"}, status=404)
        return web.json_response(self._listing(device))

    async def _list(self, request: web.Request) -> web.Response:
        if refusal := self._refusal(request):
            return refusal
        listed = [self._listing(device) for device in self.devices.values()]
        return web.json_response({"connections": listed, "hasNextPage": False})

    async def _post_messages(self, request: web.Request) -> web.Response:
        body = await request.json()
        answer = self._refusal(request)
        if answer is None and (wrong := problems(body)):
            answer = web.json_response({"detail": wrong}, status=422)
        if answer is None:
            await self._forward(body)
            answer = web.json_response({"message": "Message sent", "success": True})
        if self.answers_to_lose > 0 and request.transport is not None:
            self.answers_to_lose -= 1
            request.transport.abort()
        self.posts.append(Post(request.match_info["connection_id"], body, answer.status))
        self._change()
        return answer

    async def _forward(self, body: Json) -> None:
        approvals = [one for message in body["messages"] for one in message.get("approvals", ())]
        if not approvals or self.behaviour == "verbatim":
            await self._to_device({"type": "message", **body})
            return
        for approval in approvals:
            request_id = f"router-{next(self._numbers)}"
            self._asked[request_id] = asyncio.get_running_loop().create_future()
            await self._to_device(approval_response(request_id, body, approval))

    async def _create_conversation(self, request: web.Request) -> web.Response:
        if refusal := self._refusal(request):
            return refusal
        body = {"agent_id": request.query.get("agent_id")}
        answer = await self.ask({"type": "conversation_create", "body": body})
        if not answer.get("success"):
            return web.json_response({"detail": answer.get("error")}, status=422)
        return web.json_response(answer["conversation"])

    async def _not_here(self, request: web.Request) -> web.Response:
        self.unknown.append(f"{request.method} {request.path}")
        return web.json_response({"detail": "Not Found"}, status=404)

    async def _status_socket(self, request: web.Request) -> web.StreamResponse:
        if refusal := self._refusal(request):
            return refusal
        socket = StatusSocket(
            request=request,
            channel=request.query["channel"],
            agent=request.query["agentId"],
            conversation=request.query.get("conversationId") or "default",
            connection_id=request.match_info["connection_id"],
        )
        await socket.socket.prepare(request)
        writing = asyncio.create_task(socket.write())
        self.sockets.append(socket)
        self._change()
        try:
            async for message in socket.socket:
                if message.type is WSMsgType.TEXT:
                    await self._from_client(socket, json.loads(message.data))
        finally:
            writing.cancel()
            self.sockets.remove(socket)
            self._change()
        return socket.socket

    async def _from_client(self, socket: StatusSocket, frame: Json) -> None:
        if frame["type"] == "ping":
            socket.pings += 1
            socket.send_text('{"type":"pong"}')
        elif frame["type"] == "ack":
            socket.acked.append(frame["seq"])
        else:
            self.trace.append((f"client {socket.channel}", frame))
            if "request_id" in frame:
                self._asked[frame["request_id"]] = socket
            await self._to_device(frame)
        self._change()
