"""FakeModel: a chat-completions server of ours, which the real program takes for its language model.

Each test's agent names a model of its own, and a model is a `Mind`: what it does next is scripted, and
every request it is asked is kept, so that a test can say what the agent read.
"""

import asyncio
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from aiohttp import web

Json = dict[str, Any]
WAIT_SECONDS = 20.0


@dataclass(frozen=True)
class Say:
    """Answer in words, which ends the turn. They are streamed word by word."""

    text: str


@dataclass(frozen=True)
class Use:
    """Call tools, all at once, perhaps after a few words."""

    calls: tuple[tuple[str, Json], ...]
    words: str = ""


@dataclass(frozen=True)
class Fail:
    """Answer with an HTTP error."""

    status: int = 500
    message: str = "the model is out of order"


@dataclass(frozen=True)
class BreakOff:
    """Say something and break the connection before the end."""

    text: str


@dataclass(frozen=True)
class Hang:
    """Say nothing until released, then do what `then` says."""

    released: asyncio.Event
    then: "Say | Use | Fail | BreakOff"


Step = Say | Use | Fail | BreakOff | Hang


def bash(*commands: str, words: str = "") -> Use:
    """Return the step that has commands run, each by a call of its own."""
    return Use(tuple(("Bash", {"command": one, "description": "scripted"}) for one in commands), words)


@dataclass
class Mind:
    """One scripted model: takes the next step at each request, and keeps what it was asked.

    Calls are named by the answer that makes them, `call_2_0` for the first of the second answer. Such
    names come again, in other conversations or when `answers` is set back, as a model server's do.
    """

    name: str
    steps: list[Step] = field(default_factory=list)
    requests: list[Json] = field(default_factory=list)
    answers: int = 0
    streamed: int = 0
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def next_step(self, request: Json) -> Step:
        """Keep a request and return the step that answers it."""
        async with self._changed:
            self.requests.append(request)
            self._changed.notify_all()
        return self.steps.pop(0) if self.steps else Say("(the script has no more steps)")

    async def asked(self, number: int) -> Json:
        """Wait for the request number `number` and return it."""
        async with asyncio.timeout(WAIT_SECONDS), self._changed:
            await self._changed.wait_for(lambda: len(self.requests) >= number)
        return self.requests[number - 1]

    async def answered(self, number: int) -> None:
        """Wait until the answer number `number` has been streamed to its end."""
        async with asyncio.timeout(WAIT_SECONDS), self._changed:
            await self._changed.wait_for(lambda: self.streamed >= number)

    async def has_streamed(self) -> None:
        """Note that an answer has been streamed to its end."""
        async with self._changed:
            self.streamed += 1
            self._changed.notify_all()

    def hang(self, then: Say | Use | Fail | BreakOff) -> asyncio.Event:
        """Have the next request hang; return the event that releases it to do what `then` says."""
        released = asyncio.Event()
        self.steps.append(Hang(released, then))
        return released

    def read(self, role: str) -> list[str]:
        """Return what the messages of a role said in the last request."""
        messages = self.requests[-1]["messages"] if self.requests else []
        return [_words(message.get("content")) for message in messages if message["role"] == role]


class FakeModel:
    """Serves minds on a free port of 127.0.0.1, from `start` to `stop`."""

    def __init__(self) -> None:
        self.minds: dict[str, Mind] = {}
        self.url = ""
        self._runner: web.AppRunner | None = None

    def mind(self, name: str, steps: Sequence[Step] = ()) -> Mind:
        """Return a new mind under a model's name."""
        self.minds[name] = Mind(name, list(steps))
        return self.minds[name]

    async def __aenter__(self) -> Self:
        application = web.Application(client_max_size=64 * 2**20)
        application.add_routes(
            [
                web.get("/v1/models", self._list),
                web.post("/v1/chat/completions", self._complete),
            ]
        )
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.2)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/v1"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _list(self, _: web.Request) -> web.Response:
        listed = [{"id": name, "object": "model", "owned_by": "tests"} for name in ("idle", *self.minds)]
        return web.json_response({"object": "list", "data": listed})

    async def _complete(self, request: web.Request) -> web.StreamResponse:
        asked = await request.json()
        mind = self.minds.get(asked["model"])
        step: Step = await mind.next_step(asked) if mind else Fail(404, f"no model named {asked['model']}")
        if isinstance(step, Hang):
            await step.released.wait()
            step = step.then
        if isinstance(step, Fail):
            error = {"message": step.message, "type": "scripted"}
            return web.json_response({"error": error}, status=step.status)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        assert mind is not None
        mind.answers += 1
        if isinstance(step, BreakOff):
            await response.write(b"data: " + next(chunks(Say(step.text), mind.name, mind.answers)) + b"\n\n")
            assert request.transport is not None
            request.transport.abort()
            return response
        for chunk in chunks(step, asked["model"], mind.answers):
            await response.write(b"data: " + chunk + b"\n\n")
        await response.write_eof()
        await mind.has_streamed()
        return response


def chunks(step: Say | Use, model: str, number: int) -> Iterator[bytes]:
    """Return an answer as it is streamed: words one by one, calls, usage, the end."""
    stem = {"id": f"chatcmpl-{number}", "object": "chat.completion.chunk", "created": 1, "model": model}

    def chunk(delta: Json, finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        return json.dumps({**stem, "choices": [choice]}).encode()

    text = step.text if isinstance(step, Say) else step.words
    for word in text.split(" ") if text else ():
        yield chunk({"role": "assistant", "content": f"{word} "})
    for index, (name, arguments) in enumerate(step.calls if isinstance(step, Use) else ()):
        function = {"name": name, "arguments": json.dumps(arguments)}
        call = {"index": index, "id": f"call_{number}_{index}", "type": "function", "function": function}
        yield chunk({"role": "assistant", "tool_calls": [call]})
    yield chunk({}, "stop" if isinstance(step, Say) else "tool_calls")
    usage = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
    yield json.dumps({**stem, "choices": [], "usage": usage}).encode()
    yield b"[DONE]"


def _words(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "".join(str(part.get("text", "")) for part in content or [] if isinstance(part, dict))
