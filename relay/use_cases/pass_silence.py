"""Nobody answers: people are reminded, others are asked, and in the end the rule says what happens."""

from dataclasses import replace
from datetime import datetime
from typing import Any

from relay.domain import silence
from relay.domain.approvals import Approval, Decision, State
from relay.domain.rules import Silence
from relay.domain.silence import Clock, Step
from relay.store.transaction import Transaction
from relay.use_cases.cards import refresh_cards, refresh_copy
from relay.use_cases.counting import EXPIRED, count_decision
from relay.use_cases.remind import Why, call_people, shared_copy
from relay.use_cases.send_decision import send_decision

AT_ONCE = 100  # in one transaction: whoever clicks meanwhile waits for no more


def pass_silence(tx: Transaction, now: datetime, most: int = AT_ONCE) -> int:
    """Do what silence leads to by `now`, the longest due first; return how many requests were looked at."""
    found = tx.approvals.silent(now, most)
    for approval_id in found:
        approval = tx.approvals.readable(approval_id)
        if approval is None:
            tx.approvals.look_at(approval_id, None)
        else:
            _look(tx, approval, now)
    return len(found)


def after_start(tx: Transaction, now: datetime, most: int = AT_ONCE, after: str = "") -> str:
    """Let nothing be denied by silence in the first moments: while the relay was away nobody could answer.

    Takes up to `most` requests behind `after` and returns the last one's id, empty after the last.
    """
    found = tx.approvals.over_by(now + silence.HEARING, most, after)
    for approval in map(tx.approvals.readable, found):
        if approval is not None and approval.ask.on_silence is Silence.DENY:
            set_clock(tx, approval, silence.kept_open(silence.clock_of(approval), now))
            refresh_cards(tx, approval.id, now)
    return found[-1] if len(found) == most else ""


def set_clock(tx: Transaction, approval: Approval, clock: Clock, **more: Any) -> Approval:
    """Keep how long a request has met with silence, and what else changed; return it as it is now."""
    ask = more.get("ask", approval.ask)
    values = {
        "silent_since": clock.since,
        "expires_at": clock.expires_at,
        "nudges": clock.nudges,
        "snoozed_until": clock.snoozed_until,
        "nudge_at": silence.next_look(ask, clock),
        **more,
    }
    written = {"ask": ask.written()} if "ask" in more else {}
    tx.approvals.change(approval.id, {**values, **written})
    return replace(approval, **values)


def _look(tx: Transaction, approval: Approval, now: datetime) -> None:
    clock = silence.clock_of(approval)
    pending = approval.state is State.PENDING
    step = silence.due(approval.ask, clock, now, escalated=approval.escalated) if pending else None
    if step is Step.DENY and not _was_shown(tx, approval):
        set_clock(tx, approval, silence.kept_open(replace(clock, expires_at=now), now))
    elif step is None:
        tx.approvals.look_at(approval.id, silence.next_look(approval.ask, clock) if pending else None)
    else:
        _STEPS[step](tx, approval, clock, now)


def _was_shown(tx: Transaction, approval: Approval) -> bool:
    """Return whether a card of it stands anywhere: nobody is silent about what they cannot see."""
    return any(copy.ts is not None for copy in tx.approvals.copies(approval.id))


def _remind(tx: Transaction, approval: Approval, clock: Clock, now: datetime) -> None:
    approval = set_clock(tx, approval, silence.reminded(approval.ask, clock, now))
    call_people(tx, approval, Why.REMIND, now)
    refresh_cards(tx, approval.id, now)
    _record(tx, approval, "reminded", now, {"nudges": approval.nudges})


def _expire(tx: Transaction, approval: Approval, _: Clock, now: datetime) -> None:
    tx.approvals.change(approval.id, {"state": State.EXPIRED, "nudge_at": None})
    count_decision(tx, approval, EXPIRED, now)
    refresh_cards(tx, approval.id, now)
    _record(tx, approval, "expired", now, {"nudges": approval.nudges, "escalated": approval.escalated})


def _deny(tx: Transaction, approval: Approval, _: Clock, now: datetime) -> None:
    reason = silence.too_late(approval.ask)
    decision = Decision(approve=False, reason=reason, user_id="", decided_at=now, rule=approval.ask.rule)
    if tx.approvals.decide(approval, decision):
        _record(tx, approval, "expired", now, {"nudges": approval.nudges, "denied": True})
        send_decision(tx, approval, decision, now, outcome=EXPIRED)


def _escalate(tx: Transaction, approval: Approval, _: Clock, now: datetime) -> None:
    """Ask others as well, who get as long as the first had."""
    ask = approval.ask
    ask = replace(ask, approvers=ask.approvers | ask.escalate_to)
    approval = set_clock(tx, approval, silence.started(ask, now), ask=ask, escalated=True)
    copies = tx.approvals.copies(approval.id)
    # A group is called in the thread of a card; where nobody else reads one, its members get their own.
    others = ask.escalate_to.users | (frozenset() if shared_copy(copies) else ask.escalate_to.groups)
    for place in sorted(others - {copy.places[0] for copy in copies if copy.places}):
        refresh_copy(tx, tx.approvals.add_copy(approval, (place,), now), approval.team_id, now)
    call_people(tx, approval, Why.ESCALATE, now)
    refresh_cards(tx, approval.id, now)
    _record(tx, approval, "escalated", now, {"to": ask.escalate_to.written()})


_STEPS = {Step.REMIND: _remind, Step.EXPIRE: _expire, Step.DENY: _deny, Step.ESCALATE: _escalate}


def _record(tx: Transaction, approval: Approval, what: str, now: datetime, facts: dict[str, Any]) -> None:
    facts = {"rule": approval.ask.rule, **{name: value for name, value in facts.items() if value}}
    tx.record(approval.team_id, now, f"approval.{what}", subject=approval.id, facts=facts)
