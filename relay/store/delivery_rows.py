"""A delivery as a row, and back."""

from typing import Any

from relay.domain.deliveries import Delivery, Kind, State
from relay.store.tables import deliveries as t

COLUMNS: tuple[Any, ...] = (
    t.c.id, t.c.team_id, t.c.kind, t.c.ordering_key, t.c.subject_id, t.c.environment, t.c.body, t.c.state,
    t.c.attempts, t.c.uncertain, t.c.created_at, t.c.next_attempt_at, t.c.deadline, t.c.receipt,
    t.c.last_error,
)  # fmt: skip


def read(row: Any, *, claimed: bool = False) -> Delivery:
    """Return the delivery of a row, or as it is once it is `claimed`."""
    return Delivery(
        id=row.id,
        team_id=row.team_id,
        kind=Kind(row.kind),
        ordering_key=row.ordering_key,
        subject_id=row.subject_id,
        environment=row.environment,
        body=row.body,
        state=State.SENDING if claimed else State(row.state),
        attempts=row.attempts + claimed,
        uncertain=row.uncertain,
        created_at=row.created_at,
        next_attempt_at=row.next_attempt_at,
        deadline=row.deadline,
        receipt=row.receipt,
        last_error=row.last_error,
    )
