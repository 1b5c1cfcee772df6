"""People's messages: what was said, where its thread is, and how it fares."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    bindparam,
    false,
    insert,
    literal_column,
    select,
    update,
)

from relay.store.statement import Reading, Statement
from relay.store.tables import messages as t

_INSERT = Statement(insert(t), columns=[column.name for column in t.c])
_ONE = Reading(select(t).where(t.c.id == bindparam("which")))
_IN_THREAD = Reading(
    select(t)
    .where(
        t.c.channel_id == bindparam("channel"),
        t.c.thread_ts == bindparam("thread"),
        t.c.team_id == bindparam("team"),
    )
    .order_by(t.c.created_at, t.c.id)
    .limit(1)
)
_SINCE = Statement(
    select(t.c.id)
    .where(
        t.c.environment == bindparam("environment"),
        t.c.agent_id == bindparam("agent"),
        t.c.conversation_id == bindparam("conversation"),
        # Written out: SQLite takes the partial index for its own condition alone.
        t.c.turn_ended == false(),
        t.c.state.not_in([literal_column("'failed'"), literal_column("'dropped'")]),
        t.c.created_at > bindparam("moment"),
    )
    .limit(1)
)
# Most messages are delivered at the first attempt: that takes one statement.
_ARRIVED = Statement(
    update(t)
    .where(t.c.id == bindparam("which"), t.c.state == "queued")
    .values(state="delivered", note="", settled_at=bindparam("now", type_=t.c.settled_at.type)),
)


@cache
def _change(*columns: str) -> Statement:
    return Statement(update(t).where(t.c.id == bindparam("which")), columns=("which", *columns))


@dataclass(frozen=True)
class Message:
    """A message of a person to an agent. `place` says where its answers go: thread, direct or private.

    Of a direct one `thread_ts` is its own ts: there Slack shows a status, though answers go beside it.
    """

    id: str
    team_id: str
    environment: str
    agent_id: str
    conversation_id: str
    channel_id: str
    user_id: str
    text: str
    response_url: str | None
    place: str
    thread_ts: str | None
    state: str
    note: str
    status_ts: str | None
    created_at: datetime
    settled_at: datetime | None
    turn_ended: bool

    @property
    def answers_in(self) -> str | None:
        """The thread that its answers are posted in; None: beside it, or not there yet."""
        return self.thread_ts if self.place == "thread" else None


class Messages:
    """Reads and writes messages within one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._only: tuple[ColumnElement[bool], ...] = ()

    def only_of(self, team_id: str) -> None:
        """Know the messages of one workspace alone where ids come from outside, as an environment's do."""
        self._only = (t.c.team_id == team_id,)

    def add(self, message: Message) -> None:
        """Add a message."""
        _INSERT.leave(self._connection, vars(message))

    def get(self, message_id: str) -> Message | None:
        """Return one message."""
        row = _ONE.first(self._connection, {"which": message_id})
        return None if row is None else _message(row)

    def theirs(self, team_id: str, message_id: str) -> Message | None:
        """Return one message of a workspace, for whoever names it there."""
        found = self.get(message_id)
        return found if found is not None and found.team_id == team_id else None

    def some(self, message_ids: Sequence[str]) -> list[Message]:
        """Return those of `message_ids` that are ours, in the order of their arrival."""
        query = select(t).where(t.c.id.in_(message_ids), *self._only).order_by(t.c.created_at, t.c.id)
        return [_message(row) for row in self._connection.execute(query)]

    def in_thread(self, team_id: str, channel_id: str, thread_ts: str) -> Message | None:
        """Return the first message to an agent whose answers are in a thread."""
        where = {"channel": channel_id, "thread": thread_ts, "team": team_id}
        row = _IN_THREAD.first(self._connection, where)
        return None if row is None else _message(row)

    def in_turn(self, environment: str, agent_id: str, conversation_id: str) -> list[Message]:
        """Return the delivered messages of a conversation since its last end of turn."""
        query = select(t).where(
            t.c.environment == environment,
            t.c.agent_id == agent_id,
            t.c.conversation_id == conversation_id,
            t.c.turn_ended.is_(False),
            t.c.state == "delivered",
            *self._only,
        )
        return [_message(row) for row in self._connection.execute(query.order_by(t.c.created_at, t.c.id))]

    def said_since(self, environment: str, agent_id: str, conversation_id: str, moment: datetime) -> bool:
        """Return whether somebody has written to a conversation after `moment` whose turn is not over."""
        of = {"environment": environment, "agent": agent_id, "conversation": conversation_id}
        return _SINCE.run(self._connection, {**of, "moment": moment}).fetchone() is not None

    def change(self, message_id: str, values: Mapping[str, Any]) -> None:
        """Write new values into one message."""
        _change(*values).leave(self._connection, {"which": message_id, **values})

    def arrived(self, message_id: str, now: datetime) -> bool:
        """Let a message that was only queued so far be delivered, and return whether it was one."""
        return _ARRIVED.run(self._connection, {"which": message_id, "now": now}).rowcount == 1

    def forget_response_urls(self, before: datetime) -> None:
        """Forget the bearer secrets of messages older than `before`."""
        old = update(t).where(t.c.response_url.is_not(None), t.c.created_at < before)
        self._connection.execute(old.values(response_url=None))

    def end_turn(self, message_ids: Sequence[str]) -> None:
        """Remember that the turn that took these messages is over."""
        if message_ids:
            ended = update(t).where(t.c.id.in_(message_ids), *self._only)
            self._connection.execute(ended.values(turn_ended=True))


def _message(row: Any) -> Message:
    return Message(**row._asdict())
