"""Votes: one a person and request, the last one given."""

from collections.abc import Collection

from sqlalchemy import Connection, bindparam, delete, select

from relay.domain.votes import Vote
from relay.store.dialects import upsert
from relay.store.statement import Reading, Statement
from relay.store.tables import votes as t

_GIVEN = upsert(t)
_GIVE = Statement(
    _GIVEN.on_conflict_do_update(
        index_elements=["approval_id", "user_id"],
        set_={name: _GIVEN.excluded[name] for name in ("approve", "reason", "shown_hash", "voted_at")},
    ),
    columns=[column.name for column in t.c],
)
_OF = Reading(select(t).where(t.c.approval_id == bindparam("approval")).order_by(t.c.voted_at))


class Votes:
    """Reads and writes votes within one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def give(self, approval_id: str, team_id: str, vote: Vote) -> None:
        """Keep a person's vote in place of what they voted before."""
        row = {
            "approval_id": approval_id,
            "user_id": vote.user_id,
            "team_id": team_id,
            "approve": vote.approve,
            "reason": vote.reason,
            "shown_hash": vote.shown_hash,
            "voted_at": vote.voted_at,
        }
        _GIVE.leave(self._connection, row)

    def withdraw(self, approval_id: str, user_ids: Collection[str]) -> None:
        """Forget what these people voted on a request."""
        theirs = t.c.approval_id == approval_id, t.c.user_id.in_(user_ids)
        self._connection.execute(delete(t).where(*theirs))

    def of(self, approval_id: str) -> list[Vote]:
        """Return the votes on a request, the oldest first."""
        rows = _OF.all(self._connection, {"approval": approval_id})
        return [Vote(row.user_id, row.approve, row.reason, row.shown_hash, row.voted_at) for row in rows]
