"""Which trace an arrival goes on with: that of what it answers."""

from collections.abc import Collection

from relay.domain.deliveries import Kind
from relay.domain.runtime import Runtime
from relay.domain.traced import kept
from relay.store.transaction import Transaction


def trace_of_messages(tx: Transaction, message_ids: Collection[str]) -> str:
    """Return the trace of the newest of some messages that has one."""
    for message in reversed(tx.messages.some(tuple(message_ids))):
        delivery = tx.deliveries.get(message.id)
        if delivery is not None and (trace := kept(delivery.body)):
            return trace
    return ""


def trace_of_decision(tx: Transaction, runtime: Runtime, tool_call_id: str) -> str:
    """Return the trace of what was decided last about a tool call."""
    where = (runtime.environment, runtime.agent_id, runtime.conversation_id)
    approval = tx.approvals.latest(*where, tool_call_id)
    if approval is None:
        return ""
    sent = [
        one for kind in (Kind.DECISION, Kind.ANSWER) for one in tx.deliveries.of_subject(approval.id, kind)
    ]
    return next((trace for one in reversed(sent) if (trace := kept(one.body))), "")
