"""Several calls of one turn: none of them goes on before all are decided, so their cards say so."""

from datetime import datetime

from relay.domain.approvals import Approval, State
from relay.store.transaction import Transaction
from relay.use_cases.cards import refresh_cards

_MOST = 20  # are named at most


def waits_for(tx: Transaction, approval: Approval) -> tuple[str, ...]:
    """Return the codes of what is undecided beside a request whose decision is on its way."""
    if approval.state is not State.DECIDED:
        return ()
    asked = approval.asked
    found = tx.approvals.pending_codes(asked.environment, asked.agent_id, asked.conversation_id, _MOST)
    return tuple(filter(None, found))


def refresh_siblings(tx: Transaction, approval: Approval, now: datetime) -> None:
    """Have the cards rewritten that say, or are to say, that the agent waits for this request too."""
    asked = approval.asked
    for which in tx.approvals.on_the_way(asked.environment, asked.agent_id, asked.conversation_id):
        if which != approval.id:
            refresh_cards(tx, which, now)
