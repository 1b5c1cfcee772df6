"""One pair of sockets: what it stores of what comes, and when."""

import asyncio
import contextlib
import io
import json
from collections.abc import AsyncIterator, Callable, Sequence
from itertools import count
from types import SimpleNamespace
from typing import Any, cast

import aiohttp
import pytest

from relay.app import json_log
from relay.domain.runtime import Runtime
from relay.environment.frames import Frame
from relay.environment.pair import Ears, Pair, RuntimeRefusedError, Socket
from relay.environment.turns import Arrival, Missed, Reply, ToolAsked, Unheard

RUNTIME = Runtime("workshop", "agent-1", "default")
Json = dict[str, Any]


class FakeSocket:
    """A socket whose other end is the test: it answers what is sent as `answers` says."""

    def __init__(self, answers: Callable[[Json], Json | None] = lambda _: None) -> None:
        self._coming: asyncio.Queue[Any] = asyncio.Queue()
        self._answers = answers
        self.sent: list[Json] = []

    async def send_str(self, text: str) -> None:
        frame = json.loads(text)
        self.sent.append(frame)
        answer = self._answers(frame)
        if answer is not None:
            self.put({**answer, "request_id": frame["request_id"]})

    async def receive(self, timeout: float) -> Any:
        async with asyncio.timeout(timeout):
            found = await self._coming.get()
        self._coming.task_done()
        return found

    async def all_taken(self) -> None:
        """Wait until the pair has taken every frame that was put."""
        await self._coming.join()

    def put(self, frame: Json) -> None:
        self._coming.put_nowait(SimpleNamespace(type=aiohttp.WSMsgType.TEXT, data=json.dumps(frame)))


class Line:
    """A pair between two sockets of the test's and nobody, and what was stored of it."""

    def __init__(self, answers: Callable[[Json], Json | None] = lambda _: None) -> None:
        self.control, self.stream = FakeSocket(answers), FakeSocket()
        self.wanted: frozenset[str] = frozenset()
        self.stored: list[Arrival] = []
        self.seen: list[str] = []
        self.broken: type | None = None  # what cannot be stored
        self.running: asyncio.Task[None] | None = None
        self._told = asyncio.Condition()

    async def take(self, _: str, arrivals: Sequence[Arrival]) -> None:
        if self.broken and any(isinstance(one, self.broken) for one in arrivals):
            self.broken = None
            raise ValueError("a defect")
        async with self._told:
            self.stored += arrivals
            self._told.notify_all()

    async def awaited(self, _: tuple[str, ...]) -> frozenset[str]:
        return self.wanted

    async def in_step(self, _: Pair) -> None:
        """Nobody waits for it."""

    def show(self, frame: Frame) -> None:
        self.seen.append(frame.type)
        if frame.type == "update_loop_status":
            raise ValueError("a defect")

    async def told(self, kind: type) -> Any:
        """Wait until something of a kind is stored and return the first of it."""
        async with asyncio.timeout(5), self._told:
            await self._told.wait_for(lambda: any(isinstance(one, kind) for one in self.stored))
        return next(one for one in self.stored if isinstance(one, kind))

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator["Line"]:
        numbers, log = count(1), json_log(io.StringIO())
        new_id = lambda: f"req_{next(numbers)}"  # noqa: E731 - as short as what it stands for
        ears = Ears(self.take, self.awaited, self.in_step, self.show, new_id, log)
        sockets = {"control": cast("Socket", self.control), "stream": cast("Socket", self.stream)}
        pair = Pair(sockets, RUNTIME, ears, ping_every=30.0, ask_again_every=30.0, look_again=0.02)
        self.running = asyncio.create_task(pair.listen())
        try:
            yield self
        finally:
            self.running.cancel()
            await asyncio.gather(self.running, return_exceptions=True)


def frame(kind: str, position: int, **more: Any) -> Json:
    """A frame of the device, numbered and stamped."""
    where = {"agent_id": RUNTIME.agent_id, "conversation_id": RUNTIME.conversation_id}
    told = {"event_seq": position, "seq": position, "idempotency_key": f"{kind}:{position}"}
    return {"type": kind, "emitted_at": f"2026-01-01T00:00:{position:06d}", "runtime": where, **told, **more}


def nothing_asked(position: int) -> Json:
    return frame("update_device_status", position, device_status={"pending_control_requests": []})


def loop(position: int, status: str) -> Json:
    told = {
        "status": status,
        "active_run_ids": ["run_1"],
        "client_message_ids_by_run_id": {"run_1": ["msg_1"]},
    }
    return frame("update_loop_status", position, loop_status=told)


def word(position: int, text: str, piece: int = 0) -> Json:
    delta = {
        "message_type": "assistant_message",
        "id": "a1",
        "content": text,
        "run_id": "run_1",
        "seq_id": piece,
    }
    return frame("stream_delta", position, delta=delta)


def question(position: int) -> Json:
    asked = {"tool_name": "Bash", "input": {"command": "x"}, "tool_call_id": "call_1"}
    return frame("control_request", position, request_id="perm-call_1", request=asked)


def play_a_turn_cut_in_the_middle(line: Line) -> None:
    """Have a turn end whose first pieces nobody heard."""
    line.wanted = frozenset({"msg_1"})
    turn = (
        nothing_asked(1),
        loop(2, "PROCESSING_API_RESPONSE"),
        word(3, "world", 7),
        loop(4, "WAITING_ON_INPUT"),
    )
    for one in turn:
        line.control.put(one)


def told_at_the(time: int) -> Callable[[Json], Json | None]:
    """Answer that the conversation cannot be read, until it is asked for the `time`th time."""
    asked = count(1)
    said = [
        {"message_type": "assistant_message", "id": "a1", "content": "hello world"},
        {"message_type": "user_message", "id": "u1", "content": "greet", "otid": "msg_1"},
    ]

    def answer(sent: Json) -> Json | None:
        if sent["type"] != "conversation_messages_list":
            return None
        readable = next(asked) >= time
        return {"type": f"{sent['type']}_response", "success": readable, "messages": said if readable else []}

    return answer


async def test_a_reply_cut_in_the_middle_is_read_later_when_it_cannot_be_read_at_once() -> None:
    async with Line(told_at_the(3)).open() as line:
        play_a_turn_cut_in_the_middle(line)
        missed = await line.told(Missed)
    assert [one.answers for one in missed.exchanges] == [(("a1", "hello world"),)]
    assert missed.over == ("msg_1",)
    assert not any(isinstance(one, Unheard) for one in line.stored)


async def test_a_reply_that_cannot_be_read_is_said_to_be_unheard_and_its_turn_is_not_over() -> None:
    async with Line(told_at_the(100)).open() as line:
        play_a_turn_cut_in_the_middle(line)
        unheard = await line.told(Unheard)
    assert unheard.message_ids == ("msg_1",)
    assert not any(isinstance(one, Missed) for one in line.stored)
    asked = [one for one in line.control.sent if one["type"] == "conversation_messages_list"]
    assert len(asked) == 3


async def test_what_was_missed_and_cannot_be_stored_ends_nothing() -> None:
    async with Line(told_at_the(1)).open() as line:
        line.broken = Missed
        play_a_turn_cut_in_the_middle(line)
        line.control.put(question(5))
        await line.told(ToolAsked)
        assert line.running is not None and not line.running.done()


async def test_a_frame_that_cannot_be_shown_ends_nothing() -> None:
    async with Line().open() as line:
        line.control.put(loop(1, "PROCESSING_API_RESPONSE"))
        line.control.put(question(2))
        await line.told(ToolAsked)
    assert line.seen == ["update_loop_status", "control_request"]


async def test_a_question_behind_a_gap_waits_no_longer_though_frames_keep_coming() -> None:
    async with Line().open() as line:
        line.control.put(nothing_asked(1))
        line.control.put(question(3))
        talking = asyncio.create_task(keep_talking(line))
        await line.told(ToolAsked)
        assert not talking.done()
        talking.cancel()


async def keep_talking(line: Line) -> None:
    """Send every second frame of a device's, sooner than a gap is given up: the others are not for us."""
    for number in count():
        line.control.put(word(5 + 2 * number, "w ", number + 1))
        await line.control.all_taken()


async def test_frames_that_overtook_each_other_are_taken_in_order() -> None:
    async with Line().open() as line:
        spoken = (
            nothing_asked(1),
            loop(2, "PROCESSING_API_RESPONSE"),
            word(4, "world", 2),
            word(3, "hello ", 1),
        )
        for one in (*spoken, question(5)):
            line.control.put(one)
        assert (await line.told(Reply)).text == "hello world"


async def test_a_refusal_of_another_clients_greeting_is_not_ours() -> None:
    refusal = {"type": "runtime_start_response", "success": False, "error": "Conversation not found"}
    async with Line().open() as line:
        line.control.put({**refusal, "request_id": "of-another"})
        line.control.put(question(1))
        await line.told(ToolAsked)


async def test_a_refusal_of_our_greeting_ends_the_pair() -> None:
    refusal = {"type": "runtime_start_response", "success": False, "error": "Conversation not found"}
    async with Line(lambda sent: refusal if sent["type"] == "runtime_start" else None).open() as line:
        assert line.running is not None
        with pytest.raises(RuntimeRefusedError):
            await asyncio.wait_for(line.running, 5)
