"""What the frames of one conversation amount to: words, questions, evidence, ends of turns.

Pure: frames in, arrivals out. Which of our messages a turn answers is told by
`client_message_ids_by_run_id`; one model failure comes as several errors and is told once, at the end.
"""

from collections import Counter
from dataclasses import dataclass, field

from relay.domain.approvals import Evidence, ToolReturned, ToolStarted
from relay.domain.presence import UnderWay
from relay.environment.frames import (
    ControlRequest,
    Delta,
    DeviceStatus,
    Frame,
    LoopStatus,
    StreamDelta,
    ToolRequest,
    TurnFinished,
    error_words,
    refuses_posted_approvals,
    words_of_return,
)

_IDLE = "WAITING_ON_INPUT"
_ASKING = "WAITING_ON_APPROVAL"
_GOOD_END = "end_turn"
_STOPPED = frozenset({"cancelled", "canceled", "interrupted"})


@dataclass(frozen=True)
class Reply:
    """Words of the agent, complete. `key` is the same when they are told twice."""

    message_ids: tuple[str, ...]
    key: str
    text: str


@dataclass(frozen=True)
class TurnFailed:
    """A turn ended in an error."""

    message_ids: tuple[str, ...]
    key: str
    error: str


@dataclass(frozen=True)
class TurnEnded:
    """A turn is over, however it ended."""

    message_ids: tuple[str, ...]


@dataclass(frozen=True)
class TurnStopped:
    """A turn was stopped before its end."""

    message_ids: tuple[str, ...]


@dataclass(frozen=True)
class AnswerNotTaken:
    """The device did not take a decision: it no longer waited for it."""


@dataclass(frozen=True)
class ToolAsked:
    """The environment waits for a decision. `listed`: it still does, rather than asks (again)."""

    request: ToolRequest
    message_ids: tuple[str, ...]
    words: str
    event_seq: int
    listed: bool


@dataclass(frozen=True)
class Pending:
    """All the tool calls that the environment waits for."""

    tool_call_ids: tuple[str, ...]
    event_seq: int


@dataclass(frozen=True)
class Proof:
    """A sign of what became of a tool call."""

    tool_call_id: str
    evidence: Evidence
    event_seq: int = field(default=0, compare=False)  # the same sign may be told at two positions


@dataclass(frozen=True)
class AnswersRefused:
    """The device dropped a decision that came by the messages endpoint: it wants it over the socket."""


@dataclass(frozen=True)
class Behind:
    """Words were missed, or may have been: what was said is to be read from the conversation itself.

    `ended` are the messages whose turn is over with that; None: nothing runs, so that all turns are.
    `failed`: that it ended in an error was told.
    """

    ended: tuple[str, ...] | None = None
    failed: bool = False
    heard: bool = False  # all of it was heard, as far as its pieces are numbered
    last: bool = False  # what has no answer now gets none
    looks: int = 0  # how often the conversation could not be read
    sought: tuple[str, ...] = ()  # what was looked for the first time


@dataclass(frozen=True)
class Unheard:
    """Messages whose answers could not be read for a while; they may be read yet."""

    message_ids: tuple[str, ...]


@dataclass(frozen=True)
class Exchange:
    """Messages of ours that were answered together, and the agent's words, each with its id."""

    message_ids: tuple[str, ...]
    answers: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Missed:
    """What the conversation says was said, of what `behind` asked for."""

    exchanges: tuple[Exchange, ...]
    behind: Behind
    unseen: tuple[str, ...] = ()  # messages that the environment took and that are not in the conversation
    sure: bool = False  # the turn itself told whose it was; else the order of the words alone does

    @property
    def over(self) -> tuple[str, ...]:
        """The messages whose turns are over."""
        if self.behind.ended is not None:
            return self.behind.ended
        return (*(message_id for one in self.exchanges for message_id in one.message_ids), *self.unseen)

    @property
    def silent(self) -> tuple[str, ...]:
        """The messages whose turns ended without words or an error that anybody was told."""
        if self.behind.failed:
            return ()
        without = [one.message_ids for one in self.exchanges if not one.answers]
        return tuple(message_id for ids in without for message_id in ids if message_id in self.over)


Arrival = (
    Reply
    | TurnFailed
    | TurnEnded
    | TurnStopped
    | ToolAsked
    | Pending
    | Proof
    | AnswersRefused
    | AnswerNotTaken
    | Behind
    | Missed
    | Unheard
)


@dataclass
class _Turn:
    """The turn under way: its runs, the words not yet complete, the first error."""

    runs: list[str] = field(default_factory=list)
    message_id: str = ""
    run_id: str = ""
    chunks: list[str] = field(default_factory=list)
    words: str = ""
    unclaimed: list[tuple[str, str, str]] = field(default_factory=list)
    error: str = ""
    failed: tuple[str, ...] = ()  # whom the error names, where no run is known
    parts: Counter[str] = field(default_factory=Counter)
    counted: dict[str, int] = field(default_factory=dict)  # by run, the number of its last piece
    cut: bool = False  # of the words gathered, some may be missing
    whole: bool = True  # every piece so far was seen
    spoke: bool = False
    active: bool = False
    asked: dict[str, list[str]] = field(default_factory=dict)  # by tool call, the runs at that time


class Turns:
    """Follows the turns of one conversation."""

    def __init__(self) -> None:
        self._by_run: dict[str, list[str]] = {}
        # What went on before this was told to nobody here.
        self._turn = _Turn(whole=False)
        self._listed: tuple[str, ...] | None = None
        self._processing = False
        self._over: tuple[str, ...] = ()  # whose turn ended last, until the device says how

    def take(self, frame: Frame) -> list[Arrival]:
        """Return what `frame` brings, in order. Frames of sub-agents bring nothing."""
        if frame.subagent_id is not None:
            return []
        if isinstance(frame, StreamDelta):
            return self._delta(frame.delta, frame.event_seq)
        if isinstance(frame, LoopStatus):
            return self._loop(frame)
        if isinstance(frame, DeviceStatus):
            return self._device(frame)
        if isinstance(frame, ControlRequest):
            self._listed = None
            return [*self._complete(), self._asked(frame.request, frame.event_seq, listed=False)]
        if isinstance(frame, TurnFinished):
            return self._finished(frame)
        return []

    @property
    def alive(self) -> bool:
        """Whether a turn runs or something is waited for."""
        return self._turn.active or self._processing or bool(self._listed)

    @property
    def under_way(self) -> UnderWay:
        """What is known of the turn that runs now."""
        told = (tuple(self._by_run.get(run_id, ())) for run_id in self._turn.runs)
        asked = {call: self._message_ids(runs) for call, runs in self._turn.asked.items()}
        return UnderWay(self.alive, tuple(ids for ids in told if ids), asked)

    def _delta(self, delta: Delta, event_seq: int) -> list[Arrival]:
        kind = delta.message_type
        follows = self._follows(delta)
        if kind == "assistant_message":
            return self._words(delta, follows=follows)
        if refuses_posted_approvals(delta):
            return [AnswersRefused()]
        if kind in ("error_message", "loop_error"):
            if kind == "error_message" or delta.is_terminal:
                self._turn.error = self._turn.error or error_words(delta.message)
                self._turn.failed = self._turn.failed or tuple(delta.client_message_ids)
            return []
        if kind == "client_tool_start" and delta.tool_call_id:
            return [*self._complete(), Proof(delta.tool_call_id, ToolStarted(), event_seq)]
        if kind == "tool_return_message" and delta.tool_call_id:
            returned = ToolReturned(delta.status == "error", words_of_return(delta.tool_return))
            return [*self._complete(), Proof(delta.tool_call_id, returned, event_seq)]
        if kind == "retry":
            self._give_up_attempt()
            return []
        # After an error the model may be asked again: the words of this attempt wait for that.
        if kind == "stop_reason" and self._turn.error:
            return []
        if kind in ("approval_request_message", "stop_reason", "user_message"):
            return self._complete()
        return []

    def _give_up_attempt(self) -> None:
        turn = self._turn
        turn.error, turn.failed, turn.chunks, turn.message_id = "", (), [], ""

    def _follows(self, delta: Delta) -> bool:
        """Whether nothing is missing before this piece of its run."""
        turn = self._turn
        if not delta.seq_id:
            return turn.whole
        before = turn.counted.get(delta.run_id, 0)
        turn.counted[delta.run_id] = max(before, delta.seq_id)
        follows = delta.seq_id <= before + 1
        turn.whole = turn.whole and follows
        return follows

    def _words(self, delta: Delta, *, follows: bool) -> list[Arrival]:
        turn = self._turn
        done: list[Arrival] = []
        if delta.id != turn.message_id:
            done = self._complete()
            turn.cut = False
        turn.cut = turn.cut or not follows
        turn.active = True
        turn.message_id, turn.run_id = delta.id, delta.run_id
        turn.chunks.append(delta.text)
        self._joined(delta.run_id)
        return done

    def _complete(self) -> list[Arrival]:
        """Return the words gathered so far as a reply: something else has begun."""
        turn = self._turn
        text, turn.chunks = "".join(turn.chunks), []
        if not text.strip():
            return []
        turn.words, turn.spoke = text, True
        if turn.cut:  # posted whole, from the conversation itself, at the end of the turn
            return []
        turn.parts[turn.message_id] += 1
        # A queued message may part the words of one message in two: each half is a reply.
        part = f"/{turn.parts[turn.message_id]}" if turn.parts[turn.message_id] > 1 else ""
        turn.unclaimed.append((turn.run_id, turn.message_id + part, text))
        return self._claimed()

    def _claimed(self) -> list[Arrival]:
        """Return what can be told whom it answers; the rest waits for the frame that tells."""
        turn = self._turn
        replies: list[Arrival] = []
        while turn.unclaimed:
            run_id, message_id, text = turn.unclaimed[0]
            message_ids = self._message_ids([run_id] if run_id in self._by_run else turn.runs)
            if not message_ids:
                break
            replies.append(Reply(message_ids, f"reply/{message_id}", text))
            del turn.unclaimed[0]
        return replies

    def _loop(self, frame: LoopStatus) -> list[Arrival]:
        loop = frame.loop_status
        self._by_run = loop.client_message_ids_by_run_id or self._by_run
        for run_id in loop.active_run_ids:
            self._joined(run_id)
        for runs in self._turn.asked.values():
            if loop.status == _ASKING and not runs:  # it was listed before it was told what runs
                runs.extend(self._turn.runs)
        if loop.status != _IDLE:
            self._turn.active = True
            return self._claimed()
        if self._turn.active:
            return self._end()
        return self._nothing_runs()

    def _nothing_runs(self) -> list[Arrival]:
        self._turn.asked.clear()
        if self._turn.whole:
            return []
        self._turn = _Turn()
        return [Behind()]

    def _joined(self, run_id: str) -> None:
        if run_id and run_id not in self._turn.runs:
            self._turn.runs.append(run_id)

    def _finished(self, frame: TurnFinished) -> list[Arrival]:
        if frame.run_id and self._turn.active:
            self._joined(frame.run_id)
        if frame.stop_reason == _GOOD_END:
            self._turn.error = ""
        elif frame.error or "error" in frame.stop_reason:
            self._turn.error = self._turn.error or error_words(frame.error)
        arrivals = self._end() if self._turn.active or self._turn.error else []
        return [*arrivals, *self._stopped(frame)]

    def _stopped(self, frame: TurnFinished) -> list[Arrival]:
        """Return whose turn was stopped: the loop's rest was told before, and said nothing of that."""
        over, self._over = self._over, ()
        return [TurnStopped(over)] if over and frame.stop_reason in _STOPPED else []

    def _end(self) -> list[Arrival]:
        arrivals = self._complete()
        turn = self._turn
        message_ids = self._message_ids(turn.runs) or turn.failed
        if turn.error and message_ids:
            run_id = turn.runs[-1] if turn.runs else ""
            arrivals.append(TurnFailed(message_ids, f"turn-failed/{run_id}", turn.error))
        told = turn.spoke or bool(turn.error)
        if not message_ids:
            arrivals.append(Behind())  # whose turn that was, the conversation tells
        elif not turn.whole or not told:
            # A turn without a word may be one whose words its device could not send.
            arrivals.append(Behind(message_ids, failed=bool(turn.error), heard=turn.whole))
        else:
            arrivals.append(TurnEnded(message_ids))
        self._over = message_ids
        self._turn = _Turn()
        return arrivals

    def _device(self, frame: DeviceStatus) -> list[Arrival]:
        self._processing = frame.device_status.is_processing
        pending = frame.device_status.pending_control_requests
        listed = tuple(entry.request.tool_call_id for entry in pending)
        if listed == self._listed == ():  # told before, and nothing was asked since
            return []
        self._listed = listed
        asked: list[Arrival] = [self._asked(entry.request, frame.event_seq, listed=True) for entry in pending]
        return [*asked, Pending(listed, frame.event_seq)]

    def _asked(self, request: ToolRequest, event_seq: int, *, listed: bool) -> ToolAsked:
        self._turn.asked.setdefault(request.tool_call_id, list(self._turn.runs))
        return ToolAsked(request, self._message_ids(self._turn.runs), self._turn.words, event_seq, listed)

    def _message_ids(self, runs: list[str]) -> tuple[str, ...]:
        found = (message_id for run_id in runs for message_id in self._by_run.get(run_id, ()))
        return tuple(dict.fromkeys(found))
