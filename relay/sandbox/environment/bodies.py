"""The documented shape of POST …/messages, checked as the router checks it."""

from typing import Any

Problem = dict[str, Any]


def problems(body: Any) -> list[Problem]:
    """Everything wrong with a body; empty when it has the documented shape."""
    if not isinstance(body, dict):
        return [_problem("", "Input should be a valid object")]
    found = [
        _problem(name, "Input should be a valid string")
        for name in ("agentId", "conversationId")
        if body.get(name) is not None and not isinstance(body[name], str)
    ]
    messages = body.get("messages")
    if not isinstance(messages, list):
        return [*found, _problem("messages", "Input should be a valid list")]
    for index, message in enumerate(messages):
        found += _message_problems(message, f"messages.{index}")
    return found


def _message_problems(message: Any, where: str) -> list[Problem]:
    if not isinstance(message, dict):
        return [_problem(where, "Input should be a valid object")]
    if message.get("type") == "approval":
        approvals = message.get("approvals")
        if not isinstance(approvals, list) or not approvals:
            return [_problem(f"{where}.approvals", "Input should be a list with at least one entry")]
        return [
            p for i, entry in enumerate(approvals) for p in _entry_problems(entry, f"{where}.approvals.{i}")
        ]
    found = [] if message.get("role") == "user" else [_problem(f"{where}.role", "Input should be 'user'")]
    found += _not_text(message, "client_message_id", where)
    if "otid" in message:
        found += _not_text(message, "otid", where)
    if not _is_content(message.get("content")):
        found.append(_problem(f"{where}.content", "Input should be a string or a list of text parts"))
    return found


def _entry_problems(entry: Any, where: str) -> list[Problem]:
    if not isinstance(entry, dict):
        return [_problem(where, "Input should be a valid object")]
    found = _not_text(entry, "tool_call_id", where)
    if "approve" in entry:
        return found + _decision_problems(entry, where)
    if entry.get("status") not in ("success", "error"):
        found.append(_problem(f"{where}.status", "Input should be 'success' or 'error'"))
    if not _is_content(entry.get("tool_return")):
        found.append(_problem(f"{where}.tool_return", "Input should be a string or a list of text parts"))
    for name in ("stdout", "stderr"):
        if not _is_optional_lines(entry.get(name)):
            found.append(_problem(f"{where}.{name}", "Input should be a list of strings"))
    return found


def _decision_problems(entry: dict[str, Any], where: str) -> list[Problem]:
    found = []
    if not isinstance(entry["approve"], bool):
        found.append(_problem(f"{where}.approve", "Input should be a valid boolean"))
    if entry.get("reason") is not None and not isinstance(entry["reason"], str):
        found.append(_problem(f"{where}.reason", "Input should be a valid string"))
    if entry.get("updated_input") is not None and not isinstance(entry["updated_input"], dict):
        found.append(_problem(f"{where}.updated_input", "Input should be a valid object"))
    if entry.get("type", "approval") != "approval":
        found.append(_problem(f"{where}.type", "Input should be 'approval'"))
    return found


def _is_content(value: Any) -> bool:
    if isinstance(value, str):
        return True
    return isinstance(value, list) and all(
        isinstance(part, dict) and part.get("type") == "text" and isinstance(part.get("text"), str)
        for part in value
    )


def _is_optional_lines(value: Any) -> bool:
    return value is None or (isinstance(value, list) and all(isinstance(line, str) for line in value))


def _not_text(value: dict[str, Any], name: str, where: str) -> list[Problem]:
    if isinstance(value.get(name), str):
        return []
    return [_problem(f"{where}.{name}", "Input should be a valid string")]


def _problem(where: str, message: str) -> Problem:
    return {"loc": ["body", *where.split(".")] if where else ["body"], "msg": message, "type": "value_error"}
