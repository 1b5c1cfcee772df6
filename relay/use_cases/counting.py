"""How requests end, for whoever counts: told once it is durable, and without names."""

from datetime import datetime

from relay.domain.approvals import Approval, Decision
from relay.store.transaction import Transaction

EXPIRED = "expired"
OUTCOMES = ("approved", "denied", "changed", "ran_it", "by_rule", "no_place", EXPIRED)


def count_decision(tx: Transaction, approval: Approval, outcome: str, now: datetime) -> None:
    """Have the end of a request counted, and how long it was since it was asked."""
    tx.seen("decisions", outcome=outcome)
    tx.seen("decision_seconds", (now - approval.created_at).total_seconds(), outcome=outcome)


def outcome_of(decision: Decision) -> str:
    """Return in one word how a request was decided."""
    if not decision.user_id:
        return "by_rule" if decision.rule else "no_place"
    if decision.returned is not None:
        return "ran_it"
    if not decision.approve:
        return "denied"
    return "approved" if decision.updated_input is None else "changed"
