"""The stand-in's public face: the REST routes and the status sockets of a hosted environment."""

import asyncio
import json
import time
from typing import Any
from uuid import uuid4

from aiohttp import WSMsgType, web

from relay.sandbox.environment.approvals import Answer
from relay.sandbox.environment.bodies import problems
from relay.sandbox.environment.device import DEFAULT_CONVERSATION, Device, text_of
from relay.sandbox.environment.place import Place
from relay.sandbox.environment.records import Ledger, Post
from relay.sandbox.environment.script import Json
from relay.sandbox.environment.sockets import StatusSocket
from relay.sandbox.environment.trouble import PostTrouble, Troubles, is_approval


class Router:
    """Forwards between HTTP clients and the device."""

    def __init__(self, place: Place, device: Device, ledger: Ledger) -> None:
        self.place = place
        self.device = device
        self.ledger = ledger
        self.troubles = Troubles()
        self.sockets: list[StatusSocket] = []
        self.cutting = asyncio.Event()

    def application(self) -> web.Application:
        """The routes, to be served."""
        application = web.Application()
        application.add_routes(
            [
                web.post("/v1/environments/{connection_id}/messages", self._post_messages),
                web.get("/v1/environments/{connection_id}/status/ws", self._status_socket),
                web.get("/v1/environments/{device_id}", self._retrieve),
                web.get("/v1/environments", self._list),
                web.post("/v1/conversations/", self._create_conversation),
            ]
        )
        return application

    def broadcast(self, frame: Json) -> None:
        """Carry an event of the device to every socket that listens to its runtime."""
        for socket in self.sockets:
            if socket.listens_to(frame["runtime"]):
                socket.deliver(frame, overtake=self.place.overtake)

    def cut_hanging_posts(self) -> None:
        """Break the connection of every post that hangs now."""
        self.cutting.set()
        self.cutting = asyncio.Event()

    def cut_sockets(self) -> None:
        """Break every status socket without a closing frame."""
        for socket in self.sockets:
            socket.cut()
        self.sockets = []
        self.ledger.changed()

    async def close_sockets(self) -> None:
        """Close every status socket in order."""
        closing, self.sockets = self.sockets, []
        await asyncio.gather(*(socket.close() for socket in closing))
        self.ledger.changed()

    async def _post_messages(self, request: web.Request) -> web.Response:
        post = await self._record(request)
        response = self._refusal(request) or _invalid(post.body)
        trouble = None if response else self.troubles.next_for(post.body)
        if trouble is not None:
            if trouble.after:
                self._forward(post.body)
            response = await self._suffer(trouble, request)
            if response is None:
                return web.Response(status=503)  # never seen: the connection is gone
        elif response is None:
            self._forward(post.body)
            response = web.json_response({"message": "Message sent", "success": True})
        post.status = response.status
        self.ledger.changed()
        return response

    async def _record(self, request: web.Request) -> Post:
        raw = await request.read()
        post = Post(request.path, _parsed(raw), raw, dict(request.headers), time.time())
        self.ledger.posts.append(post)
        self.ledger.changed()
        return post

    def _refusal(self, request: web.Request) -> web.Response | None:
        """Why a caller is turned away: a wrong key, or a connection that is gone."""
        if stranger := self._stranger(request):
            return stranger
        connection_id = request.match_info["connection_id"]
        if not self.place.reaches(connection_id):
            text = f"Environment connection {connection_id} not found"
            return web.json_response({"message": text}, status=self.place.offline_status)
        return None

    def _stranger(self, request: web.Request) -> web.Response | None:
        if request.headers.get("Authorization") == f"Bearer {self.place.api_key}":
            return None
        return web.json_response({"detail": "Invalid or missing API key"}, status=401)

    async def _suffer(self, trouble: PostTrouble, request: web.Request) -> web.Response | None:
        if trouble.hang:
            await self.cutting.wait()
        if trouble.hang or trouble.after:
            if request.transport is not None:
                request.transport.abort()
            return None
        if isinstance(trouble.body, str):
            return web.Response(
                status=trouble.status, text=trouble.body, content_type="text/html", headers=trouble.headers
            )
        body = {"message": "Scripted failure"} if trouble.body is None else trouble.body
        return web.json_response(body, status=trouble.status, headers=trouble.headers)

    def _forward(self, body: Json) -> None:
        """Hand a post to the device; without its agent's id the device drops it in silence."""
        if body.get("agentId") != self.device.agent.agent_id:
            return
        conversation_id = body.get("conversationId") or DEFAULT_CONVERSATION
        if not is_approval(body):
            self.device.take_messages(conversation_id, body["messages"])
        elif self.place.router == "verbatim":
            self.device.refuse_approval(conversation_id)
        else:
            self._translate(conversation_id, body["messages"])

    def _translate(self, conversation_id: str, messages: list[Json]) -> None:
        user_messages = [message for message in messages if message.get("type") != "approval"]
        if user_messages:
            self.device.take_messages(conversation_id, user_messages)
        for message in messages:
            for entry in message.get("approvals", ()):
                self.device.answer(conversation_id, entry["tool_call_id"], _answer(entry), "rest")

    async def _retrieve(self, request: web.Request) -> web.Response:
        if stranger := self._stranger(request):
            return stranger
        if request.match_info["device_id"] != self.place.device_id:
            return web.json_response({"message": "Environment not found"}, status=404)
        return web.json_response(self.place.listing(self.device.agent))

    async def _list(self, request: web.Request) -> web.Response:
        """The one environment, also with onlineOnly and offline: the directory lags behind in life too."""
        if stranger := self._stranger(request):
            return stranger
        return web.json_response(
            {"connections": [self.place.listing(self.device.agent)], "hasNextPage": False}
        )

    async def _create_conversation(self, request: web.Request) -> web.Response:
        if stranger := self._stranger(request):
            return stranger
        agent_id = request.query.get("agent_id")
        if agent_id != self.device.agent.agent_id:
            return web.json_response({"detail": f"Agent {agent_id} not found"}, status=404)
        status = self.ledger.conversation_refusals.pop(0) if self.ledger.conversation_refusals else None
        if status:
            self.ledger.changed()
            return web.json_response({"message": "Scripted failure"}, status=status)
        made = f"conv-{uuid4()}"
        self.ledger.conversations_made.append(made)
        self.ledger.changed()
        if status == 0 and request.transport is not None:
            request.transport.abort()
        return web.json_response({"id": made, "agent_id": agent_id})

    async def _status_socket(self, request: web.Request) -> web.StreamResponse:
        if refusal := self._refusal(request):
            return refusal
        socket = StatusSocket(
            request=request,
            channel=request.query.get("channel", "control"),
            agent=request.query.get("agentId", ""),
            conversation=request.query.get("conversationId") or DEFAULT_CONVERSATION,
            connection_id=request.match_info["connection_id"],
        )
        await socket.socket.prepare(request)
        self.sockets.append(socket)
        self.ledger.changed()
        await self._serve(socket)
        return socket.socket

    async def _serve(self, socket: StatusSocket) -> None:
        writing = asyncio.create_task(socket.write())
        try:
            async for message in socket.socket:
                if message.type is WSMsgType.TEXT:
                    self._hear(socket, _parsed(message.data))
        finally:
            writing.cancel()
            if socket in self.sockets:
                self.sockets.remove(socket)
            self.ledger.changed()

    def _hear(self, socket: StatusSocket, frame: Any) -> None:
        if not isinstance(frame, dict):
            return
        if frame.get("type") == "ping":
            socket.pings += 1
            self.ledger.pings += 1
            socket.send_text('{"type":"pong"}')
        elif frame.get("type") == "ack":
            socket.acked.append(int(frame.get("seq", 0)))
            self.ledger.acked.append(socket.acked[-1])
        else:
            self.device.command(frame, socket.send)
        self.ledger.changed()


def _parsed(raw: str | bytes) -> Any:
    try:
        return json.loads(raw)
    except ValueError:
        return None


def _invalid(body: Any) -> web.Response | None:
    found = problems(body)
    return web.json_response({"detail": found}, status=422) if found else None


def _answer(entry: Json) -> Answer:
    if "approve" in entry:
        return Answer(entry["approve"], entry.get("reason"), entry.get("updated_input"))
    status, text = entry["status"], text_of(entry["tool_return"])
    return Answer(status == "success", None, None, result=(status, text))
