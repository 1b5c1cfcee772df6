"""A decision that was passed on but took no effect is given again, over the status sockets.

Some routers pass an approval on to the device in a form that the device refuses, and still say that
all went well; only the request that stays pending, or the device's complaint, tells.
"""

from collections.abc import Collection
from datetime import datetime, timedelta

from relay.domain.approvals import Approval, State
from relay.domain.deliveries import Kind
from relay.domain.deliveries import State as DeliveryState
from relay.domain.runtime import Runtime
from relay.store.transaction import Transaction
from relay.use_cases.cards import refresh_cards
from relay.use_cases.send_decision import answer_by_socket

# Longer than a device takes to start a tool after a decision that it took.
_PATIENCE = timedelta(seconds=3)
_ONLY_POSTED = "its device refuses decisions that are posted; relay is set to give them in no other way"
_LIVE = (DeliveryState.PENDING, DeliveryState.SENDING)


def answer_refused(tx: Transaction, runtime: Runtime, now: datetime, rest_only: Collection[str] = ()) -> None:
    """Answer every sent decision of a runtime over the socket: the device said that it dropped one."""
    sent = _sent(tx, runtime)
    for approval in sent:
        if runtime.environment not in rest_only:
            _answer(tx, approval, now, dropped=len(sent) == 1)
        elif approval.note != _ONLY_POSTED:
            tx.approvals.change(approval.id, {"note": _ONLY_POSTED})
            refresh_cards(tx, approval.id, now)


def answer_not_taken(tx: Transaction, runtime: Runtime, now: datetime) -> None:
    """Note that the device did not take a decision that was posted: where it can be but one, that one."""
    sent = _sent(tx, runtime)
    if len(sent) == 1 and _was_sent_once(tx, sent[0]):
        tx.approvals.change(sent[0].id, {"sent": False, "gone_at": now})


def _sent(tx: Transaction, runtime: Runtime) -> list[Approval]:
    open_ones = tx.approvals.open_ones(runtime.environment, runtime.agent_id, runtime.conversation_id)
    return [one for one in open_ones if one.state is State.DECIDED and one.sent]


def _was_sent_once(tx: Transaction, approval: Approval) -> bool:
    """Whether there is but one copy of a decision that the device can have spoken of."""
    sent = [
        one for kind in (Kind.DECISION, Kind.ANSWER) for one in tx.deliveries.of_subject(approval.id, kind)
    ]
    return sum(one.attempts for one in sent) == 1 and not any(one.uncertain for one in sent)


def answer_silence(tx: Transaction, now: datetime, rest_only: Collection[str] = ()) -> None:
    """Answer over the socket what was passed on a while ago and is still asked, but for `rest_only`."""
    for approval in tx.approvals.without_effect(now - _PATIENCE):
        if approval.asked.environment not in rest_only:
            _answer(tx, approval, now)


def _answer(tx: Transaction, approval: Approval, now: datetime, *, dropped: bool = False) -> None:
    if approval.decision is None:
        return
    if any(one.state in _LIVE for one in tx.deliveries.of_subject(approval.id, Kind.ANSWER)):
        return
    answer_by_socket(tx, approval, approval.decision, now, dropped=dropped)
