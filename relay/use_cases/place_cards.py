"""The places of cards have changed while a request waits: it is asked about there, and no longer here."""

from collections.abc import Mapping
from datetime import datetime

from relay.domain.approvals import Approval
from relay.store.approvals import Copy
from relay.store.transaction import Transaction
from relay.use_cases.cards import is_group, is_person, refresh_copy
from relay.use_cases.open_approval import wanted_copies

Wanted = Mapping[str, tuple[str, ...]]  # by the first of the places of a copy: all of them


def place_cards(tx: Transaction, approval: Approval, routed: tuple[str, ...], now: datetime) -> None:
    """Have a card posted wherever the present rules and routes want one that has none.

    A copy in a place that they no longer name is rewritten to say where it is decided now.
    """
    wanted = {places[0]: places for places in wanted_copies(approval.ask, routed) if places}
    if not wanted:
        return
    copies = tx.approvals.copies(approval.id)
    serving = {copy.named for copy in copies if _serves(copy, wanted)}
    left = [copy for copy in copies if copy.named and not copy.moved and not _stays(approval, copy, wanted)]
    for named in sorted(wanted.keys() - serving):
        _ask_in(tx, approval, copies, wanted[named], now)
    for copy in left:
        tx.approvals.change_copy(copy.id, {"moved": True, **({"places": []} if copy.ts is None else {})})
        refresh_copy(tx, copy.id, copy.team_id, now)
    if left or wanted.keys() - serving:
        facts = {"to": sorted(wanted.keys() - serving), "from": sorted({copy.named for copy in left})}
        tx.record(approval.team_id, now, "approval.placed_anew", subject=approval.id, facts=facts)


def _serves(copy: Copy, wanted: Wanted) -> bool:
    """Return whether a copy is the one of a place that is wanted, or of one that stands in for it."""
    if copy.moved or copy.named not in wanted:
        return False
    if not copy.places or copy.places[0] in wanted[copy.named]:  # with none left, all were tried
        return True
    return is_group(copy.named) and is_person(copy.places[0])


def _stays(approval: Approval, copy: Copy, wanted: Wanted) -> bool:
    others = approval.ask.escalate_to
    escalated = approval.escalated and copy.named in others.users | others.groups
    return escalated or _serves(copy, wanted)


def _ask_in(
    tx: Transaction, approval: Approval, copies: list[Copy], places: tuple[str, ...], now: datetime
) -> None:
    """Ask in a place again where a copy stands that had moved, or post one."""
    there = next((one for one in copies if one.moved and one.named == places[0] and one.ts), None)
    if there is None:
        copy_id = tx.approvals.add_copy(approval, places, now)
    else:
        copy_id = there.id
        tx.approvals.change_copy(copy_id, {"moved": False})
    refresh_copy(tx, copy_id, approval.team_id, now)
