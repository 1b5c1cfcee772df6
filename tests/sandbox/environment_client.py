"""Plain clients for the stand-in environment: HTTP, a status socket, and frames told in a few words."""

import asyncio
import json
from collections.abc import Callable
from typing import Any, Self

import aiohttp

from relay.sandbox.environment import FakeEnvironment

Frame = dict[str, Any]


def outline(frame: Frame) -> str:
    """One frame in a few words, enough to compare orders."""
    match frame["type"]:
        case "update_loop_status":
            loop = frame["loop_status"]
            return (
                f"loop {loop['status']} {len(loop['active_run_ids'])} {len(loop['executing_tool_call_ids'])}"
            )
        case "update_device_status":
            device = frame["device_status"]
            doing = "busy" if device["is_processing"] else "idle"
            away = "" if device["is_online"] else " away"
            return f"device {doing} {len(device['pending_control_requests'])}{away}"
        case "update_queue":
            return f"queue {len(frame['queue'])} -{len(frame['removed'])}"
        case "stream_delta":
            delta = frame["delta"]
            said = delta.get("stop_reason") or delta.get("status") or ""
            return f"{delta['message_type']} {said}".strip()
        case "turn_finished":
            return f"finished {frame['stop_reason']}"
        case "input_accepted":
            return f"input_accepted {frame['accepted']}"
        case "update_subagent_state":
            return "subagents"
        case other:
            return str(other)


def outlines(frames: list[Frame]) -> list[str]:
    """The order of frames, the chunks of one message taken together."""
    words: list[str] = []
    for word in map(outline, frames):
        if word != "assistant_message" or words[-1:] != [word]:
            words.append(word)
    return words


class Listener:
    """A plain client on one status socket, which keeps what it hears and acknowledges it."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, environment: FakeEnvironment) -> None:
        self.socket = socket
        self.environment = environment
        self.frames: list[Frame] = []
        self.texts: list[str] = []
        self.closed = asyncio.Event()
        self._heard = asyncio.Condition()
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        async for message in self.socket:
            await self._take(message.data)
        self.closed.set()

    async def _take(self, text: str) -> None:
        async with self._heard:
            self.texts.append(text)
            try:
                frame = json.loads(text)
            except ValueError:
                frame = {"type": "garbage"}
            self.frames.append(frame)
            self._heard.notify_all()
        if "seq" in frame:
            await self.socket.send_json({"type": "ack", "seq": frame["seq"]})

    async def until(self, found: Callable[[Frame], bool]) -> list[Frame]:
        """Everything heard since the last call, up to and with the first frame wanted."""
        async with self._heard, asyncio.timeout(5):
            await self._heard.wait_for(lambda: any(map(found, self.frames)))
            end = next(index for index, frame in enumerate(self.frames) if found(frame)) + 1
            heard, self.frames = self.frames[:end], self.frames[end:]
            return heard

    async def until_words(self, words: str) -> list[Frame]:
        """Everything up to a frame whose outline is those words."""
        return await self.until(lambda frame: outline(frame) == words)

    async def until_turn_over(self) -> list[Frame]:
        """Everything up to the last device status of a turn."""
        heard = await self.until(lambda frame: frame["type"] == "turn_finished")
        return heard + await self.until(lambda frame: frame["type"] == "update_device_status")

    async def send(self, frame_type: str, conversation: str = "default", **fields: Any) -> None:
        """Send a command for the agent's runtime."""
        runtime = {"agent_id": self.environment.agent_id, "conversation_id": conversation}
        await self.socket.send_json({"type": frame_type, "request_id": "r1", "runtime": runtime, **fields})

    async def answer(self, tool_call_id: str, **decision: Any) -> None:
        """Answer a tool call over the socket."""
        sent = {"kind": "approval_response", "request_id": f"perm-{tool_call_id}", "decision": decision}
        await self.send("input", payload=sent)


class Client:
    """A plain HTTP client with the right key."""

    def __init__(self, environment: FakeEnvironment) -> None:
        self.environment = environment
        self.session = aiohttp.ClientSession(headers={"Authorization": f"Bearer {environment.api_key}"})

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.session.close()

    async def post(
        self, *messages: Frame, connection_id: str | None = None, **fields: Any
    ) -> tuple[int, Any]:
        """POST …/messages; the status and the JSON of the answer."""
        body = {"messages": list(messages), "agentId": self.environment.agent_id, **fields}
        path = f"/v1/environments/{connection_id or self.environment.connection_id}/messages"
        async with self.session.post(self.environment.base_url + path, json=body) as response:
            return response.status, await response.json(content_type=None)

    async def get(self, path: str) -> tuple[int, Any]:
        """GET a path."""
        async with self.session.get(self.environment.base_url + path) as response:
            return response.status, await response.json()

    async def listen(self, channel: str = "control", conversation: str = "default") -> Listener:
        """Open a status socket."""
        path = f"/v1/environments/{self.environment.connection_id}/status/ws"
        query = {"agentId": self.environment.agent_id, "conversationId": conversation, "channel": channel}
        socket = await self.session.ws_connect(self.environment.base_url + path, params=query)
        await self.environment.wait_for(lambda seen: any(s.channel == channel for s in seen.sockets))
        return Listener(socket, self.environment)

    async def listen_started(self, channel: str = "control") -> Listener:
        """Open a status socket whose runtime has told its state already."""
        listener = await self.listen(channel)
        runtime = {"agent_id": self.environment.agent_id, "conversation_id": "default"}
        start = {"type": "runtime_start", "request_id": "start", "recover_approvals": True, **runtime}
        await listener.socket.send_json({**start, "force_device_status": True})
        await listener.until_words("subagents")
        await listener.until_words("device idle 0")
        return listener


def user(content: str, client_message_id: str = "cm-1", **fields: str) -> Frame:
    """A user message."""
    return {"role": "user", "content": content, "client_message_id": client_message_id, **fields}


def approval(tool_call_id: str, approve: bool, **fields: Any) -> Frame:
    """An approval message of one decision."""
    return {"type": "approval", "approvals": [{"tool_call_id": tool_call_id, "approve": approve, **fields}]}


def is_asked(seen: FakeEnvironment) -> bool:
    return bool(seen.pending())


def said(frames: list[Frame]) -> str:
    """The assistant's words in some frames."""
    deltas = [frame["delta"] for frame in frames if frame["type"] == "stream_delta"]
    return "".join(d["content"][0]["text"] for d in deltas if d["message_type"] == "assistant_message")
