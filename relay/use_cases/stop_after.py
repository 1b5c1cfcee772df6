"""Deny and stop: the stop is stored with the denial, and carried out once that was seen to arrive."""

from collections.abc import Collection
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from relay.domain.approvals import Approval, State
from relay.domain.deliveries import STOP_DEADLINE, STOP_WAITS, Kind
from relay.domain.people import Person
from relay.domain.presence import UnderWay
from relay.store.transaction import Transaction
from relay.use_cases.whisper import Listener

# Nobody of these says that the turn which asked goes on: to stop it might stop another.
_OVER = frozenset({State.WITHDRAWN, State.SUPERSEDED, State.DECIDED_ELSEWHERE})


@dataclass(frozen=True)
class StopAfter:
    """Who wants a turn stopped after a denial, and which turn: the one that answers these messages.

    They are those of the run that asked, as its environment told them: none where it began at a terminal,
    or nothing was told.
    """

    user_id: str
    team_id: str
    listener: Listener
    key: str
    message_ids: tuple[str, ...]

    @classmethod
    def read(cls, body: dict[str, Any]) -> "StopAfter":
        """Return what the body of a delivery holds."""
        return cls(
            **{**body, "listener": Listener(**body["listener"]), "message_ids": tuple(body["message_ids"])}
        )


class Prospect(StrEnum):
    """What a stop would do now."""

    MEANT = "meant"  # end the turn that it is about
    OVER = "over"  # nothing: that turn is over
    ANOTHERS = "anothers"  # somebody has written since: it might end what they began
    LATER = "later"  # end another turn
    UNSEEN = "unseen"  # nobody knows: whose turn runs is not told, or not yet


def stop_after(
    tx: Transaction,
    approval: Approval,
    person: Person,
    listener: Listener,
    key: str,
    asked_by: tuple[str, ...],
    now: datetime,
) -> None:
    """Have the turn of a request that was just denied stopped, soon, and also after a restart."""
    # Not all that wait for an answer: who was put in line behind that turn has one of their own.
    told = replace(listener, response_url=None)  # a bearer secret is not kept for longer than need be
    wanted = StopAfter(person.user_id, person.team_id, told, key, asked_by)
    tx.deliveries.add(
        Kind.STOP,
        team_id=approval.team_id,
        ordering_key=f"stop/{approval.id}",
        subject_id=approval.id,
        environment=approval.asked.environment,
        body=asdict(wanted),
        deadline=now + STOP_DEADLINE,
        now=now,
        due=now + STOP_WAITS,
    )


def hurry_stop(tx: Transaction, approval: Approval, now: datetime) -> None:
    """Have the stop that goes with a decision carried out: the decision is no longer on its way."""
    if approval.decision is not None and approval.decision.stop:
        tx.deliveries.hurry(approval.id, Kind.STOP, now)


def prospect(
    tx: Transaction, approval: Approval, message_ids: Collection[str], seen: UnderWay | None
) -> Prospect:
    """Return what a stop would do now that was meant for the turn of some messages."""
    asked, decision = approval.asked, approval.decision
    if approval.state in _OVER or decision is None:
        return Prospect.OVER
    if tx.messages.said_since(asked.environment, asked.agent_id, asked.conversation_id, decision.decided_at):
        return Prospect.ANOTHERS
    found = hits(approval, message_ids, seen)
    if found is not Prospect.UNSEEN:
        return found
    ours = tx.messages.some(tuple(message_ids))
    return Prospect.OVER if ours and all(one.turn_ended for one in ours) else found


def hits(approval: Approval, message_ids: Collection[str], seen: UnderWay | None) -> Prospect:
    """Return what a stop would end, as far as the turn tells that runs now.

    It is the turn that asked when it was heard to ask, or when a run of it answers a message of the run
    that asked; a run that answers others alone shows that it is not. A message that was taken into the
    turn on its way is told with those that began it.
    """
    if seen is None:
        return Prospect.UNSEEN
    if not seen.running:
        return Prospect.OVER
    call = approval.asked.tool_call_id
    wanted = {*message_ids, *seen.asked.get(call, ())}
    if any(wanted.isdisjoint(run) for run in seen.runs):
        return Prospect.LATER
    return Prospect.MEANT if seen.runs or call in seen.asked else Prospect.UNSEEN
