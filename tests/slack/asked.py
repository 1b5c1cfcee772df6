"""Approval requests and messages to render."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from relay.domain.approvals import Approval, Asked, Decision, State
from relay.store.messages import Message

NOON = datetime(2026, 11, 3, 12, tzinfo=UTC)
APPROVED = Decision(approve=True, reason="", user_id="U0GRACE", decided_at=NOON)
DENIED = Decision(approve=False, reason="Denied by grace in Slack.", user_id="U0GRACE", decided_at=NOON)

ASKED = Asked(
    environment="workshop",
    agent_id="agent-1",
    conversation_id="default",
    tool_call_id="call_1_0",
    tool_name="Bash",
    tool_input={"command": "make release", "description": "Builds the release"},
    diffs=(),
    words="I will build it now.",
)


def approval(state: State = State.PENDING, decision: Decision | None = None, **changed: Any) -> Approval:
    """Return a request; whatever names a field of the tool call or of the request is changed."""
    about = {name: changed.pop(name) for name in list(changed) if name in Asked.__dataclass_fields__}
    whole = Approval(
        id="apr_0190",
        team_id="T0HOME",
        asked=replace(ASKED, **about),
        input_hash="0123456789abcdef0123456789abcdef",
        occurrence=1,
        state=state,
        decision=decision,
        requesters=("U0ADA",),
        message_id="msg_0190",
        epoch="e1",
        event_seq=1,
        gone_at=None,
        sent=decision is not None,
        note="",
        created_at=NOON,
        revision=1,
    )
    return replace(whole, **changed)


def calling(tool_input: Mapping[str, Any], **changed: Any) -> Approval:
    """Return a pending request with this input."""
    return approval(tool_input=tool_input, **changed)


def message(state: str = "queued", **changed: Any) -> Message:
    """Return a person's message."""
    whole = Message(
        id="msg_0190",
        team_id="T0HOME",
        environment="workshop",
        agent_id="agent-1",
        conversation_id="default",
        channel_id="C0OPS",
        user_id="U0ADA",
        text="please build the release",
        response_url=None,
        place="thread",
        thread_ts="1.0",
        state=state,
        note="",
        status_ts=None,
        created_at=NOON,
        settled_at=NOON,
        turn_ended=False,
    )
    return replace(whole, **changed)
