"""What has not left yet, counted for whoever watches."""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, func, literal_column, select

from relay.domain.deliveries import Kind, State
from relay.store.tables import deliveries as t

# Written out, not bound: only so SQLite takes the partial index of the live rows.
_live = t.c.state.in_([literal_column(f"'{state}'") for state in (State.PENDING, State.SENDING)])
# Asked while others wait for the store: over the index of the live rows, however many are settled. Of a
# row it reads what stands before the body; what stands behind it is looked up for the oldest alone.
_kinds = (
    select(t.c.kind, func.count().label("live"), func.min(t.c.seq).label("first"))
    .where(_live)
    .group_by(t.c.kind)
    .cte("kinds")
)
_one, _leased, _next = t.alias("one"), t.alias("leased"), t.alias("next")
_BACKLOG = select(
    _kinds.c.kind,
    _kinds.c.live,
    select(func.count())
    .where(_leased.c.lease_until.is_not(None), _leased.c.kind == _kinds.c.kind)
    .scalar_subquery(),
    select(_one.c.created_at).where(_one.c.seq == _kinds.c.first).scalar_subquery(),
    select(_next.c.next_attempt_at)
    .where(_next.c.next_attempt_at.is_not(None))
    .order_by(_next.c.next_attempt_at)
    .limit(1)
    .scalar_subquery(),
)


class Backlog(NamedTuple):
    """How many deliveries of a kind have not left, and since when the oldest of them is there.

    `due` is when the first of all kinds is due; None: nothing is, before what is under way has ended.
    """

    kind: Kind
    live: int
    sending: int
    oldest: datetime
    due: datetime | None


def backlog(connection: Connection) -> list[Backlog]:
    """Return what has not left, by kind."""
    return [Backlog(Kind(row[0]), *row[1:]) for row in connection.execute(_BACKLOG)]
