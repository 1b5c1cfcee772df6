"""What was attached to a message and does not reach the agent."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from relay.domain.deliveries import MESSAGE_DEADLINE, Kind
from relay.store.transaction import Transaction


def tell_not_passed(
    tx: Transaction, message_id: str, files: Sequence[Mapping[str, Any]], now: datetime
) -> None:
    """Have it said in the thread, once, of which files the agent gets no more than name and link."""
    message = tx.messages.get(message_id)
    if message is None or not tx.first_time(message.team_id, f"files/{message_id}", now):
        return
    tx.deliveries.add(
        Kind.REPLY,
        team_id=message.team_id,
        ordering_key=f"thread/{message_id}",
        subject_id=message_id,
        body={"not_passed": [{"name": one["name"], "type": one["type"]} for one in files]},
        deadline=now + MESSAGE_DEADLINE,
        now=now,
    )
    tx.record(message.team_id, now, "files.not_passed", subject=message_id, facts={"files": len(files)})
