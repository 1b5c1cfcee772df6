"""When tools of a conversation were seen to start and to return, as the record has it."""

from datetime import datetime

from sqlalchemy import Connection, bindparam, func, select

from relay.domain.runtime import Runtime
from relay.store.tables import approvals, audit

STARTED, RETURNED = "tool.started", "tool.returned"
_SIGNS = (
    select(audit.c.subject_id, audit.c.action, audit.c.at)
    .select_from(approvals.join(audit, audit.c.subject_id == approvals.c.id))
    .where(
        approvals.c.environment == bindparam("environment"),
        approvals.c.agent_id == bindparam("agent"),
        approvals.c.conversation_id == bindparam("conversation"),
        audit.c.action.in_([STARTED, RETURNED]),
        audit.c.at > bindparam("since"),
    )
)
_LATEST = select(func.max(audit.c.at)).where(
    audit.c.subject_id == bindparam("subject"), audit.c.action == bindparam("what")
)


class ToolRuns:
    """Reads, within one transaction, what the record says of tools and requests."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def latest(self, subject_id: str, action: str) -> datetime | None:
        """Return when something was last put on the record about a subject."""
        found: datetime | None = self._connection.execute(
            _LATEST, {"subject": subject_id, "what": action}
        ).scalar()
        return found

    def busy_until(self, runtime: Runtime, now: datetime, since: datetime) -> datetime | None:
        """Return until when a tool ran that started after `since`: `now` while one does, None: none did."""
        where = {
            "environment": runtime.environment, "agent": runtime.agent_id,
            "conversation": runtime.conversation_id, "since": since,
        }  # fmt: skip
        signs = self._connection.execute(_SIGNS, where).all()
        returned = {row.subject_id for row in signs if row.action == RETURNED}
        running = any(row.action == STARTED and row.subject_id not in returned for row in signs)
        return now if running else max((row.at for row in signs), default=None)
