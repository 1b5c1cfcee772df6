"""A recording as a device plays it: its frames, what it is doing meanwhile, and what it remembers."""

import asyncio
import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from uuid import uuid4

from relay.sandbox.environment.sockets import StatusSocket
from tests.environment.recorded import frames
from tests.environment.recorded_acts import Act, Decides, Hears, Leaves, Story
from tests.environment.recorded_ways import Carrier, Way

Json = dict[str, Any]
_PATIENCE = 30.0
# Answers to whoever recorded: a router gives them to nobody else.
_DIRECT = {
    "runtime_start_response",
    "input_accepted",
    "abort_message_response",
    "sync_response",
    "remove_queue_item_response",
    "conversation_messages_list_response",
}


class Tape:
    """One recording in one conversation; whoever plays it does the acts that it waits for."""

    def __init__(self, name: str, story: Story, way: Way, conversation_id: str) -> None:
        self.name = name
        self.story = story
        self.way = way
        self.conversation_id = conversation_id
        self.sockets: list[StatusSocket] = []
        self.arrived: list[str] = []  # our messages, in the order of their first arrival
        self.decided: dict[str, list[Json]] = {}
        self.by_socket: set[str] = set()
        self._frames = frames(name)
        self.told: frozenset[str] = (
            frozenset()
        )  # the agent's words that were whole before the sockets dropped
        self._ended = self.told
        self._whole = dict(_listed(self._frames))
        self._carrier = Carrier(way, self._send)
        self._words: list[tuple[str, str]] = []
        self._history: list[Json] = []
        self._speaking: tuple[str, list[str]] = ("", [])
        self._state: dict[str, Json] = {}
        self._pending: dict[str, Json] = {}
        self._last, self._shift, self._moment = 0, 0, ""
        self._changed = asyncio.Event()

    # What the device is told.

    def take_message(self, message: Json) -> None:
        """Take a user message, once."""
        if message["client_message_id"] not in self.arrived:
            self.arrived.append(message["client_message_id"])
        self.changed()

    def take_decision(self, decision: Json, *, by_socket: bool = False) -> None:
        """Take a decision on a tool call."""
        self.decided.setdefault(decision["tool_call_id"], []).append(decision)
        if by_socket:
            self.by_socket.add(decision["tool_call_id"])
        self.changed()

    def changed(self) -> None:
        """Wake whoever waits for something to have come."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def until(self, come: Callable[[], object]) -> None:
        """Wait until something has come."""
        try:
            async with asyncio.timeout(_PATIENCE):
                while not come():
                    await self._changed.wait()
        except TimeoutError:
            raise AssertionError(f"{self.name}, {self.way}: stuck after {self._last}") from None

    # What it says.

    def play(self) -> Iterator[Sequence[Act]]:
        """Play a frame at a time; before each, yield the acts that it waits for."""
        acts = {at: [one for one in self.story.acts if one.at == at] for at in range(len(self._frames) + 1)}
        for number, frame in enumerate(self._frames):
            if acts[number]:
                self._carrier.flush()
                yield acts[number]
            if frame["type"] not in _DIRECT:
                self._play_one(frame)
            if self.way.cut == number or any(isinstance(act, Leaves) for act in acts[number + 1]):
                self._carrier.flush()
                yield [Hears(number)]
                self.told = self._ended
                self.leave()
            yield ()
        self._carrier.flush()

    def _play_one(self, raw: Json) -> None:
        frame = self._in_our_words(raw)
        if "event_seq" in frame:
            frame["event_seq"] += self._shift
            self._last = max(self._last, frame["event_seq"])
            self._moment = max(self._moment, frame["emitted_at"])
        self._live(frame)
        self._carrier.take(frame)

    def _in_our_words(self, raw: Json) -> Json:
        text = json.dumps(raw, ensure_ascii=False)
        for old, new in self._words:
            text = text.replace(old, new)
        frame: Json = json.loads(text)
        self._address(frame)
        return frame

    def _address(self, frame: Json) -> None:
        for holder in (frame, frame.get("runtime", {}), frame.get("delta", {})):
            if "conversation_id" in holder:
                holder["conversation_id"] = self.conversation_id

    def say_instead(self, recorded: str, ours: str) -> None:
        """Have every frame from now on say something of ours where it was recorded with something else."""
        self._words.append((json.dumps(recorded)[1:-1], json.dumps(ours, ensure_ascii=False)[1:-1]))

    def remember_message(self, message_id: str) -> None:
        """Write a user message into the conversation: its turn has come."""
        entry = {"id": f"user-{message_id}", "message_type": "user_message", "role": "user"}
        self._history.append({**entry, "otid": message_id, "content": [{"type": "text", "text": "said"}]})

    def _live(self, frame: Json) -> None:
        if frame["type"] in ("update_device_status", "update_loop_status"):
            self._state[frame["type"]] = frame
        if frame["type"] == "update_device_status":
            self._pending = {
                one["request_id"]: one for one in frame["device_status"]["pending_control_requests"]
            }
        elif frame["type"] == "control_request":
            self._pending[frame["request_id"]] = {
                "request_id": frame["request_id"],
                "request": frame["request"],
            }
        elif frame["type"] == "stream_delta":
            self._remember(frame["delta"])
        elif frame["type"] == "update_loop_status" and frame["loop_status"]["status"] == "WAITING_ON_INPUT":
            self._spoken()

    def _remember(self, delta: Json) -> None:
        if delta["message_type"] != "assistant_message" or delta["id"] != self._speaking[0]:
            self._spoken()
        if delta["message_type"] == "assistant_message":
            chunks = [*self._speaking[1], "".join(part["text"] for part in delta["content"])]
            self._speaking = (delta["id"], chunks)
        elif delta["message_type"] == "stop_reason":
            self._ended = self._words_so_far()
        elif delta["message_type"] == "user_message":
            self.remember_message(delta["otid"])

    def _words_so_far(self) -> frozenset[str]:
        said = [one for one in self._history if one["message_type"] == "assistant_message"]
        return frozenset(one["content"][0]["text"].strip() for one in said)

    def _spoken(self) -> None:
        """Write the words that have come to their end into the conversation; before, it has none of them."""
        (which, chunks), self._speaking = self._speaking, ("", [])
        if chunks:
            # Of words that went on while nobody listened, the recording tells by its list alone.
            told = [{"type": "text", "text": self._whole.get(which) or "".join(chunks)}]
            entry = {"id": which, "message_type": "assistant_message", "role": "assistant"}
            self._history.append({**entry, "content": told})

    # Its sockets.

    def heard(self) -> bool:
        """Whether everything sent so far was acknowledged."""
        return all(socket.seq in (0, *socket.acked) for socket in self.sockets)

    def unproven(self) -> tuple[bool, ...]:
        """Return of each decision whether the sockets dropped between it and the first sign of it."""
        decided = [act for act in self.story.acts if isinstance(act, Decides)]
        cut = -1 if self.way.cut is None else self.way.cut
        return tuple(act.at - 1 <= cut < self._sign_of(act) for act in decided)

    def _sign_of(self, act: Decides) -> int:
        signs = {"tool_return_message", "client_tool_start"} if act.approve else {"tool_return_message"}
        deltas = [frame.get("delta", {}) for frame in self._frames]
        found = [
            one.get("tool_call_id") == act.tool_call_id and one["message_type"] in signs for one in deltas
        ]
        return found.index(True)

    def leave(self) -> None:
        """Drop both sockets without a closing frame."""
        self._carrier.forget()
        for socket in self.sockets:
            socket.cut()
        self.sockets = []

    def _send(self, channel: str, frame: Json) -> None:
        for socket in self.sockets:
            if socket.channel == channel:
                socket.send(frame)

    def state(self) -> Iterator[Json]:
        """Yield what a device says of a conversation as it is: no words, and what it waits for."""
        for kind in ("update_device_status", "update_loop_status"):
            frame = json.loads(json.dumps(self._state.get(kind) or self._first(kind)))
            if kind == "update_device_status":
                frame["device_status"]["pending_control_requests"] = list(self._pending.values())
            yield self._numbered(frame)
        for request in self._pending.values():
            told = {"type": "control_request", **request, "agent_id": "agent-1"}
            yield self._numbered({**told, "conversation_id": self.conversation_id})

    def _first(self, kind: str) -> Json:
        return next(self._in_our_words(one) for one in self._frames if one["type"] == kind)

    def _numbered(self, frame: Json) -> Json:
        self._shift += 1
        self._last = max(self._last, self._first_number() - 1) + 1
        frame |= {"event_seq": self._last, "emitted_at": self._moment or "2026-11-21T00:00:00.000Z"}
        frame["idempotency_key"] = f"{frame['type']}:{self._last}:{uuid4()}"
        return {**frame, "runtime": {"agent_id": "agent-1", "conversation_id": self.conversation_id}}

    def _first_number(self) -> int:
        return min(int(one["event_seq"]) for one in self._frames if "event_seq" in one)

    def said(self) -> list[Json]:
        """Return the conversation's messages, newest first."""
        return list(reversed(self._history))


def _listed(recorded: Sequence[Json]) -> Iterator[tuple[str, str]]:
    """Yield the agent's messages that the recording lists as a whole, by their ids."""
    for frame in recorded:
        for one in frame.get("messages", ()) if frame["type"] in _DIRECT else ():
            if one["message_type"] == "assistant_message":
                yield one["id"], "".join(part["text"] for part in one["content"])
