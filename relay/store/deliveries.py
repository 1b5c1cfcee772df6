"""The outbox: rows that leave one by one within an ordering key."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Boolean,
    Connection,
    Text,
    and_,
    bindparam,
    case,
    false,
    insert,
    literal_column,
    null,
    or_,
    select,
    update,
)

from relay.domain.deliveries import Delivery, Kind, Settled, State
from relay.domain.ids import new_id
from relay.domain.moments import moment_of
from relay.domain.room import Room
from relay.domain.traced import KEPT_AS
from relay.store.delivery_rows import COLUMNS, read
from relay.store.dialects import position
from relay.store.statement import Found, Reading, Statement
from relay.store.tables import Instant, messages
from relay.store.tables import deliveries as t

_LIVE = (State.PENDING, State.SENDING)
# What follows a command may wait for the acknowledgements of other commands; nobody waits for more.
_PATIENT = frozenset({Kind.MESSAGE, Kind.ROOT})
# The states are written out, not bound: SQLite takes the partial index of the live rows only for a
# condition that it can compare with the index's own; with parameters it reads the whole table.
_live = t.c.state.in_([literal_column(f"'{state}'") for state in _LIVE])
_ahead = select(t.c.seq).where(t.c.ordering_key == bindparam("key"), _live).exists()
# As every delivery begins: written into the statement, for what is bound costs more each time.
_NEW = {
    "state": literal_column(f"'{State.PENDING}'"), "attempts": literal_column("0"), "uncertain": false(),
    "away": false(), "lease_until": null(), "settled_at": null(), "receipt": literal_column("'{}'"),
    "last_error": literal_column("''"),
}  # fmt: skip
_ADD = Statement(
    insert(t)
    .values(next_attempt_at=case((_ahead, None), else_=bindparam("due", type_=Instant)), **_NEW)
    .returning(t.c.next_attempt_at),
    columns=[column.name for column in t.c if column.name not in ("seq", *_NEW)],
)
# The names of the environments that are full, each on a line of its own.
_is_full = position(bindparam("full", type_=Text), "\n" + t.c.environment + "\n") > 0
# The same way, those that others send to: each on a line, none of them empty.
_is_ours = position(bindparam("elsewhere", type_=Text), "\n" + t.c.environment + "\n") == 0
_there_is_room = or_(t.c.kind != Kind.MESSAGE, and_(bindparam("messages", type_=Boolean), ~_is_full))
_DUE = Reading(
    select(*COLUMNS)
    .where(t.c.next_attempt_at <= bindparam("now"), _there_is_room, _is_ours)
    .order_by(t.c.next_attempt_at, t.c.seq)
    .limit(bindparam("most"))
    # What somebody else has under their hands, an operator say, is left for the next time.
    .with_for_update(skip_locked=True)
)
_LOST = Statement(select(t.c.id).where(t.c.lease_until <= bindparam("now")).with_for_update(skip_locked=True))
_CLAIM = Statement(
    update(t)
    .where(t.c.id == bindparam("which"))
    .values(
        state=State.SENDING, attempts=t.c.attempts + 1, next_attempt_at=None, lease_until=bindparam("until")
    )
)
_RENEW = Statement(
    update(t)
    .where(t.c.id == bindparam("which"), t.c.state == State.SENDING, t.c.attempts == bindparam("attempt"))
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
_NEXT_DUE = Statement(
    select(t.c.next_attempt_at)
    .where(t.c.next_attempt_at.is_not(None), _there_is_room, _is_ours)
    .order_by(t.c.next_attempt_at)
    .limit(literal_column("1"))
)
_ONE = Reading(select(*COLUMNS).where(t.c.id == bindparam("which")))
_WAITING = Statement(
    select(t.c.id).where(
        t.c.ordering_key == bindparam("key"),
        _live,
        t.c.kind == bindparam("sort"),
        t.c.state == State.PENDING,
        t.c.attempts == 0,
    )
)
_OF_SUBJECT = Reading(
    select(*COLUMNS).where(t.c.subject_id == bindparam("of"), t.c.kind == bindparam("sort")).order_by(t.c.seq)
)
_FINISH = Statement(
    update(t)
    .where(t.c.id == bindparam("which"))
    .values(
        state=bindparam("new_state"),
        next_attempt_at=None,
        lease_until=None,
        settled_at=bindparam("now"),
        last_error=bindparam("reason"),
    )
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
_HURRY = Statement(
    update(t)
    .where(
        t.c.subject_id == bindparam("of"),
        t.c.kind == bindparam("sort"),
        t.c.state == State.PENDING,
        t.c.next_attempt_at.is_not(None),
    )
    .values(next_attempt_at=bindparam("due"))
)
_ELSEWHERE = (Kind.MESSAGE, Kind.DECISION, Kind.STOP, Kind.ANSWER)
_to_slack = t.c.kind.in_([literal_column(f"'{kind}'") for kind in Kind if kind not in _ELSEWHERE])
_HURRY_SLACK = (
    update(t)
    .where(
        t.c.team_id == bindparam("team"),
        _to_slack,
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

    def __init__(self, connection: Connection, trace: str = "") -> None:
        self._connection = connection
        self.trace = trace  # with which each that is added goes on
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
        body = {**(body or {}), KEPT_AS: self.trace} if self.trace else body
        row = {
            "id": which, "team_id": team_id, "kind": str(kind), "ordering_key": ordering_key,
            "subject_id": subject_id, "environment": environment, "body": dict(body or {}),
            "created_at": now, "deadline": deadline, "key": ordering_key, "due": due or now,
        }  # fmt: skip
        _ADD.leave(self._connection, row, self._may_wake if kind in _PATIENT else self._may_hurry)
        return which

    def _may_wake(self, added: Found) -> None:
        if added.fetchone() != (None,):  # it is the head of its ordering key
            self.wakes = True

    def _may_hurry(self, added: Found) -> None:
        if added.fetchone() != (None,):
            self.wakes = self.urgent = True

    def add_once(
        self, kind: Kind, *, team_id: str, ordering_key: str, subject_id: str, now: datetime
    ) -> None:
        """Add a delivery whose body is made when it is sent, unless one of its key waits already."""
        if _WAITING.run(self._connection, {"key": ordering_key, "sort": kind}).fetchone() is None:
            self.add(kind, team_id=team_id, ordering_key=ordering_key, subject_id=subject_id, now=now)

    def claim(self, most: int, now: datetime, until: datetime, room: Room | None = None) -> list[Delivery]:
        """Claim up to `most` deliveries that are due and for which there is `room`, as claimed.

        With room for some of those of an environment only, the others are left out once it is full.
        """
        self._release_lost(now)
        room = room or Room()
        found = _DUE.all(self._connection, {"now": now, "most": most, **_as_bound(room)})
        rows = [row for row in found if room.take(Kind(row.kind), row.environment, row.id)]
        for row in rows:
            _CLAIM.leave(self._connection, {"which": row.id, "until": until})
        return [read(row, claimed=True) for row in rows]

    def _release_lost(self, now: datetime) -> None:
        for (which,) in _LOST.run(self._connection, {"now": now}).fetchall():
            lost = update(t).where(t.c.id == which)
            self._connection.execute(
                lost.values(state=State.PENDING, lease_until=None, uncertain=True, next_attempt_at=now)
            )

    def renew(self, held: Mapping[str, int], until: datetime) -> None:
        """Keep claims until `until`, each by its delivery and attempt: what another took since is theirs."""
        for which, attempt in held.items():
            _RENEW.leave(self._connection, {"which": which, "attempt": attempt, "until": until})

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
            "which": delivery.id, "attempt": delivery.attempts, "new_state": str(settled.state),
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
        _PROMOTE.leave(self._connection, {"key": ordering_key, "due": now}, self._promoted)

    def _promoted(self, found: Found) -> None:
        if found.rowcount:
            self.wakes = True

    def finish(self, delivery_id: str, state: State, now: datetime, reason: str = "") -> None:
        """End a delivery from outside: its evidence came, or what it was for is over."""
        row = self.get(delivery_id)
        if row is None or row.state not in _LIVE:
            return
        values = {"which": delivery_id, "new_state": state, "now": now, "reason": reason}
        _FINISH.leave(self._connection, values)
        self._promote(row.ordering_key, now)

    def drop(self, delivery: Delivery, now: datetime, reason: str) -> bool:
        """Give a delivery up for good and return whether that was done: not one that is under way."""
        dropped = update(t).where(t.c.id == delivery.id, t.c.state.in_((State.PENDING, State.FAILED)))
        values = {"state": State.DROPPED, "next_attempt_at": None, "away": False, "settled_at": now}
        if self._connection.execute(dropped.values(**values, last_error=reason)).rowcount == 0:
            return False
        if delivery.next_attempt_at is not None:  # else it was not the head, and holds up nobody
            self._promote(delivery.ordering_key, now)
        return True

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

    def hurry(self, subject_id: str, kind: Kind, now: datetime) -> None:
        """Make due at once what speaks for a subject and waits for its time."""
        _HURRY.leave(self._connection, {"of": subject_id, "sort": kind, "due": now}, self._hurried)

    def _hurried(self, found: Found) -> None:
        if found.rowcount:
            self.wakes = self.urgent = True

    def hurry_slack(self, team_ids: Sequence[str], now: datetime) -> None:
        """Make due at once whatever waits for the Slack of some workspaces."""
        for team_id in team_ids:
            if self._connection.execute(_HURRY_SLACK, {"team": team_id, "due": now}).rowcount:
                self.wakes = True

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
        row = _NEXT_DUE.run(self._connection, _as_bound(room or Room())).fetchone()
        return None if row is None else moment_of(row[0])

    def get(self, delivery_id: str) -> Delivery | None:
        """Return one delivery."""
        row = _ONE.first(self._connection, {"which": delivery_id})
        return None if row is None else read(row)

    def of_subject(self, subject_id: str, kind: Kind) -> list[Delivery]:
        """Return the deliveries of `kind` that speak for a message, approval or copy, oldest first."""
        return [read(row) for row in _OF_SUBJECT.all(self._connection, {"of": subject_id, "sort": kind})]

    def theirs(self, team_id: str, subject_id: str, kind: Kind) -> list[Delivery]:
        """Return the deliveries of a kind for a subject of a workspace, for whoever names it there."""
        return [one for one in self.of_subject(subject_id, kind) if one.team_id == team_id]


def _as_bound(room: Room) -> dict[str, Any]:
    return {
        "messages": room.takes_messages,
        "full": "".join(f"\n{name}\n" for name in room.full),
        "elsewhere": "\n".join(["", *room.elsewhere, ""]) if room.elsewhere else "",
    }
