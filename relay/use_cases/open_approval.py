"""The environment asks whether a tool may run."""

from dataclasses import dataclass
from datetime import datetime

from relay.domain import approvals
from relay.domain.approvals import Approval, Asked, Decision, State
from relay.domain.canonical import input_hash, short_code
from relay.domain.deliveries import Kind
from relay.domain.deliveries import State as DeliveryState
from relay.domain.ids import new_id
from relay.domain.rules import Action, Ask, Request, Ruling
from relay.domain.silence import first_silence
from relay.store.messages import Message
from relay.store.transaction import Transaction
from relay.use_cases.cards import refresh_cards, refresh_copy
from relay.use_cases.grants import decide_by_grant
from relay.use_cases.rulings import Policy, ask_anybody
from relay.use_cases.send_decision import send_decision


@dataclass(frozen=True)
class Sighting:
    """Where a frame stood: its pair of sockets, and its position in the environment's order."""

    epoch: str
    event_seq: int


IN_THREAD = "thread"  # the place that is the thread of the message that asks
IN_DIRECT = "dm"  # a copy for each approver who is named, and for each member of their user groups


@dataclass(frozen=True)
class Audience:
    """Whose workspace is asked, in which places in turn, by which policy; the key binds its buttons."""

    team_id: str
    places: tuple[str, ...]
    key: bytes
    policy: Policy = ask_anybody


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
    occurrence = latest.occurrence + 1 if latest else 1
    approval, ruling = _new(tx, asked, digest, sighting, audience, message_ids, occurrence, now)
    tx.approvals.add(approval)
    facts = {"environment": asked.environment, "tool": asked.tool_name, "input_hash": digest}
    ruled = {"action": ruling.action, "rule": ruling.rule}
    tx.record(audience.team_id, now, "approval.requested", subject=approval.id, facts={**facts, **ruled})
    _follow(tx, approval, ruling, audience, now)
    return approval.id


def _follow(tx: Transaction, approval: Approval, ruling: Ruling, audience: Audience, now: datetime) -> None:
    """Ask people, or decide by the rule: a denial has a card that says so, what is allowed has none."""
    if ruling.action is not Action.ALLOW:
        for places in wanted_copies(approval.ask, audience.places):
            refresh_copy(tx, tx.approvals.add_copy(approval, places, now), audience.team_id, now)
    if ruling.action is Action.ASK:
        decide_by_grant(tx, approval, audience.key, now)
        return
    allowed = ruling.action is Action.ALLOW
    reason = "" if allowed else ruling.reason or f"Denied by the rule {ruling.rule}."
    decision = Decision(approve=allowed, reason=reason, user_id="", decided_at=now, rule=ruling.rule)
    if tx.approvals.decide(approval, decision):
        send_decision(tx, approval, decision, now)


def wanted_copies(ask: Ask, routed: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Return the places of each copy, in turn; where the rule names none, or all are refused, the route's."""
    wanted: list[str] = []
    for place in ask.cards:
        approvers = ask.approvers
        wanted += sorted(approvers.users) + sorted(approvers.groups) if place == IN_DIRECT else [place]
    first, *others = dict.fromkeys(wanted) or [""]
    fallback = tuple(place for place in routed if place not in wanted)
    return [(first, *fallback) if first else routed, *((place,) for place in others)]


def _seen_again(
    tx: Transaction, latest: Approval, sighting: Sighting, now: datetime, *, answer_again: bool
) -> None:
    position = sighting.event_seq
    if latest.epoch == sighting.epoch:
        position = max(position, latest.event_seq)
    tx.approvals.note_asked(latest.id, sighting.epoch, position)
    if latest.state is not State.DECIDED:
        return
    # One that was given up while it seemed no longer asked waits for no evidence: it is sent in any case.
    over = {DeliveryState.FAILED, DeliveryState.DELIVERED} if answer_again else {DeliveryState.FAILED}
    for delivery in tx.deliveries.of_subject(latest.id, Kind.DECISION):
        if delivery.state in over and tx.deliveries.reopen(delivery.id, now, None):
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
) -> tuple[Approval, Ruling]:
    asking = _asking(tx, asked, message_ids)
    requesters = tuple(dict.fromkeys(message.user_id for message in asking))
    channels = tuple(dict.fromkeys(message.channel_id for message in asking))
    ruling = audience.policy(
        Request(asked.tool_name, asked.tool_input, asked.environment, channels, requesters)
    )
    ask = ruling.ask or Ask(rule=ruling.rule, reason=ruling.reason)
    expires_at, nudge_at = first_silence(ask, now) if ruling.action is Action.ASK else (None, None)
    approval_id = new_id("apr", now)
    approval = Approval(
        id=approval_id,
        team_id=audience.team_id,
        asked=asked,
        input_hash=digest,
        occurrence=occurrence,
        state=State.PENDING,
        decision=None,
        requesters=requesters,
        message_id=asking[0].id if asking else None,
        epoch=sighting.epoch,
        event_seq=sighting.event_seq,
        gone_at=None,
        sent=False,
        note="",
        created_at=now,
        revision=1,
        ask=ask,
        channels=channels,
        code=short_code(approval_id, digest),
        shown_hash=digest,
        expires_at=expires_at,
        nudge_at=nudge_at,
    )
    return approval, ruling


def _asking(tx: Transaction, asked: Asked, message_ids: tuple[str, ...]) -> list[Message]:
    # The run that asks names its messages; when it is unknown, everybody who spoke since the
    # last end of turn may have asked for it.
    if message_ids:
        return tx.messages.some(message_ids)
    return tx.messages.in_turn(asked.environment, asked.agent_id, asked.conversation_id)
