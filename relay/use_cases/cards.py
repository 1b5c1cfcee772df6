"""Every change of an approval request reaches every copy of its card."""

from datetime import datetime

from relay.domain.deliveries import Kind
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
