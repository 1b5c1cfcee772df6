"""Several calls of one turn: none of them goes on before all are decided, and their cards say so."""

from datetime import datetime

from relay.domain.approvals import Approval
from relay.store.transaction import Transaction
from relay.use_cases.cards import refresh_cards


def has_siblings(tx: Transaction, approval: Approval) -> bool:
    """Return whether more than one call of its conversation waits for people or is on its way."""
    asked = approval.asked
    return tx.approvals.undelivered(asked.environment, asked.agent_id, asked.conversation_id, most=2) > 1


def asked_beside(tx: Transaction, approval: Approval, now: datetime) -> None:
    """Have the card of the one decided call rewritten beside which a new one waits.

    Of several decided ones those that came later said so from the beginning: it stays as true as it was.
    """
    asked = approval.asked
    on_the_way = tx.approvals.on_the_way(asked.environment, asked.agent_id, asked.conversation_id)
    if len(on_the_way) == 1:
        refresh_cards(tx, on_the_way[0], now)
