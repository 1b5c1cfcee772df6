"""The environment asks whether a tool may run."""

from dataclasses import dataclass
from datetime import datetime

from relay.domain import approvals
from relay.domain.approvals import Approval, Asked, State
from relay.domain.canonical import input_hash
from relay.domain.deliveries import Kind
from relay.domain.deliveries import State as DeliveryState
from relay.domain.ids import new_id
from relay.store.transaction import Transaction
from relay.use_cases.cards import refresh_cards, refresh_copy


@dataclass(frozen=True)
class Sighting:
    """Where a frame stood: its pair of sockets, and its position in the environment's order."""

    epoch: str
    event_seq: int


IN_THREAD = "thread"  # the place that is the thread of the message that asks


@dataclass(frozen=True)
class Audience:
    """Whose workspace is asked, in which places in turn, and the key that binds its buttons."""

    team_id: str
    places: tuple[str, ...]
    key: bytes


def open_approval(
    tx: Transaction,
    asked: Asked,
    sighting: Sighting,
    audience: Audience,
    message_ids: tuple[str, ...],
    now: datetime,
    *,
    answer_again: bool = True,
) -> str | None:
    """Open a request and have its card posted; return its id, or None for an old frame.

    A replay of an open request is that request; when it was answered, the same decision is sent
    again (`answer_again`). With another input it is a new one, and the old card is superseded.
    """
    digest = input_hash(audience.key, asked.tool_name, asked.tool_input, asked.diffs)
    latest = tx.approvals.latest(asked.environment, asked.agent_id, asked.conversation_id, asked.tool_call_id)
    if latest is not None:
        if approvals.is_old(latest, sighting.epoch, sighting.event_seq):
            return None
        if not answer_again and approvals.is_over(latest, digest, sighting.epoch):
            return None
        if approvals.is_replay(latest, digest):
            _seen_again(tx, latest, sighting, now, answer_again=answer_again)
            return latest.id
        if latest.open:
            _supersede(tx, latest, now)
    approval = _new(
        tx, asked, digest, sighting, audience, message_ids, (latest.occurrence + 1) if latest else 1, now
    )
    tx.approvals.add(approval)
    copy_id = tx.approvals.add_copy(approval, audience.places, now)
    refresh_copy(tx, copy_id, audience.team_id, now)
    facts = {"environment": asked.environment, "tool": asked.tool_name, "input_hash": digest}
    tx.record(audience.team_id, now, "approval.requested", subject=approval.id, facts=facts)
    return approval.id


def _seen_again(
    tx: Transaction, latest: Approval, sighting: Sighting, now: datetime, *, answer_again: bool
) -> None:
    position = sighting.event_seq
    if latest.epoch == sighting.epoch:
        position = max(position, latest.event_seq)
    tx.approvals.note_asked(latest.id, sighting.epoch, position)
    if answer_again and latest.state is State.DECIDED:
        for delivery in tx.deliveries.of_subject(latest.id, Kind.DECISION):
            if delivery.state is DeliveryState.DELIVERED and tx.deliveries.reopen(delivery.id, now, None):
                tx.record(latest.team_id, now, "decision.sent_again", subject=latest.id)


def _supersede(tx: Transaction, latest: Approval, now: datetime) -> None:
    tx.approvals.change(latest.id, {"state": State.SUPERSEDED})
    for kind in (Kind.DECISION, Kind.ANSWER):
        for delivery in tx.deliveries.of_subject(latest.id, kind):
            tx.deliveries.finish(delivery.id, DeliveryState.FAILED, now, "superseded by a newer request")
    refresh_cards(tx, latest.id, now)
    tx.record(latest.team_id, now, "approval.superseded", subject=latest.id)


def _new(
    tx: Transaction,
    asked: Asked,
    digest: str,
    sighting: Sighting,
    audience: Audience,
    message_ids: tuple[str, ...],
    occurrence: int,
    now: datetime,
) -> Approval:
    # The run that asks names its messages; when it is unknown, everybody who spoke since the
    # last end of turn may have asked for it.
    runtime = (asked.environment, asked.agent_id, asked.conversation_id)
    asking = tx.messages.some(message_ids) if message_ids else tx.messages.in_turn(*runtime)
    return Approval(
        id=new_id("apr", now),
        team_id=audience.team_id,
        asked=asked,
        input_hash=digest,
        occurrence=occurrence,
        state=State.PENDING,
        decision=None,
        requesters=tuple(dict.fromkeys(message.user_id for message in asking)),
        message_id=asking[0].id if asking else None,
        epoch=sighting.epoch,
        event_seq=sighting.event_seq,
        gone_at=None,
        sent=False,
        note="",
        created_at=now,
        revision=1,
    )
