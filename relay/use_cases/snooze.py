"""Somebody lets a request rest: no reminders for a while."""

from datetime import datetime, timedelta

from relay.domain import silence
from relay.domain.approvals import State
from relay.domain.policy import Rights, may_vote
from relay.store.transaction import Transaction
from relay.use_cases.ask_again import Press, pressed, record, refuse
from relay.use_cases.cards import refresh_cards
from relay.use_cases.pass_silence import set_clock
from relay.use_cases.whisper import Sentence, whisper


def snooze(
    tx: Transaction, press: Press, rights: Rights, now: datetime, length: timedelta = silence.SNOOZE
) -> bool:
    """Remind nobody for `length`; return whether it was this press. An end that decides does not move.

    Only who may decide it may let it rest; whoever may not, or comes too late, is told why in private.
    """
    approval = pressed(tx, press, now)
    if approval is None:
        return False
    verdict = may_vote(rights, approval.ask, approval.requesters, press.person, approve=False)
    if not verdict.allowed:
        refuse(tx, press, approval, Sentence.MAY_NOT_SNOOZE, verdict.reason, now)
        return False
    if approval.state is not State.PENDING:
        refuse(tx, press, approval, Sentence.NOT_PENDING, None, now)
        return False
    clock = silence.snoozed(approval.ask, silence.clock_of(approval), now, length)
    set_clock(tx, approval, clock, snoozed_by=press.person.user_id)
    refresh_cards(tx, approval.id, now)
    whisper(tx, press.listener, Sentence.SNOOZED, now, {"approval_id": approval.id})
    record(tx, press, approval, "snoozed", now)
    return True
