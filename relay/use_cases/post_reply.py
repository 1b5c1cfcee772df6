"""The agent answers."""

from collections.abc import Collection
from datetime import datetime
from typing import Any

from relay.domain.deliveries import MESSAGE_DEADLINE, Kind
from relay.domain.text import split
from relay.store.messages import Message
from relay.store.transaction import Transaction


def post_reply(
    tx: Transaction, message_ids: Collection[str], key: str, text: str, *, part_limit: int, now: datetime
) -> bool:
    """Have the agent's words posted under the messages they answer, once; return whether they are.

    Messages that the environment took into one turn get one answer, each in its own thread.
    """
    messages = tx.messages.some(tuple(message_ids))
    if not messages or not tx.first_time(messages[0].team_id, key, now):
        return False
    for message in messages:
        for part in split(text, part_limit):
            _add(tx, message, {"text": part}, now)
        tx.record(message.team_id, now, "reply.queued", subject=message.id, facts={"characters": len(text)})
    return True


def post_turn_error(
    tx: Transaction, message_ids: Collection[str], key: str, error: str, *, now: datetime
) -> bool:
    """Have the failure of a turn said, once, under the messages it answers."""
    messages = tx.messages.some(tuple(message_ids))
    if not messages or not tx.first_time(messages[0].team_id, key, now):
        return False
    for message in messages:
        _add(tx, message, {"error": error}, now)
        tx.record(message.team_id, now, "turn.failed", subject=message.id)
    return True


def _add(tx: Transaction, message: Message, body: dict[str, Any], now: datetime) -> None:
    tx.deliveries.add(
        Kind.REPLY,
        team_id=message.team_id,
        ordering_key=f"thread/{message.id}",
        subject_id=message.id,
        body=body,
        deadline=now + MESSAGE_DEADLINE,
        now=now,
    )
