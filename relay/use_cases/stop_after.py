"""Deny and stop: the stop is stored with the denial, and carried out once that was seen to arrive."""

from collections.abc import Collection
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from relay.domain.approvals import Approval, State
from relay.domain.deliveries import STOP_DEADLINE, STOP_WAITS, Kind
from relay.domain.people import Person
from relay.store.transaction import Transaction
from relay.use_cases.whisper import Listener

# Nobody of these says that the turn which asked goes on: to stop it might stop another.
_OVER = frozenset({State.WITHDRAWN, State.SUPERSEDED, State.DECIDED_ELSEWHERE})


@dataclass(frozen=True)
class StopAfter:
    """Who wants a turn stopped after a denial, and which turn: the one that answers these messages."""

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

    MEANT = "meant"  # end the turn that it is about, as far as anything tells
    OVER = "over"  # that turn is over
    ANOTHERS = "anothers"  # somebody has written since: it might end what they began


def stop_after(
    tx: Transaction, approval: Approval, person: Person, listener: Listener, key: str, now: datetime
) -> None:
    """Have the turn of a request that was just denied stopped, soon, and also after a restart."""
    asked = approval.asked
    in_turn = tx.messages.in_turn(asked.environment, asked.agent_id, asked.conversation_id)
    told = replace(listener, response_url=None)  # a bearer secret is not kept for longer than need be
    wanted = StopAfter(person.user_id, person.team_id, told, key, tuple(one.id for one in in_turn))
    tx.deliveries.add(
        Kind.STOP,
        team_id=approval.team_id,
        ordering_key=f"stop/{approval.id}",
        subject_id=approval.id,
        environment=asked.environment,
        body=asdict(wanted),
        deadline=now + STOP_DEADLINE,
        now=now,
        due=now + STOP_WAITS,
    )


def hurry_stop(tx: Transaction, approval: Approval, now: datetime) -> None:
    """Have the stop that goes with a decision carried out: the decision is no longer on its way."""
    if approval.decision is not None and approval.decision.stop:
        tx.deliveries.hurry(approval.id, Kind.STOP, now)


def prospect(tx: Transaction, approval: Approval, message_ids: Collection[str]) -> Prospect:
    """Return what a stop would do now that was meant for the turn of some messages."""
    asked, decision = approval.asked, approval.decision
    if approval.state in _OVER or decision is None:
        return Prospect.OVER
    of = (asked.environment, asked.agent_id, asked.conversation_id)
    in_turn = {one.id for one in tx.messages.in_turn(*of)}
    if in_turn - set(message_ids) or tx.messages.said_since(*of, decision.decided_at):
        return Prospect.ANOTHERS
    return Prospect.OVER if message_ids and not in_turn else Prospect.MEANT
