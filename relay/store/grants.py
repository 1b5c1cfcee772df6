"""Grants: what somebody allowed for a while."""

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Text, bindparam, insert, select, type_coerce, update

from relay.domain.approvals import Approval
from relay.domain.grants import Grant, by_grant, grant_of
from relay.domain.rules import Circle
from relay.store.dialects import position
from relay.store.statement import Reading
from relay.store.tables import approvals, compact
from relay.store.tables import grants as t

_MOST_LISTED = 200
_OF_TOOL = (
    t.c.team_id == bindparam("team"),
    t.c.environment == bindparam("environment"),
    t.c.agent_id == bindparam("agent"),
    t.c.conversation_id == bindparam("conversation"),
    t.c.tool_name == bindparam("tool"),
)
_usable = (t.c.revoked_at.is_(None), t.c.expires_at > bindparam("now"), t.c.uses < t.c.most_uses)
_FOR_TOOL = Reading(select(t).where(*_OF_TOOL, *_usable).order_by(t.c.expires_at))
_GIVEN_WITH = select(t).where(*_OF_TOOL, t.c.approval_id == bindparam("approval"))
_LIVE = (
    select(t)
    .where(t.c.team_id == bindparam("team"), *_usable)
    .order_by(t.c.expires_at)
    .limit(bindparam("most"))
)
_ALL_LIVE = select(t).where(*_usable).order_by(t.c.expires_at, t.c.id).limit(bindparam("most"))
_USE = (
    update(t)
    .where(t.c.id == bindparam("which"), t.c.uses == bindparam("seen"), *_usable)
    .values(uses=t.c.uses + 1)
)
_REVOKE = (
    update(t)
    .where(t.c.id == bindparam("which"), *_usable)
    .values(revoked_at=bindparam("moment"), revoked_by=bindparam("person"))
)


class Grants:
    """Reads and writes grants within one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, new: Grant) -> None:
        """Add a grant."""
        patterns = {key: dict(pattern) for key, pattern in new.patterns.items()}
        kept = {"patterns": patterns, "approvers": new.approvers.written()}
        self._connection.execute(insert(t), {**vars(new), **kept})

    def get(self, grant_id: str) -> Grant | None:
        """Return one grant."""
        row = self._connection.execute(select(t).where(t.c.id == grant_id)).first()
        return None if row is None else _read(row)

    def theirs(self, team_id: str, grant_id: str) -> Grant | None:
        """Return one grant of a workspace, for whoever names it there."""
        found = self.get(grant_id)
        return found if found is not None and found.team_id == team_id else None

    def for_tool(self, approval: Approval, now: datetime) -> list[Grant]:
        """Return the workspace's grants that may be used for the tool of a request in its conversation."""
        return [_read(row) for row in _FOR_TOOL.all(self._connection, {**_tool(approval), "now": now})]

    def of(self, approval: Approval) -> Grant | None:
        """Return the grant that decided a request, or that was given with it."""
        which = grant_of(approval.decision.rule) if approval.decision else None
        if which is not None:
            return self.get(which)
        row = self._connection.execute(_GIVEN_WITH, {**_tool(approval), "approval": approval.id}).first()
        return None if row is None else _read(row)

    def live(self, team_id: str, now: datetime) -> list[Grant]:
        """Return the grants of a workspace that may be used, those that end first first, at most 200."""
        asked = {"team": team_id, "now": now, "most": _MOST_LISTED}
        return [_read(row) for row in self._connection.execute(_LIVE, asked)]

    def all_live(self, most: int, now: datetime) -> list[Grant]:
        """Return up to `most` grants that may be used, whoever's; those that end first first."""
        return [_read(row) for row in self._connection.execute(_ALL_LIVE, {"most": most, "now": now})]

    def use(self, grant: Grant, now: datetime) -> bool:
        """Count one use by compare-and-set, and return whether it may be used."""
        counted = self._connection.execute(_USE, {"which": grant.id, "seen": grant.uses, "now": now})
        return counted.rowcount == 1

    def revoke(self, grant_id: str, user_id: str, now: datetime) -> bool:
        """Revoke a grant, and return whether it could still be used."""
        what = {"which": grant_id, "moment": now, "person": user_id, "now": now}
        return self._connection.execute(_REVOKE, what).rowcount == 1

    def used_for(self, grant: Grant) -> list[str]:
        """Return the ids of the requests that a grant decided."""
        a = approvals.c
        rule = by_grant(grant.id)
        query = select(a.id, a.decision).where(
            a.environment == grant.environment,
            a.agent_id == grant.agent_id,
            a.conversation_id == grant.conversation_id,
            a.decided_at >= grant.created_at,
            # As it is written; what an input says may read alike.
            position(type_coerce(a.decision, Text), f'"rule":{compact(rule)}') > 0,
        )
        return [row.id for row in self._connection.execute(query) if row.decision.get("rule") == rule]


def _tool(approval: Approval) -> dict[str, Any]:
    asked = approval.asked
    return {
        "team": approval.team_id,
        "environment": asked.environment,
        "agent": asked.agent_id,
        "conversation": asked.conversation_id,
        "tool": asked.tool_name,
    }


def _read(row: Any) -> Grant:
    return Grant(**{**row._asdict(), "approvers": Circle.read(row.approvers)})
