"""What the stand-in agent does with a user turn: steps, and what comes back from a tool."""

import asyncio
import re
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True)
class UserMessage:
    """One user message as it reached the device."""

    client_message_id: str
    content: str
    agent_id: str
    conversation_id: str
    otid: str | None = None
    duplicate: bool = False

    @property
    def last_line(self) -> str:
        """The person's own words when an author line stands above them."""
        lines = self.content.rstrip().splitlines()
        return lines[-1].strip() if lines else ""


@dataclass
class Turn:
    """The messages one turn answers; a message sent while an approval is pending joins them."""

    agent_id: str
    conversation_id: str
    messages: list[UserMessage]

    @property
    def text(self) -> str:
        """The content of the newest message, empty when the turn has none."""
        return self.messages[-1].content if self.messages else ""

    @property
    def last_line(self) -> str:
        """The last line of the newest message."""
        return self.messages[-1].last_line if self.messages else ""


@dataclass(frozen=True)
class Say:
    """The agent talks: in chunks by words, or in one when whole; after the first it waits for `hold`."""

    text: str
    whole: bool = False
    hold: asyncio.Event | None = None

    def chunks(self) -> list[str]:
        """The pieces that go on the wire, which joined give the text."""
        return [self.text] if self.whole else re.findall(r"[^ ]+ ?| ", self.text)


@dataclass(frozen=True)
class UseTool:
    """The agent calls a tool; a person is asked unless it is allowed."""

    name: str
    input: Json
    returns: str | Callable[[Json], str] = "ok\n"
    diffs: list[Json] | None = None
    suggestions: list[Json] | None = None
    tool_call_id: str | None = None
    allowed: bool = False

    def run(self, tool_input: Json) -> str:
        """What the tool gives back for this input."""
        return self.returns(tool_input) if callable(self.returns) else self.returns


@dataclass(frozen=True)
class UseTools:
    """Parallel calls: asked one after the other, none runs until all are answered."""

    calls: Sequence[UseTool]


@dataclass(frozen=True)
class Fail:
    """The model server refuses: the turn ends with an error."""

    message: str = '400: {"message":"scripted HTTP 400","type":"scripted"}'


@dataclass(frozen=True)
class Wait:
    """The agent does nothing until the event is set."""

    event: asyncio.Event


Step = Say | UseTool | UseTools | Fail | Wait


@dataclass(frozen=True)
class Outcome:
    """How one tool call ended; what a script's `yield UseTool(…)` gives back."""

    approved: bool
    reason: str | None
    input: Json
    tool_return: str

    @property
    def as_read(self) -> str:
        """The result as the model reads it: an approver's comment stands before the tool's words."""
        if not (self.approved and self.reason):
            return self.tool_return
        return (
            "The user approved the tool execution with the following comment: "
            f'"{self.reason}"\n{self.tool_return}'
        )


Script = Callable[[Turn], Iterable[Step]]


def _bash(command: str) -> UseTool:
    return UseTool(
        "Bash",
        {"command": command.strip(), "description": "scripted"},
        returns=lambda tool_input: f"ran: {tool_input.get('command')}\n",
    )


def _with_tools(calls: list[UseTool]) -> Generator[Step, Any, None]:
    yield Say("I will run a tool.", whole=True)
    outcomes: tuple[Outcome, ...] = yield UseTools(calls)
    yield Say("FINAL: tool said " + " | ".join(outcome.as_read for outcome in outcomes))


def default_script(turn: Turn) -> Iterable[Step]:
    """Run `TOOL: command` or `TOOLS: one || two`, fail on `FAIL`, echo anything else."""
    line = turn.last_line
    if line.startswith("TOOL:"):
        return _with_tools([_bash(line.removeprefix("TOOL:"))])
    if line.startswith("TOOLS:"):
        return _with_tools([_bash(command) for command in line.removeprefix("TOOLS:").split("||")])
    if line.startswith("FAIL"):
        return [Fail()]
    return [Say("echo: " + line)]


@dataclass
class Agent:
    """The one agent the stand-in environment runs."""

    agent_id: str
    delta_seconds: float = 0.0
    permission_mode: str = "standard"
    script: Script = field(default=default_script)
