"""A decision leaves: by the messages endpoint, or, where that took no effect, over the status sockets."""

from datetime import datetime
from typing import Any

from relay.domain.approvals import Approval, Decision
from relay.domain.deliveries import Kind
from relay.store.transaction import Transaction
from relay.use_cases.cards import refresh_cards


def send_decision(tx: Transaction, approval: Approval, decision: Decision, now: datetime) -> None:
    """Have a recorded decision delivered and every card say so."""
    # Its own key: a decision never waits behind a message, nor behind another decision.
    _add(tx, Kind.DECISION, f"decision/{approval.id}", approval, decision, now)
    refresh_cards(tx, approval.id, now)
    tx.record(
        approval.team_id, now, "decision.recorded", actor=decision.user_id, subject=approval.id,
        facts={"approve": decision.approve, "input_hash": approval.input_hash},
    )  # fmt: skip


def answer_by_socket(tx: Transaction, approval: Approval, decision: Decision, now: datetime) -> None:
    """Have a decision given once more, over the status sockets."""
    _add(tx, Kind.ANSWER, f"answer/{approval.id}", approval, decision, now)
    tx.record(approval.team_id, now, "decision.answered_by_socket", subject=approval.id)


def _add(
    tx: Transaction, kind: Kind, ordering_key: str, approval: Approval, decision: Decision, now: datetime
) -> None:
    tx.deliveries.add(
        kind,
        team_id=approval.team_id,
        ordering_key=ordering_key,
        subject_id=approval.id,
        environment=approval.asked.environment,
        body=_body(approval, decision),
        now=now,
    )


def _body(approval: Approval, decision: Decision) -> dict[str, Any]:
    asked = approval.asked
    return {
        "agent_id": asked.agent_id,
        "conversation_id": asked.conversation_id,
        "tool_call_id": asked.tool_call_id,
        "approve": decision.approve,
        "reason": decision.reason,
    }
