"""The policy has changed while requests wait: they are asked by the present one from now on."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from relay.domain.approvals import Approval, Decision, State
from relay.domain.rules import Action, Ask, Ruling
from relay.domain.runtime import Runtime
from relay.store.transaction import Transaction
from relay.use_cases.asking_others import ask_others
from relay.use_cases.cards import refresh_cards
from relay.use_cases.open_approval import Audience
from relay.use_cases.rulings import present_ask, ruling_of
from relay.use_cases.send_decision import send_decision

AT_ONCE = 100  # in one transaction


def apply_policy(
    tx: Transaction,
    audience_of: Callable[[Transaction, Runtime], Audience],
    now: datetime,
    most: int = AT_ONCE,
    after: str = "",
) -> str:
    """Rule anew up to `most` undecided requests behind `after`; return the last's id, empty at the end.

    Another ask takes the place of the one that was kept, and people are asked by it; what is denied now is
    decided. What would now be allowed goes on waiting for people: nothing runs because a relay was started.
    """
    found = tx.approvals.undecided(most, after)
    for approval in map(tx.approvals.readable, found):
        if approval is None:
            continue
        asked = approval.asked
        audience = audience_of(tx, Runtime(asked.environment, asked.agent_id, asked.conversation_id))
        if approval.team_id == audience.team_id:
            _rule(tx, approval, audience, now)
    return found[-1] if len(found) == most else ""


def _rule(tx: Transaction, approval: Approval, audience: Audience, now: datetime) -> None:
    ruling = ruling_of(audience.policy, approval, approval.present_input)
    if ruling.action is Action.DENY:
        _deny(tx, approval, ruling, now)
    elif ruling.action is Action.ASK and ruling.ask is not None:
        ask = present_ask(approval, ruling.ask)
        # Compared as it is kept: what JSON makes of it is the same for both.
        if ask.written() != approval.ask.written():
            _ask_by(tx, approval, ask, audience.places, now)


def _deny(tx: Transaction, approval: Approval, ruling: Ruling, now: datetime) -> None:
    _record(tx, approval, "deny", ruling.rule, now)
    tx.approvals.change(approval.id, {"state": State.PENDING})  # an expired one is as undecided
    reason = ruling.reason or f"Denied by the rule {ruling.rule}."
    decision = Decision(approve=False, reason=reason, user_id="", decided_at=now, rule=ruling.rule)
    if tx.approvals.decide(approval, decision):
        send_decision(tx, approval, decision, now)


def _ask_by(tx: Transaction, approval: Approval, ask: Ask, routed: tuple[str, ...], now: datetime) -> None:
    _withdraw_votes(tx, approval, ask)
    tx.approvals.change(approval.id, {"ask": ask.written()})
    ask_others(tx, replace(approval, ask=ask), approval.ask, now, routed)
    refresh_cards(tx, approval.id, now)
    _record(tx, approval, "ask", ask.rule, now)


def _withdraw_votes(tx: Transaction, approval: Approval, ask: Ask) -> None:
    """Keep the votes of those alone who surely may still vote: nobody is looked up here."""
    voters = {vote.user_id for vote in tx.votes.of(approval.id)}
    wider = ask.approvers.everybody or (approval.ask.approvers | ask.approvers) == ask.approvers
    kept = voters if wider else voters & ask.approvers.users
    if not ask.requester_may_approve:
        kept = kept - set(approval.requesters)
    tx.votes.withdraw(approval.id, voters - kept)


def _record(tx: Transaction, approval: Approval, action: str, rule: str, now: datetime) -> None:
    facts = {"action": action, "rule": rule, "was": approval.ask.rule}
    tx.record(approval.team_id, now, "approval.ruled_anew", subject=approval.id, facts=facts)
