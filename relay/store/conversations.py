"""Which conversation a thread or a channel has, from before it is made at the environments API."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, bindparam, insert, literal_column, select, update

from relay.store.statement import Reading, Statement
from relay.store.tables import conversations as t

_KEY = ("team_id", "environment", "agent_id", "key")
_IS = tuple(t.c[name] == bindparam(f"of_{name}") for name in _KEY)
_OF_AGENT = (t.c.environment == bindparam("of_environment"), t.c.agent_id == bindparam("of_agent_id"))


def _newest(*conditions: ColumnElement[bool]) -> Reading:
    query = select(t).where(*conditions).order_by(t.c.created_at.desc())
    return Reading(query.limit(literal_column("1")))


_ADD = Statement(insert(t), columns=[column.name for column in t.c])
_GET = _newest(*_IS)
_OF_THREAD = _newest(
    t.c.channel_id == bindparam("channel"),
    t.c.thread_ts == bindparam("thread"),
    t.c.team_id == bindparam("of_team_id"),
    *_OF_AGENT,
)
_OF_CONVERSATION = _newest(t.c.conversation_id == bindparam("conversation"), *_OF_AGENT)
_BIND = Statement(
    update(t).where(*_IS, t.c.conversation_id.is_(None)).values(conversation_id=bindparam("conversation"))
)
_UNBIND = Statement(
    update(t).where(*_IS, t.c.conversation_id == bindparam("conversation")).values(conversation_id=None)
)
_USE = Statement(update(t).where(*_IS).values(last_used_at=bindparam("now")))
_SET_THREAD = Statement(update(t).where(*_IS, t.c.thread_ts.is_(None)).values(thread_ts=bindparam("thread")))


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
        _ADD.leave(self._connection, vars(binding))

    def get(self, team_id: str, environment: str, agent_id: str, key: str) -> Binding | None:
        """Return one binding."""
        return self._first(_GET, _which(team_id, environment, agent_id, key))

    def of_thread(
        self, team_id: str, environment: str, agent_id: str, channel_id: str, thread_ts: str
    ) -> Binding | None:
        """Return the binding of a thread, the newest where there are several."""
        where = {"channel": channel_id, "thread": thread_ts}
        return self._first(_OF_THREAD, {**_which(team_id, environment, agent_id), **where})

    def of_conversation(self, environment: str, agent_id: str, conversation_id: str) -> Binding | None:
        """Return the binding of a conversation that the environments API made."""
        of = {"of_environment": environment, "of_agent_id": agent_id}
        return self._first(_OF_CONVERSATION, {**of, "conversation": conversation_id})

    def bind(self, binding: Binding, conversation_id: str) -> str:
        """Give a binding its conversation unless it has one; return the one it has."""
        which = _of(binding)
        _BIND.leave(self._connection, {**which, "conversation": conversation_id})
        bound = self._first(_GET, which)
        if bound is None or bound.conversation_id is None:
            raise LookupError(f"the conversation of {binding.key} is not in the store")
        return bound.conversation_id

    def unbind(self, team_id: str, environment: str, agent_id: str, key: str, conversation_id: str) -> None:
        """Take its conversation from a binding, if it has this one."""
        which = _which(team_id, environment, agent_id, key)
        _UNBIND.leave(self._connection, {**which, "conversation": conversation_id})

    def use(self, binding: Binding, now: datetime) -> None:
        """Remember that a binding was used."""
        _USE.leave(self._connection, {**_of(binding), "now": now})

    def set_thread(self, team_id: str, environment: str, agent_id: str, key: str, thread_ts: str) -> None:
        """Say which thread a binding is of, if there is such a binding and it does not know yet."""
        which = _which(team_id, environment, agent_id, key)
        _SET_THREAD.leave(self._connection, {**which, "thread": thread_ts})

    def _first(self, query: Reading, values: Mapping[str, Any]) -> Binding | None:
        row = query.first(self._connection, values)
        return None if row is None else Binding(**row._asdict())


def _which(*key: str) -> dict[str, str]:
    return {f"of_{name}": value for name, value in zip(_KEY, key, strict=False)}


def _of(binding: Binding) -> dict[str, str]:
    return _which(binding.team_id, binding.environment, binding.agent_id, binding.key)
