"""Deliveries to an environment that takes nothing now: out of the claims' way until it is back."""

from datetime import datetime

from sqlalchemy import Connection, bindparam, case, func, or_, select, update

from relay.domain.deliveries import Delivery, Kind, State
from relay.store.delivery_rows import COLUMNS, read
from relay.store.tables import Instant
from relay.store.tables import deliveries as t

_OF_KIND = (t.c.environment == bindparam("of"), t.c.kind == bindparam("sort"))
_due_there = (
    select(t.c.seq)
    .where(t.c.next_attempt_at <= bindparam("now", type_=Instant), *_OF_KIND, t.c.id != bindparam("spared"))
    .order_by(t.c.next_attempt_at, t.c.seq)
    .limit(bindparam("most"))
)
_until = bindparam("until", type_=Instant)
_HOLD = (
    update(t)
    .where(t.c.seq.in_(_due_there), t.c.state == State.PENDING)
    .values(
        away=True,
        next_attempt_at=case(
            (or_(t.c.deadline.is_(None), t.c.deadline > _until), _until), else_=t.c.deadline
        ),
    )
    .returning(*COLUMNS)
)
_held_there = (
    select(t.c.seq)
    .where(*_OF_KIND, t.c.away.is_(True), t.c.next_attempt_at.is_not(None))
    .order_by(t.c.seq)
    .limit(bindparam("most"))
)
_WAKE = (
    update(t)
    .where(t.c.seq.in_(_held_there), t.c.state == State.PENDING)
    .values(away=False, next_attempt_at=bindparam("now", type_=Instant))
)
_of_any = (t.c.environment == bindparam("of"), t.c.away.is_(True), t.c.next_attempt_at.is_not(None))
_HOW_MANY = select(func.count()).where(*_of_any)
_WHY = select(t.c.last_error).where(*_of_any, t.c.last_error != "").order_by(t.c.seq).limit(1)


class HeldBack:
    """Holds deliveries back and lets them go, a bounded number at a time, within one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def hold(
        self, kind: Kind, environment: str, now: datetime, until: datetime, *, spared: str, most: int
    ) -> list[Delivery]:
        """Hold back up to `most` of a kind that are due, but for one; `until`, or their deadline, at most."""
        where = {"of": environment, "sort": kind, "now": now, "until": until, "spared": spared, "most": most}
        return [read(row) for row in self._connection.execute(_HOLD, where)]

    def release(self, kind: Kind, environment: str, now: datetime, most: int) -> int:
        """Make due at once up to `most` that wait for their environment, oldest first; return how many."""
        where = {"of": environment, "sort": kind, "now": now, "most": most}
        return self._connection.execute(_WAKE, where).rowcount if most > 0 else 0

    def waiting(self, environment: str) -> tuple[int, str]:
        """Return how many wait for an environment, and what the oldest that was tried was told."""
        where = {"of": environment}
        why: str | None = self._connection.execute(_WHY, where).scalar()
        return self._connection.execute(_HOW_MANY, where).scalar_one(), why or ""
