"""The operator gives a delivery up for good, and whom it concerns is told so."""

from collections.abc import Callable
from datetime import datetime
from enum import StrEnum

from relay.domain.approvals import DROPPED, State, after_drop
from relay.domain.deliveries import Delivery, Kind, Refused
from relay.domain.deliveries import State as DeliveryState
from relay.store.transaction import Transaction
from relay.use_cases.follow_environment import move
from relay.use_cases.post_reply import post_dropped
from relay.use_cases.refresh_status import refresh_status
from relay.use_cases.settle_delivery import next_place
from relay.use_cases.stop_after import StopAfter
from relay.use_cases.whisper import Sentence, whisper

DROPPABLE = (DeliveryState.PENDING, DeliveryState.FAILED)
_LIVE = (DeliveryState.PENDING, DeliveryState.SENDING)
_ANSWERS = (Kind.DECISION, Kind.ANSWER)
_MAY_HAVE_ARRIVED = "an attempt may have arrived all the same"


class Dropped(StrEnum):
    """What came of it."""

    DROPPED = "dropped"
    UNDER_WAY = "under_way"  # it is being sent right now
    SETTLED = "settled"  # it was delivered, or dropped before


def drop_delivery(tx: Transaction, delivery: Delivery, actor: str, now: datetime) -> Dropped:
    """Give up a pending or failed delivery; what waits behind it goes on. Never one that is being sent.

    Of a decision that goes by two ways, both are given up, or none.
    """
    if delivery.state is DeliveryState.SENDING or _is_answered_now(tx, delivery):
        return Dropped.UNDER_WAY
    if delivery.state not in DROPPABLE:
        return Dropped.SETTLED
    last = f"; last: {delivery.last_error}" if delivery.last_error else ""
    if not tx.deliveries.drop(delivery, now, f"dropped by the {actor}{last}"):
        return Dropped.UNDER_WAY
    tx.record(
        delivery.team_id, now, "delivery.dropped", actor=actor, subject=delivery.subject_id,
        facts={
            "delivery": delivery.id, "kind": delivery.kind, "was": delivery.state,
            "attempts": delivery.attempts, "may_have_arrived": delivery.uncertain,
        },
    )  # fmt: skip
    if (tell := _CONSEQUENCES.get(delivery.kind)) is not None:
        tell(tx, delivery, now)
    return Dropped.DROPPED


def _is_answered_now(tx: Transaction, delivery: Delivery) -> bool:
    """Return whether the same decision is on its way by its other way."""
    if delivery.kind not in _ANSWERS:
        return False
    both = [one for kind in _ANSWERS for one in tx.deliveries.of_subject(delivery.subject_id, kind)]
    return any(one.state is DeliveryState.SENDING for one in both)


def _after_message(tx: Transaction, delivery: Delivery, now: datetime) -> None:
    note = _MAY_HAVE_ARRIVED if delivery.uncertain else ""
    tx.messages.change(delivery.subject_id, {"state": "dropped", "note": note, "settled_at": now})
    refresh_status(tx, delivery.team_id, delivery.subject_id, now)


def _after_decision(tx: Transaction, delivery: Delivery, now: datetime) -> None:
    approval = tx.approvals.get(delivery.subject_id)
    if approval is None or approval.state not in (State.DECIDED, State.FAILED):
        return
    # Without its place among the frames, the next list of what is asked that names it asks it anew.
    tx.approvals.change(approval.id, {"note": DROPPED, "gone_at": now, "epoch": ""})
    move(tx, approval, after_drop(approval), now)


def _after_root(tx: Transaction, delivery: Delivery, _: datetime) -> None:
    # There will be no thread: what is said to it goes to whoever asked, alone.
    tx.messages.change(delivery.subject_id, {"place": "private"})


def _after_reply(tx: Transaction, delivery: Delivery, now: datetime) -> None:
    """Say where the agent's words would have stood that they were given up; of several parts once."""
    if "stream" in delivery.body and delivery.body.get("ending") != "dropped":
        post_dropped(tx, delivery, now)


def _after_card(tx: Transaction, delivery: Delivery, now: datetime) -> None:
    """Deny a request that nobody can be asked any more: its agent would wait for ever."""
    copy = tx.approvals.copy(delivery.subject_id)
    approval = tx.approvals.get(copy.approval_id) if copy is not None else None
    if copy is None or approval is None or copy.ts is not None or approval.state is not State.PENDING:
        return
    if any(one.state in _LIVE for one in tx.deliveries.of_subject(copy.id, Kind.CARD)):
        return  # another delivery posts it
    next_place(tx, approval, copy.id, copy.places[:1], Refused("the operator gave its card up"), now)


def _after_stop(tx: Transaction, delivery: Delivery, now: datetime) -> None:
    if "listener" in delivery.body:  # else whoever asked waits for it, and hears that it came to nothing
        whisper(tx, StopAfter.read(dict(delivery.body)).listener, Sentence.STOP_DROPPED, now)
    tx.deliveries.scrub(delivery.id)


def _after_whisper(tx: Transaction, delivery: Delivery, _: datetime) -> None:
    tx.deliveries.scrub(delivery.id)  # it carried a bearer secret


_CONSEQUENCES: dict[Kind, Callable[[Transaction, Delivery, datetime], None]] = {
    Kind.MESSAGE: _after_message,
    Kind.DECISION: _after_decision,
    Kind.ANSWER: _after_decision,
    Kind.ROOT: _after_root,
    Kind.REPLY: _after_reply,
    Kind.CARD: _after_card,
    Kind.STOP: _after_stop,
    Kind.WHISPER: _after_whisper,
}
