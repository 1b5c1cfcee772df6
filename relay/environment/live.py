"""What the frames of a conversation let people see while its turn runs. Pure: frames in, glimpses out.

Nothing here is kept: the words that count are those that `turns` completes. What is seen meanwhile
may stop short, and never claims more than was said.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from relay.domain.presence import Glimpse
from relay.domain.runtime import Runtime
from relay.environment.frames import ControlRequest, Delta, Frame, LoopStatus, StreamDelta

_IDLE = "WAITING_ON_INPUT"
_ASKING = "WAITING_ON_APPROVAL"
_MOST_WORDS = 12_000  # as much as one message can hold
_ENDS_WORDS = frozenset(
    {"approval_request_message", "stop_reason", "user_message", "tool_return_message", "client_tool_start"}
)


@dataclass
class View:
    """What can be seen of one conversation."""

    _by_run: dict[str, list[str]] = field(default_factory=dict)
    _runs: list[str] = field(default_factory=list)
    _message_ids: tuple[str, ...] = ()
    _counted: dict[str, int] = field(default_factory=dict)
    _running: bool = False
    _asking: bool = False
    _tool: str = ""
    _said_id: str = ""
    _words: str = ""
    _over: bool = True  # of the words of `_said_id`, no more are shown
    _whole: bool = True

    def take(self, frame: Frame) -> Glimpse | None:
        """Return what can be seen after `frame`, or None where it changes nothing."""
        if frame.subagent_id is not None:
            return None
        if isinstance(frame, StreamDelta):
            return self._now() if self._delta(frame.delta) else None
        if isinstance(frame, LoopStatus):
            self._loop(frame)
            return self._now()
        if isinstance(frame, ControlRequest):
            self._asking, self._over = True, True
            return self._now()
        return None

    @property
    def at_rest(self) -> bool:
        """Whether nothing runs of which anything has to be remembered."""
        return not self._running

    def _loop(self, frame: LoopStatus) -> None:
        loop = frame.loop_status
        if loop.client_message_ids_by_run_id and loop.client_message_ids_by_run_id != self._by_run:
            self._by_run = loop.client_message_ids_by_run_id
            self._find_messages()
        for run_id in loop.active_run_ids:
            self._joined(run_id)
        self._running = loop.status != _IDLE
        self._asking = loop.status == _ASKING

    def _delta(self, delta: Delta) -> bool:
        kind = delta.message_type
        follows = self._follows(delta)
        if kind == "assistant_message":
            return self._heard(delta, follows=follows)
        ended = kind in _ENDS_WORDS and not self._over
        self._over = self._over or kind in _ENDS_WORDS
        if kind in ("client_tool_start", "client_tool_end"):
            before, self._tool = self._tool, delta.tool_name if kind == "client_tool_start" else ""
            return ended or before != self._tool
        return ended

    def _follows(self, delta: Delta) -> bool:
        if not delta.seq_id:
            return True
        before = self._counted.get(delta.run_id, 0)
        self._counted[delta.run_id] = max(before, delta.seq_id)
        return delta.seq_id <= before + 1

    def _heard(self, delta: Delta, *, follows: bool) -> bool:
        self._joined(delta.run_id)
        if delta.id != self._said_id:
            self._said_id, self._words, self._over, self._whole = delta.id, "", False, True
        # With a piece missing, what is seen stays as it is: it is posted whole at the end.
        self._whole = self._whole and follows
        if self._over or not self._whole or len(self._words) > _MOST_WORDS:
            return False
        self._tool, self._running = "", True
        self._words += delta.text
        return True

    def _joined(self, run_id: str) -> None:
        if run_id and run_id not in self._runs:
            self._runs.append(run_id)
            self._find_messages()

    def _find_messages(self) -> None:
        found = (one for run_id in self._runs for one in self._by_run.get(run_id, ()))
        self._message_ids = tuple(dict.fromkeys(found))

    def _now(self) -> Glimpse:
        being_said = not self._over and bool(self._words)
        return Glimpse(
            running=self._running,
            message_ids=self._message_ids,
            asking=self._asking,
            tool=self._tool,
            key=f"reply/{self._said_id}" if being_said else "",
            words=self._words if being_said else "",
        )


class Views:
    """Turns the frames of all conversations into what can be shown; forgets a conversation at rest."""

    def __init__(self, show: Callable[[Runtime, Glimpse], None]) -> None:
        self._show = show
        self._views: dict[Runtime, View] = {}

    def take(self, runtime: Runtime, frame: Frame) -> None:
        """Show what `frame` changes."""
        view = self._views.setdefault(runtime, View())
        glimpse = view.take(frame)
        if view.at_rest:
            del self._views[runtime]
        if glimpse is not None:
            self._show(runtime, glimpse)
