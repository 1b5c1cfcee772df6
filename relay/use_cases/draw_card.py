"""A copy of a card is drawn: from what its request is now, and with it what else in Slack that changes."""

from dataclasses import dataclass
from datetime import datetime

from relay.domain.approvals import Approval, State
from relay.domain.grants import Grant
from relay.domain.votes import Vote
from relay.store.approvals import Copy
from relay.store.transaction import Transaction
from relay.use_cases.remind import call_off
from relay.use_cases.siblings import asked_beside, has_siblings


@dataclass(frozen=True)
class Drawn:
    """What a copy of a card shows; `one_of_several`: the same turn asks for more, beside it."""

    copy: Copy
    approval: Approval
    votes: list[Vote]
    grant: Grant | None
    one_of_several: bool


def draw_card(tx: Transaction, copy_id: str, now: datetime) -> Drawn:
    """Return what a copy shows, and have reminders and neighbouring cards that it outdates rewritten.

    `now` is when the drawing was ordered. Raises LookupError when the copy is not in the store.
    """
    copy = tx.approvals.copy(copy_id)
    approval = tx.approvals.get(copy.approval_id) if copy else None
    if copy is None or approval is None:
        raise LookupError(f"the card {copy_id} is not in the store")
    call_off(tx, approval, now)
    if copy.ts is None and approval.state is State.PENDING and _is_first(tx, copy):
        asked_beside(tx, approval, now)
    several = approval.state is State.DECIDED and has_siblings(tx, approval)
    return Drawn(copy, approval, tx.votes.of(approval.id), tx.grants.of(approval), several)


def _is_first(tx: Transaction, copy: Copy) -> bool:
    return tx.approvals.copies(copy.approval_id)[0].id == copy.id
