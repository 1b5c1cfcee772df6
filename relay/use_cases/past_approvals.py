"""Past requests, as a policy would see them again, and what became of them."""

from datetime import datetime
from typing import Any

from relay.domain.approvals import Approval
from relay.store.transaction import Transaction

PAGE = 100


def past_approvals(tx: Transaction, since: datetime, after_id: str, most: int = PAGE) -> dict[str, Any]:
    """Return the next requests made `since`, oldest first, and after which one there may be more.

    Of those whose inputs were removed only the number is told: no rule can be tried on them.
    """
    found = tx.approvals.past(since, after_id, most)
    after = found[-1].id if len(found) == most else ""
    kept = [_written(approval) for approval in found if not approval.removed]
    return {"approvals": kept, "removed": len(found) - len(kept), "after": after}


def _written(approval: Approval) -> dict[str, Any]:
    action, rule = _ruled(approval)
    return {
        "id": approval.id,
        "team_id": approval.team_id,
        "created_at": approval.created_at.isoformat(timespec="milliseconds"),
        "environment": approval.asked.environment,
        "channels": list(approval.channels),
        "requesters": list(approval.requesters),
        "tool_name": approval.asked.tool_name,
        "tool_input": dict(approval.asked.tool_input),
        "action": action,
        "rule": rule,
        "ask": approval.ask.written(),
    }


def _ruled(approval: Approval) -> tuple[str, str]:
    """Return what was done with it, and by which rule; what a grant or silence decided had been asked."""
    decision, asked_by = approval.decision, approval.ask.rule
    at_once = decision is not None and not decision.user_id and decision.decided_at <= approval.created_at
    if decision is None or not at_once or decision.rule != asked_by:
        return "ask", asked_by
    return "allow" if decision.approve else "deny", asked_by
