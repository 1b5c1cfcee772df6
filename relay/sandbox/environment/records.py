"""What the stand-in environment saw, kept for tests to read and to wait for."""

import asyncio
from dataclasses import dataclass, field
from typing import Any, Literal

from relay.sandbox.environment.script import Json, UserMessage

Via = Literal["rest", "socket"]


@dataclass
class Post:
    """One POST …/messages; status is None while unanswered, and stays so when no answer was given."""

    path: str
    body: Any
    raw: bytes
    headers: dict[str, str]
    at: float
    status: int | None = None


@dataclass(frozen=True)
class Decision:
    """One approve or deny that reached the device; occurrence numbers the requests of that id."""

    tool_call_id: str
    approve: bool
    reason: str | None
    updated_input: Json | None
    via: Via
    accepted: bool
    occurrence: int
    conversation_id: str


@dataclass(frozen=True)
class ToolReturn:
    """One result given in the tool's place; accepted is False when the request was no longer pending."""

    tool_call_id: str
    status: str
    tool_return: str
    accepted: bool
    occurrence: int
    conversation_id: str


@dataclass
class Ledger:
    """Everything that reached the environment, in order of arrival."""

    posts: list[Post] = field(default_factory=list)
    received: list[UserMessage] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)
    tool_returns: list[ToolReturn] = field(default_factory=list)
    tool_runs: list[tuple[str, str, Json]] = field(default_factory=list)
    commands: list[Json] = field(default_factory=list)
    acked: list[int] = field(default_factory=list)
    pings: int = 0
    violations: int = 0
    script_errors: list[BaseException] = field(default_factory=list)
    conversations_made: list[str] = field(default_factory=list)
    conversation_refusals: list[int] = field(default_factory=list)
    _pulse: asyncio.Event = field(default_factory=asyncio.Event)

    def changed(self) -> None:
        """Wake everyone who waits for something to happen."""
        self._pulse.set()
        self._pulse = asyncio.Event()

    async def next_change(self) -> None:
        """Return after the next change."""
        await self._pulse.wait()

    def dump(self) -> str:
        """A readable account of everything kept."""
        lines = [f"pings={self.pings} acked={len(self.acked)} violations={self.violations}"]
        for name in (
            "posts",
            "received",
            "decisions",
            "tool_returns",
            "tool_runs",
            "commands",
            "script_errors",
        ):
            entries = getattr(self, name)
            lines.append(f"{name} ({len(entries)}):")
            lines += [f"  {entry!r}"[:600] for entry in entries]
        return "\n".join(lines)
