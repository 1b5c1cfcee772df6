"""What a person's inbox is made of: many requests looked at for few of their columns, then some in full.

The first look gives JSON as it is written: requests are asked about in few different ways, and reading the
same way five hundred times would take longer than all the rest.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import (
    Connection,
    Text,
    and_,
    bindparam,
    literal_column,
    or_,
    select,
    type_coerce,
)

from relay.domain.approvals import OPEN, Approval, State
from relay.store.approval_rows import read
from relay.store.approvals import Copy
from relay.store.dialects import position
from relay.store.statement import Statement
from relay.store.tables import approvals as t
from relay.store.tables import copies, votes

# Written out, not bound, and in the index's own order: SQLite takes a partial index for nothing less.
_open = t.c.state.in_([literal_column(f"'{state}'") for state in State if state in OPEN])
_theirs = and_(votes.c.approval_id == t.c.id, votes.c.user_id == bindparam("person"))
_looked_at = (
    t.c.id,
    type_coerce(t.c.ask, Text).label("ask"),
    type_coerce(t.c.requesters, Text).label("requesters"),
    votes.c.shown_hash == t.c.shown_hash,
)
_WAITING = Statement(
    select(*_looked_at)
    .select_from(t.outerjoin(votes, _theirs))
    .where(t.c.team_id == bindparam("team"), _open, t.c.state == literal_column(f"'{State.PENDING}'"))
    .order_by(t.c.id.desc())
    .limit(bindparam("most"))
)
_latest = (
    select(t.c.id, t.c.ask, t.c.requesters, t.c.decided_by, t.c.decided_at)
    .where(t.c.team_id == bindparam("team"), t.c.decided_at.is_not(None))
    .order_by(t.c.decided_at.desc())
    .limit(bindparam("most"))
    .subquery()
)
_RECENT = Statement(
    select(
        _latest.c.id,
        type_coerce(_latest.c.ask, Text),
        type_coerce(_latest.c.requesters, Text),
        votes.c.approval_id.is_not(None),
    )
    .select_from(
        _latest.outerjoin(
            votes, and_(votes.c.approval_id == _latest.c.id, votes.c.user_id == bindparam("person"))
        )
    )
    .where(
        or_(
            votes.c.approval_id.is_not(None),
            _latest.c.decided_by == bindparam("person"),
            position(type_coerce(_latest.c.requesters, Text), bindparam("quoted", type_=Text)) > 0,
        )
    )
    .order_by(_latest.c.decided_at.desc())
)


@dataclass(frozen=True)
class Glance:
    """A request at first sight: how it is asked and who asked for it are JSON still.

    `voted`: the person answered, as far as that still counts.
    """

    id: str
    ask: str
    requesters: str
    voted: bool


class Inbox:
    """Reads what inboxes are made of within one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def waiting(self, team_id: str, user_id: str, most: int) -> list[Glance]:
        """Return the newest requests that wait for people, at most `most`."""
        rows = _WAITING.run(self._connection, {"team": team_id, "person": user_id, "most": most}).fetchall()
        return [Glance(which, ask, requesters, bool(voted)) for which, ask, requesters, voted in rows]

    def recent(self, team_id: str, user_id: str, most: int) -> list[Glance]:
        """Return those of the last `most` decided requests that somebody asked for, or had a part in."""
        asked = {"team": team_id, "person": user_id, "quoted": f'"{user_id}"', "most": most}
        rows = _RECENT.run(self._connection, asked).fetchall()
        return [Glance(which, ask, requesters, bool(voted)) for which, ask, requesters, voted in rows]

    def some(self, ids: Collection[str]) -> dict[str, Approval]:
        """Return requests in full, by their ids."""
        rows = self._connection.execute(select(t).where(t.c.id.in_(ids)))
        return {row.id: read(row) for row in rows}

    def copies(self, ids: Collection[str]) -> Mapping[str, Sequence[Copy]]:
        """Return where the cards of requests are posted, by request."""
        rows = self._connection.execute(
            select(copies).where(copies.c.approval_id.in_(ids), copies.c.ts.is_not(None))
        )
        found: dict[str, list[Copy]] = {}
        for row in rows:
            copy = Copy(row.id, row.team_id, row.approval_id, tuple(row.places), row.channel_id, row.ts)
            found.setdefault(row.approval_id, []).append(copy)
        return found
