"""An approval request as a row, and back."""

from dataclasses import asdict
from typing import Any

from relay.domain.approvals import Approval, Asked, Decision, Returned, State
from relay.domain.rules import Ask


def written(approval: Approval) -> dict[str, Any]:
    """Return the row of a request."""
    asked = approval.asked
    return {
        "id": approval.id,
        "team_id": approval.team_id,
        "environment": asked.environment,
        "agent_id": asked.agent_id,
        "conversation_id": asked.conversation_id,
        "tool_call_id": asked.tool_call_id,
        "input_hash": approval.input_hash,
        "occurrence": approval.occurrence,
        "tool_name": asked.tool_name,
        "tool_input": dict(asked.tool_input),
        "diffs": list(asked.diffs),
        "words": asked.words,
        "suggestions": [dict(one) for one in asked.suggestions],
        "requesters": list(approval.requesters),
        "message_id": approval.message_id,
        "state": approval.state,
        **of_decision(approval.decision),
        "epoch": approval.epoch,
        "event_seq": approval.event_seq,
        "gone_at": approval.gone_at,
        "sent": approval.sent,
        "note": approval.note,
        "created_at": approval.created_at,
        "revision": approval.revision,
        "ask": approval.ask.written(),
        "channels": list(approval.channels),
        "code": approval.code,
        "shown_hash": approval.shown_hash,
        "edited_input": approval.edited_input,
        "edited_by": approval.edited_by,
        "expires_at": approval.expires_at,
        "nudge_at": approval.nudge_at,
        "nudges": approval.nudges,
        "escalated": approval.escalated,
        "silent_since": approval.silent_since,
        "snoozed_until": approval.snoozed_until,
        "snoozed_by": approval.snoozed_by,
    }


def of_decision(decision: Decision | None) -> dict[str, Any]:
    """Return the columns of a decision."""
    if decision is None:
        return dict.fromkeys(("approve", "reason", "decided_by", "decided_at", "decision"))
    more = {
        "updated_input": decision.updated_input,
        "returned": asdict(decision.returned) if decision.returned else None,
        "by": list(decision.by),
        "rule": decision.rule,
        "stop": decision.stop,
        "suggestions": list(decision.suggestions),
    }
    return {
        "approve": decision.approve,
        "reason": decision.reason,
        "decided_by": decision.user_id,
        "decided_at": decision.decided_at,
        "decision": {name: value for name, value in more.items() if value or value == {}},
    }


def read(row: Any) -> Approval:
    """Return the request of a row."""
    return Approval(
        id=row.id,
        team_id=row.team_id,
        asked=_asked(row),
        input_hash=row.input_hash,
        occurrence=row.occurrence,
        state=State(row.state),
        decision=None if row.approve is None else _decision(row),
        requesters=tuple(row.requesters),
        message_id=row.message_id,
        epoch=row.epoch,
        event_seq=row.event_seq,
        gone_at=row.gone_at,
        sent=row.sent,
        note=row.note,
        created_at=row.created_at,
        revision=row.revision,
        ask=Ask.read(row.ask) if row.ask else Ask(),
        channels=tuple(row.channels),
        code=row.code,
        shown_hash=row.shown_hash,
        edited_input=row.edited_input,
        edited_by=row.edited_by,
        expires_at=row.expires_at,
        nudge_at=row.nudge_at,
        nudges=row.nudges,
        escalated=row.escalated,
        silent_since=row.silent_since,
        snoozed_until=row.snoozed_until,
        snoozed_by=row.snoozed_by,
        removed=row.tool_input is None,
    )


def _asked(row: Any) -> Asked:
    return Asked(
        environment=row.environment,
        agent_id=row.agent_id,
        conversation_id=row.conversation_id,
        tool_call_id=row.tool_call_id,
        tool_name=row.tool_name,
        tool_input=row.tool_input or {},  # null: its texts were removed
        diffs=tuple(row.diffs),
        words=row.words,
        suggestions=tuple(row.suggestions),
    )


def _decision(row: Any) -> Decision:
    more = row.decision or {}
    return Decision(
        approve=row.approve,
        reason=row.reason,
        user_id=row.decided_by,
        decided_at=row.decided_at,
        updated_input=more.get("updated_input"),
        returned=Returned(**more["returned"]) if more.get("returned") else None,
        by=tuple(more.get("by", ())),
        rule=more.get("rule", ""),
        stop=more.get("stop", False),
        suggestions=tuple(more.get("suggestions", ())),
    )
