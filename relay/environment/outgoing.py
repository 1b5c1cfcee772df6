"""What relay says on an environment's sockets, with no carrier."""

from collections.abc import Mapping, Sequence
from typing import Any

PING = {"type": "ping"}


def ack(seq: int) -> dict[str, Any]:
    """Return the acknowledgement of a frame with `seq`, for the socket it came on."""
    return {"type": "ack", "seq": seq}


def approval_response(
    request_id: str,
    agent_id: str,
    conversation_id: str,
    tool_call_id: str,
    *,
    approve: bool,
    reason: str,
    updated_input: Mapping[str, Any] | None = None,
    suggestions: Sequence[str] = (),
) -> dict[str, Any]:
    """Return the frame that decides a tool call over the socket; a denial's message must be a text.

    What a person returned who ran the tool themselves has no form here: the message of a denial carries it.
    """
    decision: dict[str, Any] = {"behavior": "allow" if approve else "deny"}
    if reason or not approve:
        decision["message"] = reason
    if updated_input is not None:
        decision["updated_input"] = dict(updated_input)
    if suggestions:
        decision["selected_permission_suggestion_ids"] = list(suggestions)
    return {
        "type": "input",
        "request_id": request_id,
        "runtime": {"agent_id": agent_id, "conversation_id": conversation_id},
        "payload": {"kind": "approval_response", "request_id": f"perm-{tool_call_id}", "decision": decision},
    }


def create_message(
    request_id: str, agent_id: str, conversation_id: str, message: dict[str, Any]
) -> dict[str, Any]:
    """Return the frame that hands over a person's message, where there is no endpoint to post it to."""
    return {
        "type": "input",
        "request_id": request_id,
        "runtime": {"agent_id": agent_id, "conversation_id": conversation_id},
        "payload": {"kind": "create_message", "messages": [message]},
    }


def runtime_start(request_id: str, agent_id: str, conversation_id: str, version: str) -> dict[str, Any]:
    """Return the frame that asks for the state of a runtime and for a replay of what it waits for."""
    return {
        "type": "runtime_start",
        "request_id": request_id,
        "agent_id": agent_id,
        "conversation_id": conversation_id,
        "recover_approvals": True,
        "force_device_status": True,
        "client_info": {"name": "relay", "title": "Slack relay", "version": version},
    }


def sync(request_id: str, agent_id: str, conversation_id: str) -> dict[str, Any]:
    """Return the frame that asks for the state once more, as after a gap in what was told."""
    return {
        "type": "sync",
        "request_id": request_id,
        "runtime": {"agent_id": agent_id, "conversation_id": conversation_id},
        "recover_approvals": True,
        "force_device_status": True,
    }


def messages_list(request_id: str, agent_id: str, conversation_id: str, before: str = "") -> dict[str, Any]:
    """Return the frame that asks for what was said in a conversation, newest first, older than `before`."""
    frame = {
        "type": "conversation_messages_list",
        "request_id": request_id,
        "agent_id": agent_id,
        "conversation_id": conversation_id,
    }
    return {**frame, "query": {"before": before}} if before else frame


def conversation(request_id: str, agent_id: str) -> dict[str, Any]:
    """Return the frame that makes a conversation, where there is no endpoint to ask for one."""
    return {"type": "conversation_create", "request_id": request_id, "body": {"agent_id": agent_id}}


def abort(request_id: str, agent_id: str, conversation_id: str) -> dict[str, Any]:
    """Return the frame that stops the running turn with what it asks."""
    return {
        "type": "abort_message",
        "request_id": request_id,
        "runtime": {"agent_id": agent_id, "conversation_id": conversation_id},
    }
