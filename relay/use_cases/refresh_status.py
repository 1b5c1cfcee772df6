"""What becomes of a message is said where its status is posted."""

from datetime import datetime

from relay.domain.deliveries import Kind
from relay.store.transaction import Transaction


def refresh_status(tx: Transaction, team_id: str, message_id: str, now: datetime) -> None:
    """Have the status of a message posted, or rewritten, from the state it is in when it is sent."""
    key = f"thread/{message_id}"
    tx.deliveries.add_once(Kind.STATUS, team_id=team_id, ordering_key=key, subject_id=message_id, now=now)
