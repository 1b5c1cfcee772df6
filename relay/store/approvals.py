"""Approval requests and the copies of their cards."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import Connection, bindparam, exists, func, insert, literal_column, select, update

from relay.domain.approvals import Approval, Decision, State
from relay.domain.deliveries import Kind
from relay.domain.deliveries import State as DeliveryState
from relay.domain.ids import new_id
from relay.store.approval_rows import of_decision, read, written
from relay.store.statement import Reading, Statement
from relay.store.tables import approvals as t
from relay.store.tables import copies, deliveries, messages

# Written out, not bound: SQLite takes the partial index of the open ones only for its own condition, and
# plans a statement anew at each execution where it compares a bound value with an index's condition.
_open = t.c.state.in_(
    [literal_column(f"'{state}'") for state in (State.PENDING, State.DECIDED, State.FAILED, State.EXPIRED)]
)
_RUNTIME = (
    t.c.environment == bindparam("environment"),
    t.c.agent_id == bindparam("agent"),
    t.c.conversation_id == bindparam("conversation"),
)
_pending = t.c.state == literal_column(f"'{State.PENDING}'")
_PENDING = Statement(select(t.c.id, t.c.tool_name).where(*_RUNTIME, _open, _pending).order_by(t.c.created_at))

# Unsorted, so that it reads no more than it returns.
_UNDELIVERED = Statement(
    select(t.c.id)
    .where(*_RUNTIME, _open, t.c.state.in_([literal_column("'pending'"), literal_column("'decided'")]))
    .limit(bindparam("most"))
)
_ON_THE_WAY = Statement(select(t.c.id).where(*_RUNTIME, t.c.state == literal_column("'decided'")))

# Built once: to build a statement costs more than SQLite takes for a row.
_GET = Reading(select(t).where(t.c.id == bindparam("which")))
_LATEST = Reading(
    select(t)
    .where(*_RUNTIME, t.c.tool_call_id == bindparam("call"))
    .order_by(t.c.occurrence.desc())
    .limit(literal_column("1"))
)
_ADD = Statement(insert(t), columns=[column.name for column in t.c])
_SHOWED_CODE = (
    select(t)
    .where(t.c.team_id == bindparam("team"), t.c.code == bindparam("code"))
    .order_by(t.c.id.desc())
    .limit(1)
)
_COPIES = Reading(select(copies).where(copies.c.approval_id == bindparam("of")).order_by(copies.c.id))
_COPY = Reading(select(copies).where(copies.c.id == bindparam("which")))
_ADD_COPY = Statement(insert(copies), columns=[column.name for column in copies.c])
_DECIDE = Statement(
    update(t)
    .where(t.c.id == bindparam("which"), t.c.state == State.PENDING)
    .values(
        state=bindparam("now_decided"),
        nudge_at=None,
        revision=t.c.revision + 1,
        **{name: bindparam(name) for name in of_decision(None)},
    )
)


@cache
def _change(*columns: str) -> Statement:
    values: dict[str, Any] = {name: bindparam(name) for name in columns}
    return Statement(
        update(t).where(t.c.id == bindparam("which")).values(revision=t.c.revision + 1, **values)
    )


@cache
def _note(*columns: str) -> Statement:
    return Statement(update(t).where(t.c.id == bindparam("which")), columns=("which", *columns))


@cache
def _change_copy(*columns: str) -> Statement:
    return Statement(update(copies).where(copies.c.id == bindparam("which")), columns=("which", *columns))


@dataclass(frozen=True)
class Copy:
    """One card of an approval. `places` are those still to be tried, the present one first."""

    id: str
    team_id: str
    approval_id: str
    places: tuple[str, ...]
    channel_id: str | None
    ts: str | None


class Approvals:
    """Reads and writes approval requests within one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, new: Approval) -> None:
        """Add an approval request."""
        _ADD.leave(self._connection, written(new))

    def get(self, approval_id: str) -> Approval | None:
        """Return one approval request."""
        row = _GET.first(self._connection, {"which": approval_id})
        return None if row is None else read(row)

    def theirs(self, team_id: str, approval_id: str) -> Approval | None:
        """Return one approval request of a workspace, for whoever names it there."""
        found = self.get(approval_id)
        return found if found is not None and found.team_id == team_id else None

    def latest(
        self, environment: str, agent_id: str, conversation_id: str, tool_call_id: str
    ) -> Approval | None:
        """Return the latest request about a tool call of a runtime."""
        of = {"environment": environment, "agent": agent_id, "conversation": conversation_id}
        row = _LATEST.first(self._connection, {**of, "call": tool_call_id})
        return None if row is None else read(row)

    def open_ones(self, environment: str, agent_id: str, conversation_id: str) -> list[Approval]:
        """Return the requests of a runtime that its environment may still wait for."""
        query = select(t).where(*_runtime(environment, agent_id, conversation_id), _open)
        return [read(row) for row in self._connection.execute(query.order_by(t.c.created_at))]

    def pending_calls(self, environment: str, agent_id: str, conversation_id: str) -> list[tuple[str, str]]:
        """Return id and tool name of the requests of a runtime that wait for people, oldest first."""
        of = {"environment": environment, "agent": agent_id, "conversation": conversation_id}
        return [(which, tool) for which, tool in _PENDING.run(self._connection, of).fetchall()]

    def undelivered(self, environment: str, agent_id: str, conversation_id: str, *, most: int) -> int:
        """Return how many requests of a runtime wait for people or are on their way, counted up to `most`."""
        of = {"environment": environment, "agent": agent_id, "conversation": conversation_id, "most": most}
        return len(_UNDELIVERED.run(self._connection, of).fetchall())

    def on_the_way(self, environment: str, agent_id: str, conversation_id: str) -> list[str]:
        """Return the ids of the requests of a runtime whose decision is on its way."""
        of = {"environment": environment, "agent": agent_id, "conversation": conversation_id}
        return [which for (which,) in _ON_THE_WAY.run(self._connection, of).fetchall()]

    def waiting(self, environment: str) -> int:
        """Return how many requests of an environment wait for people."""
        query = select(func.count()).where(t.c.environment == environment, t.c.state == State.PENDING)
        return int(self._connection.execute(query).scalar_one())

    def gone_before(self, moment: datetime) -> list[Approval]:
        """Return the answered requests that their environment stopped asking for before `moment`."""
        answered = t.c.state.in_((State.DECIDED, State.FAILED))
        query = select(t).where(_open, answered, t.c.gone_at <= moment)
        return [read(row) for row in self._connection.execute(query)]

    def without_effect(self, moment: datetime) -> list[Approval]:
        """Return the requests still asked whose decision was passed on before `moment`."""
        passed_on = select(deliveries.c.seq).where(
            deliveries.c.subject_id == t.c.id,
            deliveries.c.kind == Kind.DECISION,
            deliveries.c.state == DeliveryState.DELIVERED,
            deliveries.c.settled_at <= moment,
        )
        query = select(t).where(_open, t.c.state == State.DECIDED, t.c.gone_at.is_(None), passed_on.exists())
        return [read(row) for row in self._connection.execute(query)]

    def decide(self, approval: Approval, decision: Decision) -> bool:
        """Record the one decision by compare-and-set and return whether it was this one."""
        values = {"which": approval.id, "now_decided": State.DECIDED, **of_decision(decision)}
        return _DECIDE.run(self._connection, values).rowcount == 1

    def by_code(self, team_id: str, code: str) -> list[Approval]:
        """Return the open requests whose cards show a code: one, unless two codes are alike."""
        query = select(t).where(_open, t.c.team_id == team_id, t.c.code == code)
        return [read(row) for row in self._connection.execute(query.order_by(t.c.created_at))]

    def closed_by_code(self, team_id: str, code: str) -> list[Approval]:
        """Return the newest request, however old, whose card showed a code."""
        return [read(row) for row in self._connection.execute(_SHOWED_CODE, {"team": team_id, "code": code})]

    def pending_at(
        self, team_id: str, channel_id: str | None, thread_ts: str | None, most: int
    ) -> list[Approval]:
        """Return up to `most` requests that wait for people and were asked for, or have a card, there.

        With a thread: in it, or in the card's own; without a channel: anywhere.
        """
        query = select(t).where(_open, _pending, t.c.team_id == team_id)
        if channel_id is not None:
            posted = [copies.c.approval_id == t.c.id, copies.c.channel_id == channel_id]
            asked = [messages.c.id == t.c.message_id, messages.c.channel_id == channel_id]
            if thread_ts is not None:
                posted.append(copies.c.ts == thread_ts)
                asked.append(messages.c.thread_ts == thread_ts)
            query = query.where(exists().where(*posted) | exists().where(*asked))
        return [read(row) for row in self._connection.execute(query.order_by(t.c.created_at).limit(most))]

    def readable(self, approval_id: str) -> Approval | None:
        """Return one request, or None when its row is damaged: work on many goes on with the others."""
        try:
            return self.get(approval_id)
        except (ValueError, TypeError, KeyError):
            return None

    def silent(self, now: datetime, most: int) -> list[str]:
        """Return up to `most` requests whose silence is to be looked at by `now`, the longest due first."""
        query = select(t.c.id).where(t.c.nudge_at <= now).order_by(t.c.nudge_at).limit(most)
        return list(self._connection.execute(query).scalars())

    def look_at(self, approval_id: str, moment: datetime | None) -> None:
        """Remember when silence is looked at next; nothing on a card changes."""
        self._connection.execute(update(t).where(t.c.id == approval_id).values(nudge_at=moment))

    def over_by(self, moment: datetime, most: int, after: str = "") -> list[str]:
        """Return up to `most` requests behind `after` that nobody answered, whose time is up by `moment`."""
        waits = (_open, _pending, t.c.expires_at <= moment, t.c.id > after)
        query = select(t.c.id).where(*waits).order_by(t.c.id).limit(most)
        return list(self._connection.execute(query).scalars())

    def undecided(self, most: int, after: str = "") -> list[str]:
        """Return up to `most` requests behind `after` that wait for people, or expired doing so."""
        waits = (_open, t.c.state.in_((State.PENDING, State.EXPIRED)), t.c.id > after)
        query = select(t.c.id).where(*waits).order_by(t.c.id).limit(most)
        return list(self._connection.execute(query).scalars())

    def past(self, since: datetime, after: str, most: int) -> list[Approval]:
        """Return up to `most` requests made `since`, the oldest first, behind the one named `after`."""
        query = select(t).where(t.c.created_at >= since, t.c.id > after).order_by(t.c.id).limit(most)
        return [read(row) for row in self._connection.execute(query)]

    def change(self, approval_id: str, values: Mapping[str, Any]) -> None:
        """Write new values into one approval request; its cards must be told."""
        _change(*values).leave(self._connection, {"which": approval_id, **values})

    def note_asked(self, approval_id: str, epoch: str, event_seq: int) -> None:
        """Remember where it was last seen asked; nothing on its card changes."""
        values = {"epoch": epoch, "event_seq": event_seq, "gone_at": None}
        _note(*values).leave(self._connection, {"which": approval_id, **values})

    def add_copy(
        self,
        approval: Approval,
        places: tuple[str, ...],
        now: datetime,
        *,
        channel_id: str | None = None,
        ts: str | None = None,
    ) -> str:
        """Add a copy to be posted to the first of `places`, or one already found posted."""
        copy_id = new_id("cpy", now)
        row = {"id": copy_id, "team_id": approval.team_id, "approval_id": approval.id, "places": list(places)}
        _ADD_COPY.leave(self._connection, {**row, "channel_id": channel_id, "ts": ts})
        return copy_id

    def copies(self, approval_id: str) -> list[Copy]:
        """Return the copies of a request's card."""
        return [_copy(row) for row in _COPIES.all(self._connection, {"of": approval_id})]

    def copy(self, copy_id: str) -> Copy | None:
        """Return one copy."""
        row = _COPY.first(self._connection, {"which": copy_id})
        return None if row is None else _copy(row)

    def copy_at(self, team_id: str, channel_id: str, ts: str) -> Copy | None:
        """Return the copy that is posted at a place in Slack; for rare questions: no index helps."""
        place = (copies.c.team_id == team_id, copies.c.channel_id == channel_id, copies.c.ts == ts)
        query = select(copies).where(*place)
        row = self._connection.execute(query).first()
        return None if row is None else _copy(row)

    def change_copy(self, copy_id: str, values: Mapping[str, Any]) -> None:
        """Write new values into one copy."""
        if values:
            _change_copy(*values).leave(self._connection, {"which": copy_id, **values})


def _runtime(environment: str, agent_id: str, conversation_id: str) -> tuple[Any, ...]:
    return (t.c.environment == environment, t.c.agent_id == agent_id, t.c.conversation_id == conversation_id)


def _copy(row: Any) -> Copy:
    return Copy(row.id, row.team_id, row.approval_id, tuple(row.places), row.channel_id, row.ts)
