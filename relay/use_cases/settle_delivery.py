"""An attempt to deliver ended, and what that means for whom it was for."""

from collections.abc import Callable
from datetime import datetime

from relay.domain.approvals import AS_DENIAL, Approval, Decision, State
from relay.domain.circuits import Held
from relay.domain.deliveries import LEASE, Delivered, Delivery, Kind, Outcome, Refused, Retry, Settled, settle
from relay.domain.deliveries import State as DeliveryState
from relay.domain.room import Room
from relay.store.transaction import Transaction
from relay.use_cases.cards import refresh_cards, refresh_copy
from relay.use_cases.conversations import forget_conversation, stand_in
from relay.use_cases.post_reply import lead_to_reply
from relay.use_cases.refresh_status import refresh_status
from relay.use_cases.remind import call_off
from relay.use_cases.send_decision import send_decision
from relay.use_cases.stop_after import hurry_stop
from relay.use_cases.whisper import Listener, Sentence, whisper

# Trouble shorter than this is nobody's business: the schedule gets over it unseen.
_ATTEMPTS_IN_SILENCE = 3
_OF_MESSAGES = frozenset({Kind.MESSAGE, Kind.ROOT, Kind.STATUS, Kind.REPLY})


def claim_deliveries(tx: Transaction, most: int, now: datetime, room: Room | None = None) -> list[Delivery]:
    """Claim what is due and finds room, and remember of decisions that an attempt has begun."""
    claimed = tx.deliveries.claim(most, now, now + LEASE, room)
    for delivery in claimed:
        if delivery.kind is Kind.DECISION:
            tx.approvals.change(delivery.subject_id, {"sent": True})
    return claimed


def tell_held(tx: Transaction, delivery: Delivery, held: Held, now: datetime) -> None:
    """Tell whom it concerns that a delivery waits untried, once, and end its wait at its deadline."""
    outcome = Retry(held.reason, said=held.said, away=held.away)
    settled = Settled(
        DeliveryState.PENDING, delivery.next_attempt_at, outcome.words, away=held.away, held=True
    )
    if delivery.deadline is not None and now >= delivery.deadline:
        settled = Settled(DeliveryState.FAILED, reason=f"gave up at its deadline; last: {outcome.words}")
        tx.deliveries.finish(delivery.id, DeliveryState.FAILED, now, settled.reason)
    _CONSEQUENCES[delivery.kind](tx, delivery, settled, outcome, now)


def settle_delivery(
    tx: Transaction, delivery: Delivery, outcome: Outcome, now: datetime, chance: float
) -> None:
    """Record how an attempt ended and tell whom it concerns. `chance` in [0, 1) spreads retries."""
    settled = settle(delivery, outcome, now, chance)
    uncertain = _may_have_arrived(delivery, outcome)
    receipt = outcome.receipt if isinstance(outcome, Delivered) else {}
    if tx.deliveries.settle(delivery, settled, now, uncertain=uncertain, receipt=receipt):
        _CONSEQUENCES[delivery.kind](tx, delivery, settled, outcome, now)


def spoken_of(tx: Transaction, delivery: Delivery) -> dict[str, str]:
    """Return the id of the message or request that a delivery speaks of, by its name; of others nothing."""
    if delivery.kind in _OF_MESSAGES:
        return {"message_id": delivery.subject_id}
    if delivery.kind is Kind.CARD:
        copy = tx.approvals.copy(delivery.subject_id)
        return {"approval_id": copy.approval_id} if copy is not None else {}
    if delivery.subject_id == delivery.id:  # a stop that another relay ordered
        return {}
    return {} if delivery.kind is Kind.WHISPER else {"approval_id": delivery.subject_id}


def _may_have_arrived(delivery: Delivery, outcome: Outcome) -> bool:
    """Return whether an attempt up to this one may have taken effect without saying so."""
    if isinstance(outcome, Delivered):
        return False
    return delivery.uncertain or (isinstance(outcome, Retry) and outcome.uncertain)


def _after_message(
    tx: Transaction, delivery: Delivery, settled: Settled, outcome: Outcome, now: datetime
) -> None:
    if isinstance(outcome, Delivered) and tx.messages.arrived(delivery.subject_id, now):
        _record_message(tx, delivery, "delivered", outcome, now)
        return
    before = tx.messages.get(delivery.subject_id)
    state = _message_state(delivery, settled, outcome)
    if before is None or state is None or before.state == state:
        return
    done = settled.state is not DeliveryState.PENDING
    if isinstance(outcome, Refused) and outcome.over:
        forget_conversation(tx, delivery, before)
    tx.messages.change(
        before.id,
        {"state": state, "note": settled.reason, "settled_at": now if done else before.settled_at or now},
    )
    _record_message(tx, delivery, state, outcome, now)
    if state != "delivered" or before.state != "queued":
        refresh_status(tx, before.team_id, before.id, now)


def _record_message(tx: Transaction, delivery: Delivery, state: str, outcome: Outcome, now: datetime) -> None:
    facts = {"reason": _why(outcome), "attempts": delivery.attempts}
    tx.record(delivery.team_id, now, f"message.{state}", subject=delivery.subject_id, facts=facts)


def _why(outcome: Outcome) -> str:
    """Return the reason as the audit keeps it: without the destination's words, which may quote people's."""
    return "" if isinstance(outcome, Delivered) else outcome.reason


def _message_state(delivery: Delivery, settled: Settled, outcome: Outcome) -> str | None:
    if settled.state is not DeliveryState.PENDING:
        return settled.state.value
    if isinstance(outcome, Retry) and outcome.away:
        return "away"
    return "retrying" if settled.held or delivery.attempts >= _ATTEMPTS_IN_SILENCE else None


def _after_decision(
    tx: Transaction, delivery: Delivery, settled: Settled, outcome: Outcome, now: datetime
) -> None:
    approval = tx.approvals.get(delivery.subject_id)
    if approval is None or approval.state not in (State.DECIDED, State.FAILED):
        return
    if isinstance(outcome, Delivered) and outcome.receipt.get("via") == "socket":
        _proven(tx, approval, now)
        return
    if isinstance(outcome, Refused) and outcome.over:
        # What became of it, the frames still under way may tell.
        tx.approvals.change(approval.id, {"sent": _may_have_arrived(delivery, outcome), "gone_at": now})
        return
    state = State.FAILED if settled.state is DeliveryState.FAILED else State.DECIDED
    note = _decision_note(approval, delivery, settled, outcome, now)
    if not isinstance(outcome, Delivered) and not _may_have_arrived(delivery, outcome):
        tx.approvals.change(approval.id, {"sent": False})
    if (state, note) == (approval.state, approval.note):
        return
    tx.approvals.change(approval.id, {"state": state, "note": note})
    if state is State.FAILED:
        hurry_stop(tx, approval, now)
    refresh_cards(tx, approval.id, now)
    facts = {"reason": _why(outcome), "attempts": delivery.attempts}
    tx.record(approval.team_id, now, f"decision.{settled.state.value}", subject=approval.id, facts=facts)


def _decision_note(
    approval: Approval, delivery: Delivery, settled: Settled, outcome: Outcome, now: datetime
) -> str:
    if settled.state is DeliveryState.FAILED:
        return settled.reason
    if not isinstance(outcome, Retry):
        return ""
    if outcome.away:
        offline = f"{delivery.environment} has been offline since "
        return approval.note if approval.note.startswith(offline) else f"{offline}{now:%H:%M} UTC"
    return outcome.words if settled.held or delivery.attempts >= _ATTEMPTS_IN_SILENCE else approval.note


def _after_answer(
    tx: Transaction, delivery: Delivery, settled: Settled, outcome: Outcome, now: datetime
) -> None:
    approval = tx.approvals.get(delivery.subject_id)
    if approval is None or approval.state is not State.DECIDED:
        return
    if isinstance(outcome, Delivered):
        _proven(tx, approval, now)
    elif isinstance(outcome, Refused) and not outcome.over:
        tx.approvals.change(approval.id, {"state": State.FAILED, "note": settled.reason})
        hurry_stop(tx, approval, now)
        refresh_cards(tx, approval.id, now)
        facts = {"reason": _why(outcome), "attempts": delivery.attempts}
        tx.record(approval.team_id, now, "decision.failed", subject=approval.id, facts=facts)
    elif settled.state is DeliveryState.FAILED:
        # No longer asked: what became of it, the frames still under way may tell.
        tx.approvals.change(
            approval.id,
            {
                "gone_at": approval.gone_at or now,
                "sent": not _surely_without_effect(tx, approval, delivery, outcome),
            },
        )


def _surely_without_effect(tx: Transaction, approval: Approval, answer: Delivery, outcome: Outcome) -> bool:
    """Return whether neither this answer nor what was posted before it can have had an effect.

    The device refused the one, and said that it dropped the other, of which there was one copy.
    """
    posted = tx.deliveries.of_subject(approval.id, Kind.DECISION)
    return (
        isinstance(outcome, Refused)
        and outcome.over
        and bool(answer.body.get("dropped"))
        and not _may_have_arrived(answer, outcome)
        and all(one.attempts == 1 and not one.uncertain and "status" in one.receipt for one in posted)
    )


def _proven(tx: Transaction, approval: Approval, now: datetime) -> None:
    """Take the device's own word that it took this answer as evidence of our decision."""
    returned = approval.decision is not None and approval.decision.returned is not None
    tx.approvals.change(approval.id, {"state": State.DELIVERED, "note": AS_DENIAL if returned else ""})
    for kind in (Kind.DECISION, Kind.ANSWER):
        for delivery in tx.deliveries.of_subject(approval.id, kind):
            tx.deliveries.finish(delivery.id, DeliveryState.DELIVERED, now)
    hurry_stop(tx, approval, now)
    refresh_cards(tx, approval.id, now)
    tx.record(approval.team_id, now, "approval.delivered", subject=approval.id, facts={"via": "socket"})


def _after_root(
    tx: Transaction, delivery: Delivery, settled: Settled, outcome: Outcome, now: datetime
) -> None:
    message = tx.messages.get(delivery.subject_id)
    if message is None or settled.state is DeliveryState.PENDING:
        return
    if isinstance(outcome, Delivered):
        stand_in(tx, message.id, outcome.receipt["ts"])
        return
    tx.messages.change(message.id, {"place": "private"})
    listener = Listener(message.team_id, message.channel_id, message.user_id, message.response_url)
    whisper(
        tx, listener, Sentence.INVITE_ME, now, {"reason": settled.reason, "channel_id": message.channel_id}
    )


def _after_status(
    tx: Transaction, delivery: Delivery, settled: Settled, outcome: Outcome, now: datetime
) -> None:
    if not isinstance(outcome, Delivered):
        _after_reply(tx, delivery, settled, outcome, now)
    elif outcome.receipt.get("ts"):
        tx.messages.change(delivery.subject_id, {"status_ts": outcome.receipt["ts"]})


def _after_reply(
    tx: Transaction, delivery: Delivery, settled: Settled, outcome: Outcome, now: datetime
) -> None:
    if settled.state is DeliveryState.PENDING:
        return
    if settled.state is DeliveryState.DELIVERED and "stream" in delivery.body:
        tx.live_posts.forget(delivery.subject_id, delivery.body["stream"])
    message = tx.messages.get(delivery.subject_id)
    if settled.state is DeliveryState.DELIVERED or message is None or message.place == "private":
        stands = outcome.receipt if isinstance(outcome, Delivered) else {}
        lead_to_reply(tx, delivery, stands.get("channel", ""), stands.get("ts", ""), now)
        return
    # The thread is gone or closed to the app: what it was to carry still reaches the person who asked.
    tx.messages.change(message.id, {"place": "private"})
    tx.deliveries.reopen(delivery.id, now, delivery.deadline)


def _after_card(tx: Transaction, delivery: Delivery, _: Settled, outcome: Outcome, now: datetime) -> None:
    copy = tx.approvals.copy(delivery.subject_id)
    if copy is None:
        return
    if isinstance(outcome, Delivered):
        tx.approvals.change_copy(
            copy.id, {"channel_id": outcome.receipt["channel"], "ts": outcome.receipt["ts"]}
        )
    elif isinstance(outcome, Refused):
        approval = tx.approvals.get(copy.approval_id)
        if approval is not None and approval.state is State.PENDING:
            next_place(
                tx,
                approval,
                copy.id,
                copy.places if copy.ts is None else copy.places[:1] + copy.places,
                outcome,
                now,
            )


def next_place(
    tx: Transaction,
    approval: Approval,
    copy_id: str,
    places: tuple[str, ...],
    refused: Refused,
    now: datetime,
) -> None:
    """Post the card to the next place of its route; with none left, deny and say why."""
    rest = places[1:]
    tx.record(
        approval.team_id,
        now,
        "card.refused",
        subject=approval.id,
        facts={"place": places[:1], "reason": refused.reason},
    )
    if rest:
        tx.approvals.change_copy(copy_id, {"places": list(rest), "channel_id": None, "ts": None})
        refresh_copy(tx, copy_id, approval.team_id, now)
        return
    others = [one for one in tx.approvals.copies(approval.id) if one.id != copy_id]
    if any(one.ts is not None or one.places for one in others):
        tx.approvals.change_copy(copy_id, {"places": [], "channel_id": None, "ts": None})
        return
    reason = f"Denied by relay: there is no place in Slack to ask people ({refused.reason})."
    decision = Decision(approve=False, reason=reason, user_id="", decided_at=now)
    if tx.approvals.decide(approval, decision):
        tx.approvals.change_copy(copy_id, {"places": []})
        send_decision(tx, approval, decision, now)


def _after_secret(tx: Transaction, delivery: Delivery, settled: Settled, _: Outcome, __: datetime) -> None:
    if settled.state is not DeliveryState.PENDING:
        tx.deliveries.scrub(delivery.id)  # it carried a bearer secret


def _after_reminder(tx: Transaction, delivery: Delivery, _: Settled, outcome: Outcome, now: datetime) -> None:
    """Call off a call that was still under way when somebody decided."""
    approval = tx.approvals.get(delivery.subject_id)
    if approval is not None and isinstance(outcome, Delivered):
        call_off(tx, approval, now)


_CONSEQUENCES: dict[Kind, Callable[[Transaction, Delivery, Settled, Outcome, datetime], None]] = {
    Kind.MESSAGE: _after_message,
    Kind.DECISION: _after_decision,
    Kind.ANSWER: _after_answer,
    Kind.ROOT: _after_root,
    Kind.STATUS: _after_status,
    Kind.REPLY: _after_reply,
    Kind.CARD: _after_card,
    Kind.STOP: _after_secret,
    Kind.WHISPER: _after_secret,
    Kind.REMINDER: _after_reminder,
}
