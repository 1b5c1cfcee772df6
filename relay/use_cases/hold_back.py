"""What goes to an environment that takes nothing waits, and goes in the order it came once it is back."""

from datetime import datetime

from relay.domain.circuits import HELD_FOR, KINDS, Held, Hold
from relay.domain.deliveries import Kind
from relay.domain.room import Room
from relay.store.transaction import Transaction
from relay.use_cases.settle_delivery import tell_held

_AT_ONCE = 64  # in one transaction, others wait for it


def hold_back(tx: Transaction, hold: Hold, room: Room, now: datetime) -> tuple[str, ...]:
    """Hold back and let go a bounded part of what is due; return for which environments nothing waits more.

    Afterwards `room` says what of the rest may be claimed.
    """
    for held in hold.held:
        _hold(tx, held, now)
    room.held = {(held.kind, held.environment): held.tried for held in hold.held}
    return tuple(name for name in hold.back if _let_go(tx, name, room, now))


def _hold(tx: Transaction, held: Held, now: datetime) -> None:
    found = tx.held_back.hold(
        held.kind, held.environment, now, now + HELD_FOR, spared=held.tried, most=_AT_ONCE
    )
    for delivery in found:
        tell_held(tx, delivery, held, now)
    if not held.tried:
        tx.held_back.release(held.kind, held.environment, now, 1)


def _let_go(tx: Transaction, environment: str, room: Room, now: datetime) -> bool:
    """Let go what there is room for, so that no claim walks over more. Return whether it is all."""
    all_of_it = True
    for kind in (*KINDS, Kind.STOP):
        most = min(_AT_ONCE, room.to(environment)) if kind is Kind.MESSAGE else _AT_ONCE
        if (kind, environment) in room.held:
            continue
        all_of_it = tx.held_back.release(kind, environment, now, most) < most and all_of_it
    return all_of_it
