"""What the environment's frames prove about requests and decisions."""

from collections.abc import Collection
from datetime import datetime, timedelta

from relay.domain import approvals
from relay.domain.approvals import GRACE, Approval, Evidence, State, ToolReturned
from relay.domain.deliveries import Delivery, Kind
from relay.domain.deliveries import State as DeliveryState
from relay.domain.runtime import Runtime
from relay.store.tool_runs import RETURNED, STARTED
from relay.store.transaction import Transaction
from relay.use_cases.answer_again import answer_silence
from relay.use_cases.cards import refresh_cards
from relay.use_cases.open_approval import Sighting
from relay.use_cases.pass_silence import pass_silence
from relay.use_cases.stop_after import hurry_stop

# After this long a sign with the same tool call id belongs to another call: ids come again.
_LATE = timedelta(minutes=1)
# A tool that was seen to start and not to return in this time will not be: its device lost it.
_LONGEST_RUN = timedelta(hours=1)


def record_evidence(
    tx: Transaction,
    runtime: Runtime,
    tool_call_id: str,
    evidence: Evidence,
    sighting: Sighting,
    now: datetime,
) -> None:
    """Take a tool's start or return as what it proves: our decision arrived, or another's did."""
    approval = tx.approvals.latest(
        runtime.environment, runtime.agent_id, runtime.conversation_id, tool_call_id
    )
    if approval is None or approvals.is_of_an_earlier_call(approval, sighting.epoch, sighting.event_seq):
        return
    _note_run(tx, runtime, approval, evidence, now)
    if _is_late(tx, approval, now):
        return
    state = approvals.after_evidence(approval, evidence)
    if state is not approval.state:
        _remember_position(tx, approval, sighting)
        if state is State.DELIVERED and (form := approvals.form_of(approval.decision, evidence)):
            tx.approvals.change(approval.id, {"note": form})
    move(tx, approval, state, now)


def _note_run(
    tx: Transaction, runtime: Runtime, approval: Approval, evidence: Evidence, now: datetime
) -> None:
    """Put on the record how long a tool runs while other calls of the conversation wait for its end."""
    if isinstance(evidence, ToolReturned):
        runs = tx.tool_runs.latest(approval.id, STARTED) and not tx.tool_runs.latest(approval.id, RETURNED)
        if runs:
            tx.record(approval.team_id, now, RETURNED, subject=approval.id)
        return
    open_ones = tx.approvals.open_ones(runtime.environment, runtime.agent_id, runtime.conversation_id)
    if any(one.id != approval.id for one in open_ones) and not tx.tool_runs.latest(approval.id, STARTED):
        tx.record(approval.team_id, now, STARTED, subject=approval.id)


def _is_late(tx: Transaction, approval: Approval, now: datetime) -> bool:
    """Whether a sign comes so long after a request was over that it is of another call."""
    if approval.open or approval.gone_at is None or now <= approval.gone_at + _LATE:
        return False
    given_up = tx.tool_runs.latest(approval.id, f"approval.{State.UNCONFIRMED.value}")
    return given_up is None or now > given_up + _LATE


def record_pending(
    tx: Transaction, runtime: Runtime, listed: Collection[str], sighting: Sighting, now: datetime
) -> None:
    """Take a list of the tool calls that the environment waits for as the end of those it lacks."""
    for approval in tx.approvals.open_ones(runtime.environment, runtime.agent_id, runtime.conversation_id):
        if approval.asked.tool_call_id in listed:
            continue
        if not approvals.is_gone(approval, sighting.epoch, sighting.event_seq):
            continue
        if approval.gone_at is None:
            _mark_gone(tx, approval, sighting, now)
        move(tx, approval, approvals.after_gone(approval), now)


def still_to_send(tx: Transaction, claimed: Delivery, now: datetime) -> bool:
    """Return whether a claimed delivery is still to be sent, now that its environment is back.

    A decision that nobody waits for any more stays here: under its tool call's id something else
    may be asked by now.
    """
    delivery = tx.deliveries.get(claimed.id)
    if delivery is None or delivery.state is not DeliveryState.SENDING:
        return False
    approval = tx.approvals.get(delivery.subject_id) if delivery.kind is Kind.DECISION else None
    if approval is None or approval.gone_at is None:
        return True
    if delivery.uncertain:  # an earlier attempt may have taken effect: time will end the wait for evidence
        tx.deliveries.finish(delivery.id, DeliveryState.FAILED, now, "no longer asked")
    else:
        tx.approvals.change(approval.id, {"sent": False})
        move(tx, approval, State.WITHDRAWN, now)
    return False


def _remember_position(tx: Transaction, approval: Approval, sighting: Sighting) -> None:
    # A list overtaken by this sign still names the call: it must not pass for a new request.
    position = sighting.event_seq
    if approval.epoch == sighting.epoch:
        position = max(position, approval.event_seq)
    tx.approvals.change(approval.id, {"epoch": sighting.epoch, "event_seq": position})


def _mark_gone(tx: Transaction, approval: Approval, sighting: Sighting, now: datetime) -> None:
    tx.approvals.note_asked(approval.id, sighting.epoch, sighting.event_seq)
    tx.approvals.change(approval.id, {"gone_at": now})


def pass_time(tx: Transaction, now: datetime, rest_only: Collection[str] = ()) -> None:
    """Do what is due by time alone: end waits for evidence, forget keys and secrets of the past.

    `rest_only` are the environments whose decisions are posted and never given over the sockets.
    """
    for approval in tx.approvals.gone_before(now - GRACE):
        if _may_yet_start(tx, approval, now):
            continue
        move(tx, approval, approvals.after_silence(approval, now), now)
    answer_silence(tx, now, rest_only)
    pass_silence(tx, now)
    tx.forget_seen(now - timedelta(days=1))
    tx.messages.forget_response_urls(now - timedelta(minutes=30))


def _may_yet_start(tx: Transaction, approval: Approval, now: datetime) -> bool:
    """Whether other calls may keep the sign of this one back.

    No tool of a turn starts before all are decided, and then they may run one after the other.
    """
    asked = approval.asked
    runtime = Runtime(asked.environment, asked.agent_id, asked.conversation_id)
    open_ones = tx.approvals.open_ones(runtime.environment, runtime.agent_id, runtime.conversation_id)
    gone = [one.gone_at for one in open_ones if one.gone_at is not None]
    if len(gone) < len(open_ones):
        return True
    busy_until = tx.tool_runs.busy_until(runtime, now, now - _LONGEST_RUN)
    return now < max([*gone, busy_until] if busy_until else gone, default=now) + GRACE


def end_turn(tx: Transaction, message_ids: Collection[str]) -> None:
    """Remember that a turn is over, so that what is asked next is nobody's of that turn."""
    tx.messages.end_turn(tuple(message_ids))


def move(tx: Transaction, approval: Approval, state: State, now: datetime) -> None:
    """Let a request be in another state, with all that hangs on it."""
    if state is approval.state:
        return
    tx.approvals.change(approval.id, {"state": state})
    if state is not State.DECIDED:
        ended = DeliveryState.DELIVERED if state is State.DELIVERED else DeliveryState.FAILED
        for kind in (Kind.DECISION, Kind.ANSWER):
            for delivery in tx.deliveries.of_subject(approval.id, kind):
                tx.deliveries.finish(delivery.id, ended, now, "" if state is State.DELIVERED else state.value)
        hurry_stop(tx, approval, now)
    refresh_cards(tx, approval.id, now)
    tx.record(approval.team_id, now, f"approval.{state.value}", subject=approval.id)
