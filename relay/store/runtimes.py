"""Which conversations have something going on."""

from datetime import datetime

from sqlalchemy import Connection, Select, select

from relay.domain.approvals import State
from relay.domain.runtime import Runtime
from relay.store.tables import approvals, messages


def alive(connection: Connection, since: datetime) -> list[Runtime]:
    """Return those with an open request, or with a message delivered after `since` and not yet over."""
    open_states = (State.PENDING, State.DECIDED, State.FAILED)
    asked = select(approvals.c.environment, approvals.c.agent_id, approvals.c.conversation_id)
    said = select(messages.c.environment, messages.c.agent_id, messages.c.conversation_id)
    in_turn = messages.c.turn_ended.is_(False) & (messages.c.settled_at > since)
    queries: tuple[Select[tuple[str, str, str]], ...] = (
        asked.where(approvals.c.state.in_(open_states)).distinct(),
        said.where(in_turn, messages.c.state == "delivered").distinct(),
    )
    rows = [row for query in queries for row in connection.execute(query)]
    found = [Runtime(row.environment, row.agent_id, row.conversation_id) for row in rows]
    return list(dict.fromkeys(one for one in found if one.conversation_id))
