"""Where the thread of the message that asks is."""

from relay.domain.approvals import Approval
from relay.domain.deliveries import Refused, Retry
from relay.store.transaction import Transaction

_NO_THREAD = Refused("there is no thread to ask in")


def asking_thread(tx: Transaction, approval: Approval) -> tuple[str, str | None] | Refused | Retry:
    """Return the channel and thread of the message whose turn asks, or why there is none (yet)."""
    asked = approval.asked
    message = tx.messages.get(approval.message_id) if approval.message_id else None
    if message is None:
        # Begun at the terminal: the thread that the conversation was made for, if it was.
        binding = tx.conversations.of_conversation(asked.environment, asked.agent_id, asked.conversation_id)
        if binding is None or binding.thread_ts is None:
            return _NO_THREAD
        return binding.channel_id, binding.thread_ts
    if message.place == "direct":
        return message.channel_id, None
    if message.place == "private":
        return _NO_THREAD
    if message.thread_ts is None:
        return Retry("the thread that it is asked in is not there yet")
    return message.channel_id, message.thread_ts
