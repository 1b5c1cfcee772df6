"""The tool calls of one run that wait for a person, asked one after the other."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from relay.sandbox.environment import frames
from relay.sandbox.environment.script import Json, UseTool


@dataclass(frozen=True)
class Answer:
    """What a person, or a tool-return, said about one call."""

    approve: bool
    reason: str | None = None
    updated_input: Json | None = None
    result: tuple[str, str] | None = None


@dataclass
class Call:
    """One tool call of a run."""

    tool: UseTool
    tool_call_id: str
    delta_id: str
    answer: Answer | None = None

    @property
    def input(self) -> Json:
        """The input the tool gets: an approver's replaces the agent's whole."""
        if self.answer is not None and self.answer.updated_input is not None:
            return self.answer.updated_input
        return self.tool.input

    @property
    def runs(self) -> bool:
        """Whether the tool itself is to run."""
        return self.answer is not None and self.answer.approve and self.answer.result is None


@dataclass
class Round:
    """The calls of one run; `ask` is told each request when its time comes."""

    calls: Sequence[Call]
    ask: Callable[[Json], None]
    pending: list[Json] = field(default_factory=list)
    settled: asyncio.Event = field(default_factory=asyncio.Event)

    def proceed(self) -> None:
        """Ask for the next unanswered call, or let the turn go on."""
        call = next((call for call in self.calls if call.answer is None), None)
        if call is None:
            self.settled.set()
            return
        self.pending = [frames.permission(call.tool, call.tool_call_id)]
        self.ask(self.pending[0])

    def answer(self, request_id: str, answer: Answer) -> bool:
        """Take the first answer to the request that is pending; False when it is not."""
        if not self.pending or self.pending[0]["request_id"] != request_id:
            return False
        tool_call_id = self.pending[0]["request"]["tool_call_id"]
        call = next(c for c in self.calls if c.tool_call_id == tool_call_id and c.answer is None)
        call.answer = answer
        self.pending = []
        return True
