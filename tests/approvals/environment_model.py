"""The witness of the approval's life: a device as small as the protocol allows, and what is true there."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from relay.domain.approvals import Evidence, ToolReturned, ToolStarted

OWN_WORDS = "not from the terminal"


@dataclass(eq=False)
class Call:
    """One tool call the agent really made, and what really became of it."""

    tool_call_id: str
    command: str
    fails: bool  # whether its tool, when it runs, ends in an error
    state: Literal["pending", "answered", "lost"] = "pending"
    approve: bool | None = None
    reason: str = ""
    by_relay: bool = False


@dataclass(frozen=True)
class Frame:
    """What the device tells: an ask, the list of what it waits for, or a sign of what became of a call."""

    event_seq: int
    asks: Call | None = None
    lists: tuple[Call, ...] | None = None
    sign: tuple[str, Evidence] | None = None
    pending: tuple[Call, ...] = ()  # what the device waited for when it told this

    def is_sign_of(self, tool_call_id: str) -> bool:
        return self.sign is not None and self.sign[0] == tool_call_id

    def may_overtake(self, other: "Frame") -> bool:
        """Whether this may come before `other`: what follows an answer was told long after the ask."""
        return other.asks is None or other.asks in self.pending


@dataclass
class Device:
    """Asks, takes the first answer, tells what it does; frames wait in `on_the_way` until they are taken."""

    calls: list[Call] = field(default_factory=list)
    on_the_way: list[Frame] = field(default_factory=list)
    event_seq: int = 0

    def pending(self) -> tuple[Call, ...]:
        return tuple(call for call in self.calls if call.state == "pending")

    def waits_for(self, tool_call_id: str) -> Call | None:
        return next((call for call in self.pending() if call.tool_call_id == tool_call_id), None)

    def may_ask(self, tool_call_id: str, command: str) -> bool:
        """Whether an agent could ask this now: between a tool's return and the next ask lies a whole
        answer of the model, so that no sign of the earlier call is still on its way."""
        waiting = self.waits_for(tool_call_id)
        if waiting is not None and waiting.command == command:
            return False
        return not any(frame.is_sign_of(tool_call_id) for frame in self.on_the_way)

    def ask(self, tool_call_id: str, command: str, *, fails: bool) -> None:
        replaced = self.waits_for(tool_call_id)
        if replaced is not None:
            replaced.state = "lost"
        self.calls.append(Call(tool_call_id, command, fails))
        self.replay(self.calls[-1])
        self.tell_list()

    def replay(self, call: Call) -> None:
        self._tell(asks=call)

    def tell_list(self) -> None:
        self._tell(lists=self.pending())

    def answer(self, tool_call_id: str, *, approve: bool, reason: str, by_relay: bool) -> bool:
        """Take an answer and return whether it was the first."""
        call = self.waits_for(tool_call_id)
        if call is None:
            return False
        call.state, call.approve, call.reason, call.by_relay = "answered", approve, reason, by_relay
        self.tell_list()
        for evidence in self._signs(call):
            self._tell(sign=(call.tool_call_id, evidence))
        return True

    def _signs(self, call: Call) -> Iterator[Evidence]:
        if not call.approve:
            yield ToolReturned(error=True, text=call.reason)
            return
        yield ToolStarted()
        for _ in range(2):  # a tool's return may be told twice
            yield ToolReturned(error=call.fails, text="exit 1" if call.fails else "done")

    def abort(self) -> None:
        for call in self.pending():
            call.state = "lost"
        self.tell_list()

    def restart(self) -> None:
        """Lose everything and say nothing; positions begin anew."""
        for call in self.pending():
            call.state = "lost"
        self.on_the_way.clear()
        self.event_seq = 0

    def greet(self) -> None:
        """Answer a new pair of sockets: what was on its way to the old pair never comes."""
        self.on_the_way.clear()
        for call in self.pending():
            self.replay(call)
        self.tell_list()

    def next_frame(self, overtaking: int = 0) -> Frame:
        """Take the next frame off the way, or one that overtakes up to `overtaking` of those before it."""
        first = min(overtaking, len(self.on_the_way) - 1)
        frame = self.on_the_way[first]
        if not all(frame.may_overtake(other) for other in self.on_the_way[:first]):
            frame = self.on_the_way[0]
        self.on_the_way.remove(frame)
        return frame

    def _tell(
        self,
        asks: Call | None = None,
        lists: tuple[Call, ...] | None = None,
        sign: tuple[str, Evidence] | None = None,
    ) -> None:
        self.event_seq += 1
        self.on_the_way.append(Frame(self.event_seq, asks, lists, sign, self.pending()))
