"""What goes over the environment's wire, both ways, with no carrier.

Bodies: https://docs.letta.com/api-reference/environments, POST /v1/environments/{connectionId}/messages.
Frames: the status sockets. Unknown fields are kept out of the way, unknown types ignored.
"""

import json
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class TextPart(_Body):
    """One part of a content that is a list."""

    type: Literal["text"] = "text"
    text: str


Content = Annotated[str | list[TextPart], Field(union_mode="left_to_right")]


class UserMessage(_Body):
    """What a person said. `client_message_id` is the environment's only protection against a resend."""

    client_message_id: str
    content: Content
    role: Literal["user"] = "user"
    otid: str | None = None


class ApprovalDecision(_Body):
    """Yes or no to one tool call; `updated_input` replaces the whole input."""

    approve: bool
    tool_call_id: str
    reason: str | None = None
    updated_input: dict[str, Any] | None = None
    type: Literal["approval"] | None = "approval"


class ToolReturn(_Body):
    """What a person who ran the tool themselves got."""

    status: Literal["success", "error"]
    tool_call_id: str
    tool_return: Content
    stdout: list[str] | None = None
    stderr: list[str] | None = None
    type: Literal["tool"] | None = "tool"


class ApprovalMessage(_Body):
    """Decisions on the tool calls of one request."""

    type: Literal["approval"] = "approval"
    approvals: list[ApprovalDecision | ToolReturn]


class MessagesBody(_Body):
    """The request body of the messages endpoint; without `agentId` a device drops it in silence."""

    messages: list[UserMessage | ApprovalMessage]
    agent_id: str | None = Field(default=None, alias="agentId")
    conversation_id: str | None = Field(default=None, alias="conversationId")

    def wire(self) -> bytes:
        """Return the body as it travels: compact JSON in raw UTF-8, absent fields left out."""
        return self.model_dump_json(by_alias=True, exclude_none=True).encode()


class MessagesAnswer(BaseModel):
    """The endpoint's answer; `success` only says that the message was passed on."""

    message: str | None = None
    success: bool


def answer(body: bytes) -> MessagesAnswer | None:
    """Return the endpoint's answer, or None where the body is none (HTML of a proxy, say)."""
    try:
        return MessagesAnswer.model_validate_json(body)
    except ValidationError:
        return None


class _Frame(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _absent(cls, raw: Any) -> Any:
        # JavaScript writes null for what is not there; a question must not be lost over that.
        return {name: one for name, one in raw.items() if one is not None} if isinstance(raw, dict) else raw


class RuntimeOfFrame(_Frame):
    """Which conversation of which agent a frame speaks of."""

    agent_id: str = ""
    conversation_id: str = ""


class Frame(_Frame):
    """What every frame may carry. `seq` wants an acknowledgement, `event_seq` gives the order."""

    type: str
    seq: int | None = None
    event_seq: int = Field(default=0, lt=2**63)  # what the store holds
    emitted_at: str = ""
    idempotency_key: str | None = None
    request_id: str | None = None
    runtime: RuntimeOfFrame = RuntimeOfFrame()
    subagent_id: str | None = None


class ToolRequest(_Frame):
    """The tool call inside a control request."""

    subtype: str = "can_use_tool"
    tool_name: str = Field(min_length=1, max_length=500)
    input: dict[str, Any]
    tool_call_id: str = Field(min_length=1, max_length=500)
    diffs: list[Any] = []
    blocked_path: str | None = None
    permission_suggestions: list[Any] = []


class PendingRequest(_Frame):
    """One entry of the list of what the device waits for."""

    request_id: str
    request: ToolRequest


class ControlRequest(Frame):
    """The device asks whether a tool may run."""

    request: ToolRequest


class _DeviceState(_Frame):
    is_online: bool = True
    is_processing: bool = False
    current_permission_mode: str = ""
    pending_control_requests: list[PendingRequest] = []


class DeviceStatus(Frame):
    """What the device is doing, and everything it waits for."""

    device_status: _DeviceState


class _LoopState(_Frame):
    status: str = ""
    active_run_ids: list[str] = []
    client_message_ids_by_run_id: dict[str, list[str]] = {}


class LoopStatus(Frame):
    """Which runs are under way, and for which of our messages."""

    loop_status: _LoopState


class Delta(_Frame):
    """One piece of a turn: words, a tool's start or end, an error."""

    message_type: str = ""
    id: str = ""
    run_id: str = ""
    content: Any = None
    message: Any = None
    tool_call_id: str = ""
    tool_name: str = ""
    status: str = ""
    tool_return: Any = None
    otid: str = ""
    seq_id: int = 0  # counts the pieces of a run from 1; 0: not told
    stop_reason: str = ""
    is_terminal: bool = False
    client_message_ids: list[str] = []

    @property
    def text(self) -> str:
        """The words of `content`, whichever of its two forms it has."""
        return _words(self.content)


class StreamDelta(Frame):
    """A piece of a turn on the wire."""

    delta: Delta
    subagent_id: str | None = None


class InputAccepted(Frame):
    """The device's answer to an input of ours: whether it took it, and what it does with it."""

    accepted: bool = False
    disposition: str = ""
    error: str | None = None


class RuntimeStarted(Frame):
    """The device's answer to our greeting: whether it knows the agent and the conversation."""

    success: bool = True


class Aborted(Frame):
    """The device's answer to a stop: whether there was a turn to stop."""

    aborted: bool = False
    success: bool = True


class MessagesListed(Frame):
    """What was said in a conversation, newest first; `next_before` names where the next page begins."""

    success: bool = False
    messages: list[Any] = []
    has_more: bool = False
    next_before: str = ""

    @property
    def read(self) -> list[Delta]:
        """The messages that can be read."""
        return [one for one in map(_delta_or_none, self.messages) if one is not None]


def _delta_or_none(raw: Any) -> Delta | None:
    try:
        return Delta.model_validate(raw)
    except ValidationError:
        return None


class TurnFinished(Frame):
    """A turn is over."""

    turn_id: str = ""
    stop_reason: str = ""
    run_id: str | None = None
    error: Any = None


_SHAPES: Mapping[str, type[Frame]] = {
    "control_request": ControlRequest,
    "update_device_status": DeviceStatus,
    "update_loop_status": LoopStatus,
    "stream_delta": StreamDelta,
    "turn_finished": TurnFinished,
    "input_accepted": InputAccepted,
    "runtime_start_response": RuntimeStarted,
    "abort_message_response": Aborted,
    "conversation_messages_list_response": MessagesListed,
}


class FrameError(Exception):
    """A frame that is no JSON object, or not of its type's shape; `seq` is its position if it told one."""

    def __init__(self, problem: str, seq: int | None = None) -> None:
        super().__init__(problem)
        self.seq = seq


def parse(text: str) -> Frame:
    """Return the frame in `text`; of a type unknown here, what every frame carries. Raises FrameError."""
    try:
        raw = json.loads(text)
        if _HALF_ESCAPE.search(text):
            raw = json.loads(whole(json.dumps(raw, ensure_ascii=False), escape="\\\\u"))
    except (ValueError, RecursionError) as problem:
        raise FrameError(f"no JSON: {problem}") from None
    if not isinstance(raw, dict) or not isinstance(raw.get("type"), str):
        raise FrameError("no JSON object with a type")
    try:
        return _SHAPES.get(raw["type"], Frame).model_validate(raw)
    except ValidationError as problem:
        seq = raw.get("seq")
        where = ".".join(str(step) for step in problem.errors(include_input=False)[0]["loc"])
        raise FrameError(f"{raw['type']}: wrong at {where}", seq if isinstance(seq, int) else None) from None


_HALF_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")
_HALVES = re.compile("[\ud800-\udfff]")


def whole(text: str, *, escape: str = "\\u") -> str:
    """Return `text` with every half of a character written out: nothing can store or send a half.

    JavaScript leaves one wherever it cuts a text in the middle of an emoji.
    """
    return _HALVES.sub(lambda half: f"{escape}{ord(half[0]):04x}", text)


def _words(content: Any) -> str:
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return ""


def words_of_return(tool_return: Any) -> str:
    """Return the text of a tool's return, whichever form it has."""
    return _words(tool_return) or (json.dumps(tool_return, ensure_ascii=False) if tool_return else "")


def error_words(error: Any) -> str:
    """Return the innermost message of an error, which the wire wraps in JSON several times over."""
    for _ in range(8):
        inner = _unwrapped(error)
        if inner is None:
            break
        error = inner
    return (whole(str(error)).strip() if error else "") or "no reason was given"


def _unwrapped(error: Any) -> Any:
    if isinstance(error, dict):
        return next((error[name] for name in ("message", "error", "detail") if error.get(name)), None)
    if not isinstance(error, str) or "{" not in error:
        return None
    try:
        return json.loads(error[error.index("{") :])
    except (ValueError, RecursionError):
        return None


_VIOLATION = "approval payloads are not allowed"


def is_not_pending(frame: InputAccepted) -> bool:
    """Whether the device says that it no longer waits for what it was given."""
    return not frame.accepted and "no longer pending" in (frame.error or "")


def refuses_posted_approvals(delta: Delta) -> bool:
    """Whether the device says that an approval reached it in the form of a message, and was dropped."""
    return delta.message_type == "loop_error" and _VIOLATION in str(delta.message)
