"""Another ask holds for a request that waits: whoever is asked now has a card, is called and has time."""

from datetime import datetime

from relay.domain import silence
from relay.domain.approvals import Approval, State
from relay.domain.rules import Ask
from relay.store.transaction import Transaction
from relay.use_cases.cards import refresh_copy
from relay.use_cases.open_approval import wanted_copies
from relay.use_cases.pass_silence import set_clock
from relay.use_cases.remind import Why, call_people


def ask_others(
    tx: Transaction, approval: Approval, was: Ask, now: datetime, routed: tuple[str, ...] = ()
) -> Approval:
    """Have a request asked in earnest by its present ask, in whose place `was` stood; return it as it is now.

    Nothing is done about one that waits no longer: an edit that decides at once asks nobody. `routed` is
    where cards go that no rule places; without it no such card is added.
    """
    if approval.state is not State.PENDING:
        return approval
    ask = approval.ask
    others = ask.approvers != was.approvers
    if others or _timing(ask) != _timing(was):
        # Counted from now: nobody was told before of another length, nor others at all.
        approval = set_clock(tx, approval, silence.started(ask, now), snoozed_by="")
    else:
        approval = set_clock(tx, approval, silence.clock_of(approval))
    _add_copies(tx, approval, was, routed, now)
    if others:
        call_people(tx, approval, Why.REMIND, now)
    return approval


def _timing(ask: Ask) -> tuple[object, ...]:
    return ask.expires_after, ask.hours, ask.on_silence


def _add_copies(
    tx: Transaction, approval: Approval, was: Ask, routed: tuple[str, ...], now: datetime
) -> None:
    """Post a card where the present ask wants one, unless one stands there, or was tried before."""
    there = {places[0] for places in wanted_copies(was, routed) if places}
    for copy in tx.approvals.copies(approval.id):
        there |= {*copy.places[:1], *([copy.channel_id] if copy.channel_id else [])}
    for places in wanted_copies(approval.ask, routed):
        if places and places[0] not in there:
            refresh_copy(tx, tx.approvals.add_copy(approval, places, now), approval.team_id, now)
