"""What was begun in a thread while a turn runs, and who asked for a turn to be stopped."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Exists, Row, delete, exists, select, update

from relay.domain.runtime import Runtime
from relay.store.dialects import upsert
from relay.store.tables import deliveries, messages, seen, stops
from relay.store.tables import live_posts as t

WORKING = "working"
_LIVE = ("pending", "sending")


@dataclass(frozen=True)
class LivePost:
    """A message of ours that is not finished; `ts` is None until Slack has said where it stands.

    `key` is that of the reply whose words it streams, or WORKING for the one that says a turn runs.
    """

    message_id: str
    key: str
    team_id: str
    channel_id: str
    thread_ts: str
    ts: str | None
    created_at: datetime


class LivePosts:
    """Reads and writes what is begun and not finished, within one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def begin(self, post: LivePost) -> bool:
        """Remember that a message is about to be posted; False when its reply is on its way already."""
        told = select(seen.c.key).where(
            seen.c.team_id == post.team_id, seen.c.key == f"{post.key}/{post.message_id}"
        )
        if self._connection.execute(told).first() is not None:
            return False
        added = upsert(t).values(**vars(post)).on_conflict_do_nothing().returning(t.c.key)
        return self._connection.execute(added).first() is not None

    def get(self, message_id: str, key: str) -> LivePost | None:
        """Return what was begun for a reply, if anything was."""
        row = self._connection.execute(select(t).where(t.c.message_id == message_id, t.c.key == key)).first()
        return None if row is None else _post(row)

    def posted(self, message_id: str, key: str, ts: str) -> None:
        """Remember where it stands."""
        found = update(t).where(t.c.message_id == message_id, t.c.key == key)
        self._connection.execute(found.values(ts=ts))

    def forget(self, message_id: str, key: str) -> None:
        """Forget what is finished, or was never posted."""
        self._connection.execute(delete(t).where(t.c.message_id == message_id, t.c.key == key))

    def working(self, before: datetime, elsewhere: Collection[str] = ()) -> list[LivePost]:
        """Return what says that a turn runs, and was begun before `before`; not of environments elsewhere."""
        query = select(t).where(t.c.key == WORKING, t.c.created_at < before, ~_of(elsewhere))
        return [_post(row) for row in self._connection.execute(query)]

    def take_left(
        self, before: datetime, but: Collection[tuple[str, str]], elsewhere: Collection[str] = ()
    ) -> list[LivePost]:
        """Return what was begun before `before` and nothing will finish, and forget it.

        Left out are those of `but`, all of a message that still has words on their way, and all of
        environments `elsewhere`, whose turns another relay shows.
        """
        waiting = exists().where(
            deliveries.c.subject_id == t.c.message_id,
            deliveries.c.kind == "reply",
            deliveries.c.state.in_(_LIVE),
        )
        rows = self._connection.execute(
            select(t).where(t.c.created_at < before, ~waiting, ~_of(elsewhere))
        ).all()
        left = [one for one in map(_post, rows) if (one.message_id, one.key) not in but]
        for one in left:
            self.forget(one.message_id, one.key)
        return left


def _of(environments: Collection[str]) -> Exists:
    """Return whether the message that is shown is one to these environments."""
    return exists().where(messages.c.id == t.c.message_id, messages.c.environment.in_(environments))


def _post(row: Row[Any]) -> LivePost:
    return LivePost(**row._mapping)  # noqa: SLF001 - SQLAlchemy's public name for a row as a mapping


class Stops:
    """Remembers who asked for a turn to be stopped, until that is told."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def can_be(
        self, team_id: str, channel_id: str, thread_ts: str | None, since: datetime
    ) -> list[tuple[Runtime, str]]:
        """Return the conversations with a turn for a channel, or one thread of it, and whose turn it is."""
        m = messages.c
        query = select(m.environment, m.agent_id, m.conversation_id, m.user_id).where(
            m.team_id == team_id,
            m.channel_id == channel_id,
            m.turn_ended.is_(False),
            m.state == "delivered",
            m.settled_at > since,
        )
        if thread_ts is not None:
            query = query.where(m.thread_ts == thread_ts)
        return [
            (Runtime(row.environment, row.agent_id, row.conversation_id), row.user_id)
            for row in self._connection.execute(query.order_by(m.created_at, m.id))
        ]

    def add(self, message_ids: Collection[str], team_id: str, user_id: str, now: datetime) -> None:
        """Remember who asked for the turn of some messages to be stopped; the first who did."""
        for message_id in message_ids:
            row = {"message_id": message_id, "team_id": team_id, "user_id": user_id, "created_at": now}
            self._connection.execute(upsert(stops).values(**row).on_conflict_do_nothing())

    def by(self, message_id: str) -> str | None:
        """Return who asked for the turn of a message to be stopped."""
        query = select(stops.c.user_id).where(stops.c.message_id == message_id)
        found: str | None = self._connection.execute(query).scalar()
        return found

    def forget(self, message_ids: Collection[str]) -> None:
        """Forget it: it was told, or there was nothing to stop."""
        self._connection.execute(delete(stops).where(stops.c.message_id.in_(message_ids)))
