"""The outbox: rows that leave one by one within an ordering key."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Boolean,
    Connection,
    Row,
    Select,
    Text,
    and_,
    bindparam,
    case,
    func,
    insert,
    literal_column,
    or_,
    select,
    update,
)

from relay.domain.deliveries import Delivery, Kind, Settled, State
from relay.domain.ids import new_id
from relay.domain.room import Room
from relay.store.statement import Statement
from relay.store.tables import Instant, messages
from relay.store.tables import deliveries as t

_LIVE = (State.PENDING, State.SENDING)
# What follows a command may wait for the acknowledgements of other commands; nobody waits for more.
_PATIENT = frozenset({Kind.MESSAGE, Kind.ROOT})
_COLUMNS: tuple[Any, ...] = (
    t.c.id, t.c.team_id, t.c.kind, t.c.ordering_key, t.c.subject_id, t.c.environment, t.c.body, t.c.state,
    t.c.attempts, t.c.uncertain, t.c.created_at, t.c.next_attempt_at, t.c.deadline, t.c.receipt,
    t.c.last_error,
)  # fmt: skip

# The states are written out, not bound: SQLite takes the partial index of the live rows only for a
# condition that it can compare with the index's own; with parameters it reads the whole table.
_live = t.c.state.in_([literal_column(f"'{state}'") for state in _LIVE])
_ahead = select(t.c.seq).where(t.c.ordering_key == bindparam("key"), _live).exists()
_ADD = Statement(
    insert(t)
    .values(next_attempt_at=case((_ahead, None), else_=bindparam("due", type_=Instant)))
    .returning(t.c.next_attempt_at),
    columns=[column.name for column in t.c if column is not t.c.seq],
)
# The names of the environments that are full, each on a line of its own.
_is_full = func.instr(bindparam("full", type_=Text), "\n" + t.c.environment + "\n") > 0
_there_is_room = or_(t.c.kind != Kind.MESSAGE, and_(bindparam("messages", type_=Boolean), ~_is_full))
_DUE = (
    select(*_COLUMNS)
    .where(t.c.next_attempt_at <= bindparam("now"), _there_is_room)
    .order_by(t.c.next_attempt_at)
    .limit(bindparam("most"))
)
_LOST = select(t.c.id).where(t.c.lease_until <= bindparam("now"))
_CLAIM = (
    update(t)
    .where(t.c.id == bindparam("which"))
    .values(
        state=State.SENDING, attempts=t.c.attempts + 1, next_attempt_at=None, lease_until=bindparam("until")
    )
)
_RENEW = (
    update(t)
    .where(t.c.id == bindparam("which"), t.c.state == State.SENDING)
    .values(lease_until=bindparam("until"))
)
_SETTLE = Statement(
    update(t)
    .where(t.c.id == bindparam("which"), t.c.state == State.SENDING, t.c.attempts == bindparam("attempt"))
    .values(
        state=bindparam("new_state"),
        next_attempt_at=bindparam("due"),
        lease_until=None,
        uncertain=bindparam("unsure"),
        away=bindparam("offline"),
        receipt=bindparam("got"),
        last_error=bindparam("error"),
        settled_at=bindparam("settled"),
    )
)
_first = (
    select(t.c.seq)
    .where(t.c.ordering_key == bindparam("key"), _live)
    .order_by(t.c.seq)
    .limit(1)
    .scalar_subquery()
)
_PROMOTE = Statement(
    update(t).where(t.c.seq == _first, t.c.state == State.PENDING).values(next_attempt_at=bindparam("due"))
)
_UNDER_WAY = (
    select(t.c.id).where(t.c.ordering_key == bindparam("key"), _live, t.c.state == State.SENDING).limit(1)
)
_STEP_BACK = (
    update(t)
    .where(t.c.ordering_key == bindparam("key"), _live, t.c.state == State.PENDING)
    .values(next_attempt_at=None)
)
_NEXT_DUE = (
    select(t.c.next_attempt_at)
    .where(t.c.next_attempt_at.is_not(None), _there_is_room)
    .order_by(t.c.next_attempt_at)
    .limit(1)
)
_ONE = select(*_COLUMNS).where(t.c.id == bindparam("which"))
_WAITING = select(t.c.id).where(
    t.c.ordering_key == bindparam("key"),
    _live,
    t.c.kind == bindparam("sort"),
    t.c.state == State.PENDING,
    t.c.attempts == 0,
)
_ROOTS = (
    select(t.c.id, t.c.subject_id)
    .select_from(t.join(messages, messages.c.id == t.c.subject_id))
    .where(
        _live,
        t.c.kind == Kind.ROOT,
        messages.c.team_id == bindparam("team"),
        messages.c.channel_id == bindparam("channel"),
        messages.c.thread_ts.is_(None),
    )
)
_WAKE = (
    update(t)
    .where(
        t.c.environment == bindparam("which"),
        t.c.away.is_(True),
        t.c.state == State.PENDING,
        t.c.next_attempt_at.is_not(None),
    )
    .values(next_attempt_at=bindparam("due"))
)
_HURRY = (
    update(t)
    .where(
        t.c.subject_id == bindparam("of"),
        t.c.kind == bindparam("sort"),
        t.c.state == State.PENDING,
        t.c.next_attempt_at.is_not(None),
    )
    .values(next_attempt_at=bindparam("due"))
)
_FREE = (
    update(t)
    .where(_live, t.c.state == State.SENDING)
    .values(state=State.PENDING, lease_until=None, uncertain=True, next_attempt_at=t.c.created_at)
)


class Deliveries:
    """Adds, claims and settles deliveries within one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.wakes = False
        self.urgent = False

    def add(
        self,
        kind: Kind,
        *,
        team_id: str,
        ordering_key: str,
        subject_id: str,
        now: datetime,
        environment: str = "",
        body: Mapping[str, Any] | None = None,
        deadline: datetime | None = None,
        delivery_id: str | None = None,
        due: datetime | None = None,
    ) -> str:
        """Add a delivery behind those of its ordering key and return its id; it leaves when it is `due`."""
        which = delivery_id or new_id("dlv", now)
        row = {
            "id": which, "team_id": team_id, "kind": kind, "ordering_key": ordering_key,
            "subject_id": subject_id, "environment": environment, "body": dict(body or {}),
            "state": State.PENDING, "attempts": 0, "uncertain": False, "away": False, "created_at": now,
            "deadline": deadline, "lease_until": None, "settled_at": None, "receipt": {}, "last_error": "",
            "key": ordering_key, "due": due or now,
        }  # fmt: skip
        is_head = _ADD.run(self._connection, row).fetchone() != (None,)
        self.wakes = self.wakes or is_head
        self.urgent = self.urgent or (is_head and kind not in _PATIENT)
        return which

    def add_once(
        self, kind: Kind, *, team_id: str, ordering_key: str, subject_id: str, now: datetime
    ) -> None:
        """Add a delivery whose body is made when it is sent, unless one of its key waits already."""
        if self._connection.execute(_WAITING, {"key": ordering_key, "sort": kind}).first() is None:
            self.add(kind, team_id=team_id, ordering_key=ordering_key, subject_id=subject_id, now=now)

    def claim(self, most: int, now: datetime, until: datetime, room: Room | None = None) -> list[Delivery]:
        """Claim up to `most` deliveries that are due and for which there is `room`, as claimed.

        With room for some of those of an environment only, the others are left out once it is full.
        """
        self._release_lost(now)
        room = room or Room()
        found = self._connection.execute(_DUE, {"now": now, "most": most, **_as_bound(room)}).all()
        rows = [row for row in found if room.take(Kind(row.kind), row.environment)]
        if rows:
            self._connection.execute(_CLAIM, [{"which": row.id, "until": until} for row in rows])
        return [_delivery(row, claimed=True) for row in rows]

    def _release_lost(self, now: datetime) -> None:
        for (which,) in self._connection.execute(_LOST, {"now": now}).all():
            lost = update(t).where(t.c.id == which)
            self._connection.execute(
                lost.values(state=State.PENDING, lease_until=None, uncertain=True, next_attempt_at=now)
            )

    def renew(self, ids: Sequence[str], until: datetime) -> None:
        """Keep the claims of `ids` until `until`."""
        if ids:
            self._connection.execute(_RENEW, [{"which": which, "until": until} for which in ids])

    def settle(
        self,
        delivery: Delivery,
        settled: Settled,
        now: datetime,
        *,
        uncertain: bool,
        receipt: Mapping[str, Any],
    ) -> bool:
        """Record an attempt's end and return whether the claim was still ours."""
        done = settled.state is not State.PENDING
        values = {
            "which": delivery.id, "attempt": delivery.attempts, "new_state": settled.state,
            "due": settled.next_attempt_at, "unsure": uncertain, "offline": settled.away,
            "got": dict(receipt), "error": settled.reason, "settled": now if done else None,
        }  # fmt: skip
        if _SETTLE.run(self._connection, values).rowcount == 0:
            return False
        if done:
            self._promote(delivery.ordering_key, now)
        else:
            self.wakes = True
        return True

    def _promote(self, ordering_key: str, now: datetime) -> None:
        if _PROMOTE.run(self._connection, {"key": ordering_key, "due": now}).rowcount:
            self.wakes = True

    def finish(self, delivery_id: str, state: State, now: datetime, reason: str = "") -> None:
        """End a delivery from outside: its evidence came, or what it was for is over."""
        row = self.get(delivery_id)
        if row is None or row.state not in _LIVE:
            return
        ended = update(t).where(t.c.id == delivery_id)
        self._connection.execute(
            ended.values(
                state=state, next_attempt_at=None, lease_until=None, settled_at=now, last_error=reason
            )
        )
        self._promote(row.ordering_key, now)

    def reopen(self, delivery_id: str, now: datetime, deadline: datetime | None) -> bool:
        """Make a settled delivery pending again, at once, and return whether it was one."""
        row = self.get(delivery_id)
        if row is None or row.state in _LIVE:
            return False
        again = update(t).where(t.c.id == delivery_id)
        self._connection.execute(
            again.values(
                state=State.PENDING,
                settled_at=None,
                deadline=deadline,
                next_attempt_at=None,
                uncertain=row.uncertain or row.state is State.DELIVERED,  # it has arrived before
            )
        )
        # What came after it was the head meanwhile: it steps back, or, if it is under way, goes first.
        self._connection.execute(_STEP_BACK, {"key": row.ordering_key})
        if self._connection.execute(_UNDER_WAY, {"key": row.ordering_key}).first() is None:
            self._promote(row.ordering_key, now)
        return True

    def roots_on_their_way(self, team_id: str, channel_id: str) -> dict[str, str]:
        """Return the roots in a channel that may stand there already, each with its message."""
        rows = self._connection.execute(_ROOTS, {"team": team_id, "channel": channel_id})
        return {row.id: row.subject_id for row in rows}

    def wake(self, environment: str, now: datetime) -> None:
        """Make due at once whatever waits for `environment` to be back."""
        if self._connection.execute(_WAKE, {"which": environment, "due": now}).rowcount:
            self.wakes = True

    def hurry(self, subject_id: str, kind: Kind, now: datetime) -> None:
        """Make due at once what speaks for a subject and waits for its time."""
        if self._connection.execute(_HURRY, {"of": subject_id, "sort": kind, "due": now}).rowcount:
            self.wakes = self.urgent = True

    def change_body(self, delivery_id: str, body: Mapping[str, Any]) -> None:
        """Let a delivery carry something else the next time."""
        self._connection.execute(update(t).where(t.c.id == delivery_id).values(body=dict(body)))

    def scrub(self, delivery_id: str) -> None:
        """Forget what a settled delivery carried."""
        self._connection.execute(update(t).where(t.c.id == delivery_id).values(body={}))

    def free_claims(self) -> None:
        """Free every claim: the process that held them is gone, and its attempts may have arrived."""
        self._connection.execute(_FREE)

    def next_due(self, room: Room | None = None) -> datetime | None:
        """Return when the next delivery may be claimed, of those for which there is `room`."""
        due: datetime | None = self._connection.execute(_NEXT_DUE, _as_bound(room or Room())).scalar()
        return due

    def get(self, delivery_id: str) -> Delivery | None:
        """Return one delivery."""
        row = self._connection.execute(_ONE, {"which": delivery_id}).first()
        return None if row is None else _delivery(row)

    def of_subject(self, subject_id: str, kind: Kind) -> list[Delivery]:
        """Return the deliveries of `kind` that speak for a message, approval or copy, oldest first."""
        query = select(*_COLUMNS).where(t.c.subject_id == subject_id, t.c.kind == kind).order_by(t.c.seq)
        return [_delivery(row) for row in self._connection.execute(query)]

    def page(self, *, state: str | None, most: int, after: str = "") -> list[Delivery]:
        """Return up to `most` deliveries, newest first, of a state or of all, older than `after`."""
        query: Select[Any] = select(*_COLUMNS).order_by(t.c.seq.desc()).limit(most)
        if state is not None:
            query = query.where(t.c.state == state)
        if after:
            query = query.where(t.c.seq < select(t.c.seq).where(t.c.id == after).scalar_subquery())
        return [_delivery(row) for row in self._connection.execute(query)]


def _as_bound(room: Room) -> dict[str, Any]:
    return {"messages": room.takes_messages, "full": "".join(f"\n{name}\n" for name in room.full)}


def _delivery(row: Row[Any], *, claimed: bool = False) -> Delivery:
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
