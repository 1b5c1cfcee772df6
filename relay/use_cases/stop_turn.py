"""A person stops what the agent is doing."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from relay.domain.people import Person
from relay.domain.policy import Rights, Verdict, may_send
from relay.domain.runtime import Runtime
from relay.store.transaction import Transaction
from relay.use_cases.post_reply import post_ending


@dataclass(frozen=True)
class Stop:
    """Who stops which turn. `key` is the same when the same arrival is told twice."""

    team_id: str
    runtime: Runtime
    person: Person
    key: str
    message_ids: tuple[str, ...] | None = None  # whose turn it is; None: not known


@dataclass(frozen=True)
class Stopping:
    """Whether somebody may stop it, and the messages whose turn it is; `again`: told before."""

    verdict: Verdict
    message_ids: tuple[str, ...] = ()
    again: bool = False


def begin_stop(tx: Transaction, stop: Stop, rights: Rights, now: datetime) -> Stopping:
    """Remember who stops a turn, if they may: it may be told to have ended before we hear that it did."""
    verdict = may_send(rights, stop.person)
    if not tx.first_time(stop.team_id, stop.key, now):
        return Stopping(verdict, again=True)
    if not verdict.allowed:
        facts = {"reason": verdict.reason, "standing": stop.person.standing}
        tx.record(stop.team_id, now, "turn.stop_refused", actor=stop.person.user_id, facts=facts)
        return Stopping(verdict)
    runtime = stop.runtime
    if stop.message_ids is None:
        found = tx.messages.in_turn(runtime.environment, runtime.agent_id, runtime.conversation_id)
    else:
        found = tx.messages.some(stop.message_ids)  # what was typed at a terminal has an id as well
    message_ids = tuple(one.id for one in found)
    tx.stops.add(message_ids, stop.team_id, stop.person.user_id, now)
    return Stopping(verdict, message_ids)


def end_stop(
    tx: Transaction, stop: Stop, message_ids: Sequence[str], now: datetime, *, stopped: bool | None
) -> None:
    """Have it said in the thread who stopped the turn, once, and put on the record; None: not reached."""
    if stopped and message_ids:
        post_ending(tx, message_ids, "stopped", now=now)
        return
    outcome = {True: "turn.stopped", False: "turn.stop_found_nothing", None: "turn.stop_not_delivered"}
    facts = {"environment": stop.runtime.environment, "conversation": stop.runtime.conversation_id}
    tx.record(stop.team_id, now, outcome[stopped], actor=stop.person.user_id, facts=facts)
    # Where it was not reached, the order may have arrived all the same: then its end is told with a name.
    if stopped is False:
        tx.stops.forget(message_ids)
