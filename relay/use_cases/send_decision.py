"""A decision leaves: by the messages endpoint, or, where that took no effect, over the status sockets."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from types import MappingProxyType
from typing import Any

from relay.domain.approvals import Approval, Decision
from relay.domain.deliveries import Kind
from relay.store.transaction import Transaction
from relay.use_cases.cards import refresh_cards
from relay.use_cases.counting import count_decision, outcome_of


def send_decision(
    tx: Transaction, approval: Approval, decision: Decision, now: datetime, *, outcome: str = ""
) -> None:
    """Have a recorded decision delivered and every card say so.

    `outcome` is what is counted where the decision does not say it.
    """
    count_decision(tx, approval, outcome or outcome_of(decision), now)
    # Its own key: a decision never waits behind a message, nor behind another decision.
    _add(tx, Kind.DECISION, f"decision/{approval.id}", approval, decision, now)
    refresh_cards(tx, approval.id, now)
    tx.record(
        approval.team_id, now, "decision.recorded", actor=decision.user_id, subject=approval.id,
        facts={"approve": decision.approve, "shown_hash": approval.shown_hash, **_how(decision)},
    )  # fmt: skip


def answer_by_socket(
    tx: Transaction, approval: Approval, decision: Decision, now: datetime, *, dropped: bool = False
) -> None:
    """Have a decision given once more, over the status sockets.

    `dropped`: the device said that it dropped what was posted, so that this answer alone can count.
    """
    _add(
        tx,
        Kind.ANSWER,
        f"answer/{approval.id}",
        approval,
        decision,
        now,
        {"dropped": True} if dropped else {},
    )
    tx.record(approval.team_id, now, "decision.answered_by_socket", subject=approval.id)


def _add(
    tx: Transaction,
    kind: Kind,
    ordering_key: str,
    approval: Approval,
    decision: Decision,
    now: datetime,
    more: Mapping[str, Any] = MappingProxyType({}),
) -> None:
    tx.deliveries.add(
        kind,
        team_id=approval.team_id,
        ordering_key=ordering_key,
        subject_id=approval.id,
        environment=approval.asked.environment,
        body={**_body(approval, decision), **more},
        now=now,
    )


def _how(decision: Decision) -> dict[str, Any]:
    """Return what the audit says of a decision besides yes or no: none of its words."""
    how = {
        "by": list(decision.by),
        "reason_length": len(decision.in_words),
        "rule": decision.rule,
        "changed": decision.updated_input is not None,
        "returned": decision.returned is not None,
        "stop": decision.stop,
        "suggestions": len(decision.suggestions),  # an id can be a text with the input in it
    }
    return {name: value for name, value in how.items() if value}


def _body(approval: Approval, decision: Decision) -> dict[str, Any]:
    asked = approval.asked
    body: dict[str, Any] = {
        "agent_id": asked.agent_id,
        "conversation_id": asked.conversation_id,
        "tool_call_id": asked.tool_call_id,
        "approve": decision.approve,
        "reason": decision.reason,
    }
    if decision.updated_input is not None:
        body["updated_input"] = dict(decision.updated_input)
    if decision.returned is not None:
        body["returned"] = asdict(decision.returned)
    if decision.suggestions:
        body["suggestions"] = list(decision.suggestions)
    return body
