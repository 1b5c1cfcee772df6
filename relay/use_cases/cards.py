"""Every change of an approval request reaches every copy of its card."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from relay.domain.approvals import Approval
from relay.domain.deliveries import Kind
from relay.store.approvals import Copy
from relay.store.transaction import Transaction


def refresh_cards(tx: Transaction, approval_id: str, now: datetime) -> None:
    """Have every copy of the card rewritten from the state it is in when it is sent."""
    for copy in tx.approvals.copies(approval_id):
        refresh_copy(tx, copy.id, copy.team_id, now)


def refresh_copy(tx: Transaction, copy_id: str, team_id: str, now: datetime) -> None:
    """Have one copy posted, or rewritten."""
    tx.deliveries.add_once(
        Kind.CARD, team_id=team_id, ordering_key=f"copy/{copy_id}", subject_id=copy_id, now=now
    )


def is_person(place: str) -> bool:
    """Return whether a place is a person's own conversation with the app."""
    return place.startswith(("U", "W"))


def is_group(place: str) -> bool:
    """Return whether a place is a user group, whose members each get a copy."""
    return place.startswith("S")


def spread_copy(
    tx: Transaction, approval: Approval, copy: Copy, user_ids: Sequence[str], now: datetime
) -> Copy:
    """Have a copy for a group posted to each of its people who has none: this one to the first of them."""
    there = {one.places[0] for one in tx.approvals.copies(approval.id) if one.places}
    first, *others = [user_id for user_id in user_ids if user_id not in there] or [""]
    for user_id in others:
        refresh_copy(tx, tx.approvals.add_copy(approval, (user_id,), now), copy.team_id, now)
    places = (first, *copy.places[1:]) if first else ()
    tx.approvals.change_copy(copy.id, {"places": list(places)})
    return replace(copy, places=places)
