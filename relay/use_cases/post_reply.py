"""The agent answers."""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

from relay.domain.deliveries import MESSAGE_DEADLINE, Kind
from relay.domain.text import split
from relay.store.messages import Message
from relay.store.transaction import Transaction

# Longer ago, and what was posted is no longer remembered: it might be posted again.
ANSWERED_WITHIN = timedelta(hours=20)


def post_reply(
    tx: Transaction, message_ids: Collection[str], key: str, text: str, *, part_limit: int, now: datetime
) -> bool:
    """Have the agent's words posted under the messages they answer, once; return whether they are.

    Messages that the environment took into one turn get one answer, in each thread they stand in.
    """
    fresh = _first_time(tx, message_ids, key, now)
    for message in _one_a_place(fresh):
        for number, part in enumerate(split(text, part_limit)):
            # The first part finishes what was streamed of these words, if anything was.
            _add(tx, message, {"text": part} if number else {"text": part, "stream": key}, now)
        tx.record(message.team_id, now, "reply.queued", subject=message.id, facts={"characters": len(text)})
    return bool(fresh)


def post_turn_error(
    tx: Transaction, message_ids: Collection[str], key: str, error: str, *, now: datetime
) -> bool:
    """Have the failure of a turn said, once, under the messages it answers."""
    fresh = _first_time(tx, message_ids, key, now)
    for message in _one_a_place(fresh):
        _add(tx, message, {"error": error}, now)
        tx.record(message.team_id, now, "turn.failed", subject=message.id)
    return bool(fresh)


def post_ending(tx: Transaction, message_ids: Collection[str], ending: str, *, now: datetime) -> None:
    """Have it said how a turn ended of which its words do not tell; of several ways the first one told."""
    for message in _one_a_place(_first_time(tx, message_ids, "turn-ending", now)):
        by = tx.stops.by(message.id) if ending == "stopped" else None
        _add(tx, message, {"ending": ending, "by": by} if by else {"ending": ending}, now)
        tx.record(message.team_id, now, f"turn.{ending}", actor=by or "", subject=message.id)
    if ending == "stopped":
        tx.stops.forget(message_ids)


def _first_time(tx: Transaction, message_ids: Collection[str], key: str, now: datetime) -> list[Message]:
    messages = tx.messages.some(tuple(message_ids)) if message_ids else []
    return [one for one in messages if tx.first_time(one.team_id, f"{key}/{one.id}", now)]


def _one_a_place(messages: list[Message]) -> list[Message]:
    """Return the newest message of each place: in one thread nothing is said twice."""
    return list({_place(one): one for one in messages}.values())


def _place(message: Message) -> tuple[str, str]:
    if message.place == "direct":
        return message.channel_id, ""
    if message.place == "thread" and message.thread_ts:
        return message.channel_id, message.thread_ts
    return message.id, ""  # a place of its own


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
