"""Approval requests and the copies of their cards."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, bindparam, func, insert, literal_column, select, update

from relay.domain.approvals import Approval, Asked, Decision, State
from relay.domain.deliveries import Kind
from relay.domain.deliveries import State as DeliveryState
from relay.domain.ids import new_id
from relay.store.statement import Statement
from relay.store.tables import approvals as t
from relay.store.tables import copies, deliveries

# Written out, not bound: SQLite takes the partial index of the open ones only for its own condition.
_open = t.c.state.in_(
    [literal_column(f"'{state}'") for state in (State.PENDING, State.DECIDED, State.FAILED)]
)
_PENDING = Statement(
    select(t.c.id, t.c.tool_name)
    .where(
        t.c.environment == bindparam("environment"),
        t.c.agent_id == bindparam("agent"),
        t.c.conversation_id == bindparam("conversation"),
        _open,
        t.c.state == State.PENDING,
    )
    .order_by(t.c.created_at)
)


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

    def add(self, approval: Approval) -> None:
        """Add an approval request."""
        asked = approval.asked
        row = {
            "id": approval.id,
            "team_id": approval.team_id,
            "environment": asked.environment,
            "agent_id": asked.agent_id,
            "conversation_id": asked.conversation_id,
            "tool_call_id": asked.tool_call_id,
            "input_hash": approval.input_hash,
            "occurrence": approval.occurrence,
            "tool_name": asked.tool_name,
            "tool_input": dict(asked.tool_input),
            "diffs": list(asked.diffs),
            "words": asked.words,
            "requesters": list(approval.requesters),
            "message_id": approval.message_id,
            "state": approval.state,
            "approve": None,
            "reason": None,
            "decided_by": None,
            "decided_at": None,
            "epoch": approval.epoch,
            "event_seq": approval.event_seq,
            "gone_at": approval.gone_at,
            "sent": approval.sent,
            "note": approval.note,
            "created_at": approval.created_at,
            "revision": approval.revision,
        }
        self._connection.execute(insert(t), row)

    def get(self, approval_id: str) -> Approval | None:
        """Return one approval request."""
        row = self._connection.execute(select(t).where(t.c.id == approval_id)).first()
        return None if row is None else _approval(row)

    def latest(
        self, environment: str, agent_id: str, conversation_id: str, tool_call_id: str
    ) -> Approval | None:
        """Return the latest request about a tool call of a runtime."""
        query = (
            select(t)
            .where(*_runtime(environment, agent_id, conversation_id), t.c.tool_call_id == tool_call_id)
            .order_by(t.c.occurrence.desc())
            .limit(1)
        )
        row = self._connection.execute(query).first()
        return None if row is None else _approval(row)

    def open_ones(self, environment: str, agent_id: str, conversation_id: str) -> list[Approval]:
        """Return the requests of a runtime that its environment may still wait for."""
        query = select(t).where(*_runtime(environment, agent_id, conversation_id), _open)
        return [_approval(row) for row in self._connection.execute(query.order_by(t.c.created_at))]

    def pending_calls(self, environment: str, agent_id: str, conversation_id: str) -> list[tuple[str, str]]:
        """Return id and tool name of the requests of a runtime that wait for people, oldest first."""
        of = {"environment": environment, "agent": agent_id, "conversation": conversation_id}
        return [(which, tool) for which, tool in _PENDING.run(self._connection, of).fetchall()]

    def waiting(self, environment: str) -> int:
        """Return how many requests of an environment wait for people."""
        query = select(func.count()).where(t.c.environment == environment, t.c.state == State.PENDING)
        return int(self._connection.execute(query).scalar_one())

    def gone_before(self, moment: datetime) -> list[Approval]:
        """Return the answered requests that their environment stopped asking for before `moment`."""
        answered = t.c.state.in_((State.DECIDED, State.FAILED))
        query = select(t).where(_open, answered, t.c.gone_at <= moment)
        return [_approval(row) for row in self._connection.execute(query)]

    def without_effect(self, moment: datetime) -> list[Approval]:
        """Return the requests still asked whose decision was passed on before `moment`."""
        passed_on = select(deliveries.c.seq).where(
            deliveries.c.subject_id == t.c.id,
            deliveries.c.kind == Kind.DECISION,
            deliveries.c.state == DeliveryState.DELIVERED,
            deliveries.c.settled_at <= moment,
        )
        query = select(t).where(_open, t.c.state == State.DECIDED, t.c.gone_at.is_(None), passed_on.exists())
        return [_approval(row) for row in self._connection.execute(query)]

    def decide(self, approval: Approval, decision: Decision) -> bool:
        """Record the one decision by compare-and-set and return whether it was this one."""
        pending = update(t).where(t.c.id == approval.id, t.c.state == State.PENDING)
        values = {
            "state": State.DECIDED,
            "approve": decision.approve,
            "reason": decision.reason,
            "decided_by": decision.user_id,
            "decided_at": decision.decided_at,
            "revision": t.c.revision + 1,
        }
        return self._connection.execute(pending.values(**values)).rowcount == 1

    def change(self, approval_id: str, values: Mapping[str, Any]) -> None:
        """Write new values into one approval request; its cards must be told."""
        changed = update(t).where(t.c.id == approval_id)
        self._connection.execute(changed.values(revision=t.c.revision + 1, **values))

    def note_asked(self, approval_id: str, epoch: str, event_seq: int) -> None:
        """Remember where it was last seen asked; nothing on its card changes."""
        values = {"epoch": epoch, "event_seq": event_seq, "gone_at": None}
        self._connection.execute(update(t).where(t.c.id == approval_id).values(**values))

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
        self._connection.execute(insert(copies), {**row, "channel_id": channel_id, "ts": ts})
        return copy_id

    def copies(self, approval_id: str) -> list[Copy]:
        """Return the copies of a request's card."""
        query = select(copies).where(copies.c.approval_id == approval_id).order_by(copies.c.id)
        return [_copy(row) for row in self._connection.execute(query)]

    def copy(self, copy_id: str) -> Copy | None:
        """Return one copy."""
        row = self._connection.execute(select(copies).where(copies.c.id == copy_id)).first()
        return None if row is None else _copy(row)

    def copy_at(self, channel_id: str, ts: str) -> Copy | None:
        """Return the copy that is posted at a place in Slack; for rare questions: no index helps."""
        query = select(copies).where(copies.c.channel_id == channel_id, copies.c.ts == ts)
        row = self._connection.execute(query).first()
        return None if row is None else _copy(row)

    def change_copy(self, copy_id: str, values: Mapping[str, Any]) -> None:
        """Write new values into one copy."""
        self._connection.execute(update(copies).where(copies.c.id == copy_id).values(**values))


def _runtime(environment: str, agent_id: str, conversation_id: str) -> tuple[Any, ...]:
    return (t.c.environment == environment, t.c.agent_id == agent_id, t.c.conversation_id == conversation_id)


def _copy(row: Row[Any]) -> Copy:
    return Copy(row.id, row.team_id, row.approval_id, tuple(row.places), row.channel_id, row.ts)


def _approval(row: Row[Any]) -> Approval:
    decision = None
    if row.approve is not None:
        decision = Decision(row.approve, row.reason, row.decided_by, row.decided_at)
    return Approval(
        id=row.id,
        team_id=row.team_id,
        asked=Asked(
            environment=row.environment,
            agent_id=row.agent_id,
            conversation_id=row.conversation_id,
            tool_call_id=row.tool_call_id,
            tool_name=row.tool_name,
            tool_input=row.tool_input,
            diffs=tuple(row.diffs),
            words=row.words,
        ),
        input_hash=row.input_hash,
        occurrence=row.occurrence,
        state=State(row.state),
        decision=decision,
        requesters=tuple(row.requesters),
        message_id=row.message_id,
        epoch=row.epoch,
        event_seq=row.event_seq,
        gone_at=row.gone_at,
        sent=row.sent,
        note=row.note,
        created_at=row.created_at,
        revision=row.revision,
    )
