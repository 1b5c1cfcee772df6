"""Which conversation a thread or a channel has, from before it is made at the environments API."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, insert, select, update

from relay.store.tables import conversations as t


@dataclass(frozen=True)
class Binding:
    """A conversation by its `key`, which stays; `conversation_id` comes with its first delivery."""

    team_id: str
    environment: str
    agent_id: str
    key: str
    conversation_id: str | None
    channel_id: str
    thread_ts: str | None
    created_at: datetime
    last_used_at: datetime


class Conversations:
    """Reads and writes bindings within one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, binding: Binding) -> None:
        """Add a binding."""
        self._connection.execute(insert(t).values(**vars(binding)))

    def get(self, team_id: str, environment: str, agent_id: str, key: str) -> Binding | None:
        """Return one binding."""
        return self._first(*_is(team_id, environment, agent_id, key))

    def of_thread(
        self, team_id: str, environment: str, agent_id: str, channel_id: str, thread_ts: str
    ) -> Binding | None:
        """Return the binding of a thread, the newest where there are several."""
        return self._first(
            t.c.channel_id == channel_id,
            t.c.thread_ts == thread_ts,
            t.c.team_id == team_id,
            t.c.environment == environment,
            t.c.agent_id == agent_id,
        )

    def of_conversation(self, environment: str, agent_id: str, conversation_id: str) -> Binding | None:
        """Return the binding of a conversation that the environments API made."""
        return self._first(
            t.c.conversation_id == conversation_id,
            t.c.environment == environment,
            t.c.agent_id == agent_id,
        )

    def bind(self, binding: Binding, conversation_id: str) -> str:
        """Give a binding its conversation unless it has one; return the one it has."""
        which = _is(binding.team_id, binding.environment, binding.agent_id, binding.key)
        unbound = update(t).where(*which, t.c.conversation_id.is_(None))
        self._connection.execute(unbound.values(conversation_id=conversation_id))
        bound: str = self._connection.execute(select(t.c.conversation_id).where(*which)).scalar_one()
        return bound

    def unbind(self, team_id: str, environment: str, agent_id: str, key: str, conversation_id: str) -> None:
        """Take its conversation from a binding, if it has this one."""
        which = (*_is(team_id, environment, agent_id, key), t.c.conversation_id == conversation_id)
        self._connection.execute(update(t).where(*which).values(conversation_id=None))

    def use(self, binding: Binding, now: datetime) -> None:
        """Remember that a binding was used."""
        which = _is(binding.team_id, binding.environment, binding.agent_id, binding.key)
        self._connection.execute(update(t).where(*which).values(last_used_at=now))

    def set_thread(self, team_id: str, environment: str, agent_id: str, key: str, thread_ts: str) -> None:
        """Say which thread a binding is of, if there is such a binding and it does not know yet."""
        which = (*_is(team_id, environment, agent_id, key), t.c.thread_ts.is_(None))
        self._connection.execute(update(t).where(*which).values(thread_ts=thread_ts))

    def _first(self, *conditions: ColumnElement[bool]) -> Binding | None:
        query = select(t).where(*conditions).order_by(t.c.created_at.desc()).limit(1)
        row = self._connection.execute(query).first()
        return None if row is None else _binding(row)


def _is(team_id: str, environment: str, agent_id: str, key: str) -> tuple[ColumnElement[bool], ...]:
    return (
        t.c.team_id == team_id,
        t.c.environment == environment,
        t.c.agent_id == agent_id,
        t.c.key == key,
    )


def _binding(row: Row[Any]) -> Binding:
    return Binding(**row._mapping)  # noqa: SLF001 - SQLAlchemy's public name for a row as a mapping
