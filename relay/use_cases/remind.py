"""Reminders leave like everything else: one delivery each, worded when it goes."""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum

from relay.domain.approvals import Approval, State
from relay.domain.deliveries import REMINDER_DEADLINE, Kind
from relay.store.approvals import Copy
from relay.store.transaction import Transaction
from relay.use_cases.cards import is_group, is_person

_MOST_NAMED = 10  # of whom each is told alone


class Why(StrEnum):
    """Why people are called; the Slack door has the words."""

    REMIND = "remind"
    ESCALATE = "escalate"
    AGAIN = "again"


def call_people(tx: Transaction, approval: Approval, why: Why, now: datetime, *, by: str = "") -> None:
    """Have those who may decide called: in the thread of a card, and each who is named alone.

    Whoever has a card of their own is called under that; who has voted, or asked for the call, is not.
    """
    copies = tx.approvals.copies(approval.id)
    private = {copy.places[0]: copy for copy in copies if copy.places and is_person(copy.places[0])}
    if (copy := shared_copy(copies)) is not None:
        _call(tx, approval, why, now, copy, by=by)
    voted = {vote.user_id for vote in tx.votes.of(approval.id) if vote.shown_hash == approval.shown_hash}
    named = sorted((approval.ask.approvers.users | private.keys()) - voted - {by})
    for user_id in named[:_MOST_NAMED]:
        _call(tx, approval, why, now, private.get(user_id), by=by, user_id=user_id)


def call_off(tx: Transaction, approval: Approval, now: datetime) -> None:
    """Have the calls that people got alone rewritten, once, now that there is nothing left to decide."""
    if approval.state in (State.PENDING, State.EXPIRED) or approval.silent_since is None:
        return  # of what nobody was called to there is none
    for call in tx.deliveries.of_subject(approval.id, Kind.REMINDER):
        if call.body.get("user_id") and call.receipt.get("ts") and "stands" not in call.body:
            # Kept in the body: a receipt is another one after every attempt.
            tx.deliveries.change_body(call.id, {**call.body, "stands": dict(call.receipt)})
            tx.deliveries.reopen(call.id, now, now + REMINDER_DEADLINE)


def shared_copy(copies: Sequence[Copy]) -> Copy | None:
    """Return the first copy of a card that more people than one read, or will read once it is posted."""
    return next((copy for copy in copies if not _is_direct(copy)), None)


def _is_direct(copy: Copy) -> bool:
    if copy.channel_id is not None:
        return copy.channel_id.startswith("D")
    return not copy.places or is_person(copy.places[0]) or is_group(copy.places[0])


def _call(
    tx: Transaction,
    approval: Approval,
    why: Why,
    now: datetime,
    copy: Copy | None,
    *,
    by: str,
    user_id: str = "",
) -> None:
    tx.deliveries.add(
        Kind.REMINDER,
        team_id=approval.team_id,
        # Its own key: a card never waits behind what only points to it.
        ordering_key=f"reminder/{copy.id if copy else user_id}",
        subject_id=approval.id,
        body={"why": why, "by": by, "user_id": user_id, "copy_id": copy.id if copy else ""},
        # Later, the next one says the same.
        deadline=now + REMINDER_DEADLINE,
        now=now,
    )
