"""The agent answers."""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

from relay.domain.deliveries import MESSAGE_DEADLINE, Delivery, Kind
from relay.domain.text import split
from relay.store.messages import Message
from relay.store.transaction import Transaction

# Longer ago, and what was posted is no longer remembered: it might be posted again.
ANSWERED_WITHIN = timedelta(hours=20)
_FAILED = "failure-told"


def post_reply(
    tx: Transaction, message_ids: Collection[str], key: str, text: str, *, part_limit: int, now: datetime
) -> bool:
    """Have the agent's words posted under the messages they answer, once; return whether they are.

    Messages that the environment took into one turn get one answer: in each channel it is posted under
    the newest of them, and the threads of the others get a line that leads to it, once it stands.
    """
    fresh = _first_time(tx, message_ids, key, now)
    for message, others in _one_a_channel(_one_a_place(fresh)):
        together = {"together": others} if others else {}
        for number, part in enumerate(split(text, part_limit)):
            # The first part finishes what was streamed of these words, if anything was.
            first = {} if number else {"stream": key}
            _add(tx, message, {"text": part, **first, **together}, now)
        facts = {"characters": len(text), "together": others}
        tx.record(message.team_id, now, "reply.queued", subject=message.id, facts=facts)
    return bool(fresh)


def lead_to_reply(tx: Transaction, reply: Delivery, channel_id: str, ts: str, now: datetime) -> None:
    """Have the threads of the messages that a reply answers, too, led to it, which stands at `ts` now.

    Where it stands nowhere that others can read it, they get its words.
    """
    together = reply.body.get("together")
    for message in tx.messages.some(together) if together else ():
        if not tx.first_time(message.team_id, f"together/{reply.id}/{message.id}", now):
            continue
        first = {"stream": reply.body["stream"]} if "stream" in reply.body else {}
        if not ts:
            _add(tx, message, {"text": reply.body["text"], **first}, now)
        elif first and tx.first_time(message.team_id, f"together/{reply.subject_id}/{message.id}", now):
            _add(tx, message, {"answer": {"channel": channel_id, "ts": ts}, **first}, now)


def post_turn_error(
    tx: Transaction, message_ids: Collection[str], key: str, error: str, *, now: datetime
) -> bool:
    """Have the failure of a turn said, once, under the messages it answers."""
    fresh = _first_time(tx, message_ids, key, now)
    _first_time(tx, message_ids, _FAILED, now)
    for message in _one_a_place(fresh):
        _add(tx, message, {"error": error}, now)
        tx.record(message.team_id, now, "turn.failed", subject=message.id)
    return bool(fresh)


def post_ending(tx: Transaction, message_ids: Collection[str], ending: str, *, now: datetime) -> None:
    """Have it said how a turn ended of which its words do not tell; of several ways the first one told.

    Of one whose failure was said that is enough, unless somebody stopped it.
    """
    untold = _first_time(tx, message_ids, "turn-ending", now)
    if ending != "stopped":
        untold = _first_time(tx, [one.id for one in untold], _FAILED, now)
    for message in _one_a_place(untold):
        by = tx.stops.by(message.id) if ending == "stopped" else None
        _add(tx, message, {"ending": ending, "by": by} if by else {"ending": ending}, now)
        tx.record(message.team_id, now, f"turn.{ending}", actor=by or "", subject=message.id)
    if ending == "stopped":
        tx.stops.forget(message_ids)


def post_dropped(tx: Transaction, reply: Delivery, now: datetime) -> None:
    """Have it said under the messages that a reply answers that its words were given up."""
    for message in tx.messages.some((reply.subject_id, *reply.body.get("together", ()))):
        if message.team_id == reply.team_id:  # what was streamed of them is finished by that
            _add(tx, message, {"ending": "dropped", "stream": reply.body["stream"]}, now)


def _first_time(tx: Transaction, message_ids: Collection[str], key: str, now: datetime) -> list[Message]:
    messages = tx.messages.some(tuple(message_ids)) if message_ids else []
    return [one for one in messages if tx.first_time(one.team_id, f"{key}/{one.id}", now)]


def _one_a_place(messages: list[Message]) -> list[Message]:
    """Return the newest message of each place: in one thread nothing is said twice."""
    return list({_place(one): one for one in messages}.values())


def _one_a_channel(messages: list[Message]) -> list[tuple[Message, list[str]]]:
    """Return the newest message of each channel, with the ids of those that can be led to its answer.

    What is said in private, nobody else can be led to.
    """
    newest: dict[str, Message] = {}
    for one in sorted(messages, key=lambda one: (one.created_at, one.id)):
        newest[one.id if one.place == "private" else one.channel_id] = one
    others = [one for one in messages if one not in newest.values()]
    return [
        (chosen, [one.id for one in others if one.channel_id == chosen.channel_id and where != chosen.id])
        for where, chosen in newest.items()
    ]


def _place(message: Message) -> tuple[str, str]:
    if message.place == "direct":
        return message.channel_id, ""
    if message.place == "thread" and message.thread_ts:
        return message.channel_id, message.thread_ts
    return message.id, ""  # a place of its own


def _ordering_key(tx: Transaction, message: Message) -> str:
    """Return the same for all that is said in a thread: that of the message which began it here."""
    first = None
    if message.place == "thread" and message.thread_ts:
        first = tx.messages.in_thread(message.team_id, message.channel_id, message.thread_ts)
    return f"thread/{first.id if first else message.id}"


def _add(tx: Transaction, message: Message, body: dict[str, Any], now: datetime) -> None:
    tx.deliveries.add(
        Kind.REPLY,
        team_id=message.team_id,
        ordering_key=_ordering_key(tx, message),
        subject_id=message.id,
        body=body,
        deadline=now + MESSAGE_DEADLINE,
        now=now,
    )
