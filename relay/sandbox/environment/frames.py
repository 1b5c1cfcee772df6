"""The shapes a device puts on the wire, restated from recordings; nothing here keeps state."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from relay.sandbox.environment.script import Json, UserMessage, UseTool

PROTOCOL_VIOLATION = (
    "Protocol violation: approval payloads are not allowed in input.kind=create_message. "
    "Use input.kind=approval_response."
)
NOT_PENDING = "Approval request is no longer pending"


def now() -> str:
    """The present moment as the device writes it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def compact(value: Any) -> str:
    """JSON as the device writes tool arguments."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def loop_status(
    status: str, active: Sequence[str], by_run: dict[str, list[str]], executing: Sequence[str]
) -> Json:
    """What the agent's loop does; the map of runs is left out until there is one."""
    body: Json = {"status": status, "active_run_ids": list(active)}
    if by_run:
        body["client_message_ids_by_run_id"] = {run: list(ids) for run, ids in by_run.items()}
    body["executing_tool_call_ids"] = list(executing)
    return {"type": "update_loop_status", "loop_status": body}


def device_status(mode: str, pending: Sequence[Json], *, processing: bool, online: bool = True) -> Json:
    """What the device is doing, with every request that waits for a person."""
    body = {
        "is_online": online,
        "is_processing": processing,
        "current_permission_mode": mode,
        "pending_control_requests": list(pending),
    }
    return {"type": "update_device_status", "device_status": body}


def waiting_messages(items: Sequence[Json], removed: Sequence[Json] = ()) -> Json:
    """The messages held while a turn runs."""
    return {"type": "update_queue", "queue": list(items), "removed": list(removed)}


def delta(body: Json) -> Json:
    """One piece of a turn."""
    return {"type": "stream_delta", "delta": body}


def lifecycle(message_type: str, **fields: Any) -> Json:
    """A delta the device itself makes, outside any model message."""
    return delta({"id": f"lifecycle-{uuid4()}", "date": now(), "message_type": message_type, **fields})


def classification(run_id: str, allowed: Sequence[str], asked: Sequence[str]) -> Json:
    """Which calls of a run need a person."""
    return lifecycle(
        "approval_classification_end",
        run_id=run_id,
        auto_allowed_tool_call_ids=list(allowed),
        auto_denied_tool_call_ids=[],
        user_input_tool_call_ids=list(asked),
    )


def usage() -> Json:
    """Token counts of one model answer."""
    return {
        "prompt_tokens": 100,
        "completion_tokens": 10,
        "total_tokens": 110,
        "cached_input_tokens": 0,
        "cache_write_tokens": 0,
        "reasoning_tokens": 0,
        "context_tokens": 110,
    }


def permission(call: UseTool, tool_call_id: str) -> Json:
    """The request a person answers, as it stands in the pending list."""
    body: Json = {
        "subtype": "can_use_tool",
        "tool_name": call.name,
        "input": call.input,
        "tool_call_id": tool_call_id,
        "permission_suggestions": _suggestions(call),
        "blocked_path": None,
    }
    if call.diffs is not None:
        body["diffs"] = call.diffs
    return {"request_id": f"perm-{tool_call_id}", "request": body}


def _suggestions(call: UseTool) -> list[Json]:
    if call.suggestions is not None:
        return call.suggestions
    subject = str(call.input.get("command", call.name))
    shown = subject if len(subject) <= 40 else subject[:40] + "..."
    return [{"id": "save-default", "text": f"Yes, and don't ask again for '{shown}' in this project"}]


def tool_return(
    delta_id: str, run_id: str, tool_call_id: str, status: str, text: str, streamed: bool = False
) -> Json:
    """A tool's result; the streamed form comes first, trimmed, with the output by lines."""
    shown = text.rstrip("\n") if streamed else text
    entry: Json = {"tool_call_id": tool_call_id, "status": status, "tool_return": shown}
    if streamed:
        entry["stdout"] = shown.splitlines()
    return delta(
        {
            "type": "message",
            "message_type": "tool_return_message",
            "id": delta_id,
            "date": now(),
            "run_id": run_id,
            "status": status,
            "tool_call_id": tool_call_id,
            "tool_return": shown,
            "tool_returns": [entry],
        }
    )


def queued_user_message(message: UserMessage) -> Json:
    """A message that had been held, shown when its turn comes."""
    return delta(
        {
            "type": "message",
            "id": f"user-msg-{uuid4()}",
            "date": now(),
            "message_type": "user_message",
            "content": message.content,
            "otid": message.otid or message.client_message_id,
        }
    )


def wrapped_error(message: str, run_id: str) -> str:
    """A model failure as the device words it in loop errors and at the end of the turn."""
    inner = {"type": "local_backend_error", "message": message, "detail": message}
    return json.dumps({"error": {"error": inner, "run_id": run_id}}, indent=2, ensure_ascii=False)


def model_error(message: str, run_id: str, terminal_for: Sequence[str] | None = None) -> Json:
    """One of the two loop errors of a model failure: terminal when it names the messages it ends."""
    fields: Json = {
        "run_id": run_id,
        "message": wrapped_error(message, run_id),
        "stop_reason": "error",
        "is_terminal": terminal_for is not None,
    }
    if terminal_for is not None:
        fields["client_message_ids"] = list(terminal_for)
    fields["api_error"] = {
        "message_type": "error_message",
        "message": message,
        "error_type": "local_backend_error",
        "run_id": run_id,
        "detail": message,
    }
    return lifecycle("loop_error", **fields)


def turn_finished(stop_reason: str, run_id: str | None, error: str | None = None) -> Json:
    """The end of a turn."""
    frame: Json = {"type": "turn_finished", "turn_id": f"turn-{uuid4()}", "stop_reason": stop_reason}
    if run_id is not None:
        frame["run_id"] = run_id
    if error is not None:
        frame["error"] = error
    return frame
