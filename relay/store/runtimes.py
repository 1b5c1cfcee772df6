"""Which conversations have something going on."""

from datetime import datetime

from sqlalchemy import Connection, bindparam, false, literal_column, select

from relay.domain.approvals import State
from relay.domain.runtime import Runtime
from relay.store.tables import approvals, messages

# The states are written out: SQLite takes a partial index only for the index's own condition.
_OPEN_STATES = (State.PENDING, State.DECIDED, State.FAILED, State.EXPIRED)
_ASKED = (
    select(approvals.c.environment, approvals.c.agent_id, approvals.c.conversation_id)
    .where(approvals.c.state.in_([literal_column(f"'{state}'") for state in _OPEN_STATES]))
    .distinct()
)
_SAID = (
    select(messages.c.environment, messages.c.agent_id, messages.c.conversation_id)
    .where(
        messages.c.turn_ended == false(),
        messages.c.settled_at > bindparam("since"),
        messages.c.state == "delivered",
    )
    .distinct()
)


def alive(connection: Connection, since: datetime) -> list[Runtime]:
    """Return those with an open request, or with a message delivered after `since` and not yet over."""
    rows = [*connection.execute(_ASKED), *connection.execute(_SAID, {"since": since})]
    found = [Runtime(row.environment, row.agent_id, row.conversation_id) for row in rows]
    return list(dict.fromkeys(one for one in found if one.conversation_id))
