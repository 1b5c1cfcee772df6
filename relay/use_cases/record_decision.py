"""Somebody pressed Approve or Deny."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from relay.domain.approvals import Approval, Decision, State, wordless_denial
from relay.domain.people import Person
from relay.domain.policy import Rights, may_decide
from relay.domain.text import plain_name
from relay.store.transaction import Transaction
from relay.use_cases.cards import refresh_cards, refresh_copy
from relay.use_cases.send_decision import send_decision
from relay.use_cases.whisper import Listener, Sentence, whisper


@dataclass(frozen=True)
class Click:
    """A press of a button: who pressed, and what the button said it was for."""

    person: Person
    listener: Listener
    key: str
    approval_id: str
    tool_call_id: str
    input_hash: str
    message_ts: str | None


def record_decision(tx: Transaction, click: Click, rights: Rights, now: datetime, *, approve: bool) -> bool:
    """Decide the request, once, if the person may and the card showed what is asked.

    Return whether this click decided. Whoever did not is told why, in private.
    """
    team_id = click.listener.team_id
    if not tx.first_time(team_id, click.key, now):
        return False
    approval = tx.approvals.get(click.approval_id)
    if approval is None or approval.team_id != team_id:
        whisper(tx, click.listener, Sentence.UNKNOWN_CARD, now)
        return False
    own_card = _learn_copy(tx, approval, click, now)
    refusal = _refusal(approval, click, rights, own_card=own_card)
    if refusal is None and tx.approvals.decide(approval, _decision(click, now, approve=approve)):
        send_decision(tx, approval, _decision(click, now, approve=approve), now)
        return True
    sentence, facts = refusal or (Sentence.NOT_PENDING, {})
    whisper(tx, click.listener, sentence, now, {**facts, "approval_id": approval.id})
    refresh_cards(tx, approval.id, now)
    tx.record(
        team_id, now, "decision.refused", actor=click.person.user_id, subject=approval.id,
        facts={"approve": approve, "why": sentence, "standing": click.person.standing, **facts},
    )  # fmt: skip
    return False


def _refusal(
    approval: Approval, click: Click, rights: Rights, *, own_card: bool
) -> tuple[Sentence, dict[str, Any]] | None:
    verdict = may_decide(rights, click.person)
    if not verdict.allowed:
        return Sentence.MAY_NOT_DECIDE, {"reason": verdict.reason}
    if approval.state is not State.PENDING:
        return Sentence.NOT_PENDING, {}
    shown = (click.tool_call_id, click.input_hash)
    if not own_card or shown != (approval.asked.tool_call_id, approval.input_hash):
        return Sentence.CARD_OUTDATED, {}
    return None


def _decision(click: Click, now: datetime, *, approve: bool) -> Decision:
    reason = "" if approve else wordless_denial(plain_name(click.person.name) or click.person.user_id)
    return Decision(approve, reason, click.person.user_id, now)


def _learn_copy(tx: Transaction, approval: Approval, click: Click, now: datetime) -> bool:
    """Know a card again that was posted but not remembered before a crash: its button names it.

    Return whether the button may stand where it was pressed: False on another request's card.
    """
    place = (click.listener.channel_id, click.message_ts or "")
    if not all(place):
        return True
    copies = tx.approvals.copies(approval.id)
    if any((copy.channel_id, copy.ts) == place for copy in copies):
        return True
    if tx.approvals.copy_at(*place) is not None:
        return False
    lost = next((copy for copy in copies if copy.ts is None and copy.places[:1] == place[:1]), None)
    if lost is not None:
        tx.approvals.change_copy(lost.id, {"channel_id": place[0], "ts": place[1]})
    else:
        copy_id = tx.approvals.add_copy(approval, (), now, channel_id=place[0], ts=place[1])
        refresh_copy(tx, copy_id, approval.team_id, now)
    return True
