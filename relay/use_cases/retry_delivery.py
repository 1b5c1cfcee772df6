"""A person asks for another attempt at something that failed."""

from dataclasses import dataclass
from datetime import datetime

from relay.domain.approvals import State
from relay.domain.deliveries import MESSAGE_DEADLINE, Delivery, Kind
from relay.domain.deliveries import State as DeliveryState
from relay.domain.people import Person
from relay.domain.policy import Rights, may_send
from relay.store.transaction import Transaction
from relay.use_cases.cards import refresh_cards
from relay.use_cases.refresh_status import refresh_status
from relay.use_cases.whisper import Listener, Sentence, whisper


@dataclass(frozen=True)
class RetryClick:
    """A press of Retry: who pressed, and what for: a message or an approval request."""

    person: Person
    listener: Listener
    key: str
    subject_id: str


def record_retry(tx: Transaction, click: RetryClick, rights: Rights, now: datetime) -> bool:
    """Retry the failed deliveries of a subject, if the person may, and tell them what happens."""
    if not tx.first_time(click.listener.team_id, click.key, now):
        return False
    verdict = may_send(rights, click.person)
    if not verdict.allowed:
        whisper(tx, click.listener, Sentence.MAY_NOT_RETRY, now, {"reason": verdict.reason})
        return False
    kinds = (Kind.MESSAGE, Kind.DECISION, Kind.ANSWER)
    failed = [
        delivery
        for kind in kinds
        for delivery in tx.deliveries.theirs(click.listener.team_id, click.subject_id, kind)
        if delivery.state is DeliveryState.FAILED
    ]
    retried = [delivery for delivery in failed if retry_delivery(tx, delivery, click.person.user_id, now)]
    whisper(tx, click.listener, Sentence.RETRYING if retried else Sentence.NOTHING_TO_RETRY, now)
    return bool(retried)


def retry_delivery(tx: Transaction, delivery: Delivery, actor: str, now: datetime) -> bool:
    """Make a failed delivery pending again and return whether it was one that may be retried.

    A decision is retried only while its request still fails for want of delivery.
    """
    if delivery.state is not DeliveryState.FAILED:
        return False
    decides = delivery.kind in (Kind.DECISION, Kind.ANSWER)
    approval = tx.approvals.get(delivery.subject_id) if decides else None
    if decides and (approval is None or approval.state is not State.FAILED):
        return False
    deadline = None if decides else now + MESSAGE_DEADLINE
    if not _is_kept(tx, delivery):
        return False
    tx.deliveries.reopen(delivery.id, now, deadline)
    if approval is not None:
        tx.approvals.change(approval.id, {"state": State.DECIDED, "note": ""})
        refresh_cards(tx, approval.id, now)
    if delivery.kind is Kind.MESSAGE:
        _tell_thread(tx, delivery, now)
    tx.record(delivery.team_id, now, "delivery.retried", actor=actor, subject=delivery.subject_id)
    return True


def _is_kept(tx: Transaction, delivery: Delivery) -> bool:
    """Return whether what it carried is still there: secrets are not for long, texts as long as is set."""
    if delivery.kind is Kind.ROOT:
        message = tx.messages.get(delivery.subject_id)
        return message is not None and message.text != ""
    return bool(delivery.body) or delivery.kind in (Kind.STATUS, Kind.CARD)


def _tell_thread(tx: Transaction, delivery: Delivery, now: datetime) -> None:
    tx.messages.change(delivery.subject_id, {"state": "retrying", "note": "", "settled_at": now})
    refresh_status(tx, delivery.team_id, delivery.subject_id, now)
