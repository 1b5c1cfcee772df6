"""Which conversation something said belongs to, by the rule of its route."""

from dataclasses import dataclass
from datetime import datetime

from relay.domain.deliveries import Delivery
from relay.domain.runtime import Runtime
from relay.store.conversations import Binding
from relay.store.messages import Message
from relay.store.transaction import Transaction


@dataclass(frozen=True)
class Spot:
    """Where something was said: `thread_ts` None outside threads, and for a command, whose thread comes."""

    team_id: str
    channel_id: str
    thread_ts: str | None
    command: bool


@dataclass(frozen=True)
class Meeting:
    """The conversation of a spot: its `key` is empty where the route names one for all."""

    runtime: Runtime
    key: str = ""

    @property
    def ordering_key(self) -> str:
        """The same before and after the conversation is made, so that its messages stay in order."""
        if not self.key:
            return self.runtime.ordering_key
        return f"{self.runtime.environment}/{self.runtime.agent_id}/{self.key}"


def meet(tx: Transaction, spot: Spot, runtime: Runtime, per: str, message_id: str, now: datetime) -> Meeting:
    """Return the conversation that a message belongs to, begun with it when there is none yet.

    The environments API makes it when its first message is delivered; until then it has no id.
    """
    if not per:
        return Meeting(runtime)
    found = _binding(tx, spot, runtime, per)
    if found is None:
        # A command makes its thread: until its root message stands, the message's own id is the key.
        key = message_id if spot.command and per == "thread" else _key(spot, per)
        found = _begun(spot, runtime, key, now)
        tx.conversations.add(found)
    else:
        tx.conversations.use(found, now)
    return Meeting(_with_id(runtime, found), found.key)


def met(tx: Transaction, spot: Spot, runtime: Runtime, per: str) -> Runtime | None:
    """Return the conversation that a spot has already, None while it has none."""
    if not per:
        return runtime
    found = _binding(tx, spot, runtime, per)
    return None if found is None or found.conversation_id is None else _with_id(runtime, found)


def bound(tx: Transaction, delivery: Delivery) -> Binding | None:
    """Return the binding of a message's delivery; the message knows its conversation from then on."""
    found = tx.conversations.get(
        delivery.team_id, delivery.environment, delivery.body["agent_id"], delivery.body["conversation_key"]
    )
    if found is not None and found.conversation_id is not None:
        tx.messages.change(delivery.subject_id, {"conversation_id": found.conversation_id})
    return found


def bind(tx: Transaction, delivery: Delivery, conversation_id: str, now: datetime) -> str:
    """Store the conversation that was made for a delivery; return the one that counts."""
    binding = bound(tx, delivery)
    if binding is None:
        raise LookupError(f"{delivery.id} is for a conversation that is not in the store")
    counts = tx.conversations.bind(binding, conversation_id)
    tx.messages.change(delivery.subject_id, {"conversation_id": counts})
    if counts == conversation_id:
        facts = {"conversation_id": counts, "environment": binding.environment, "key": binding.key}
        tx.record(binding.team_id, now, "conversation.made", subject=delivery.subject_id, facts=facts)
    return counts


def stand_in(tx: Transaction, message_id: str, thread_ts: str) -> None:
    """Remember in which thread the answers to a command are, once its root stands."""
    message = tx.messages.get(message_id)
    if message is None:
        return
    tx.messages.change(message.id, {"thread_ts": thread_ts})
    # Under a rule of a conversation for each thread, it is this thread's: a reply continues it.
    where = (message.team_id, message.environment, message.agent_id)
    tx.conversations.set_thread(*where, message.id, thread_ts)


def forget_conversation(tx: Transaction, delivery: Delivery, message: Message) -> None:
    """Forget a conversation of our making that its device does not know: the next attempt makes another."""
    key = delivery.body.get("conversation_key")
    if not key or not message.conversation_id:
        return
    where = (delivery.team_id, delivery.environment, message.agent_id, key)
    tx.conversations.unbind(*where, message.conversation_id)
    tx.messages.change(message.id, {"conversation_id": ""})
    tx.deliveries.change_body(delivery.id, {**delivery.body, "conversation_id": ""})


def _binding(tx: Transaction, spot: Spot, runtime: Runtime, per: str) -> Binding | None:
    where = (spot.team_id, runtime.environment, runtime.agent_id)
    if per == "channel" or spot.thread_ts is None:
        if per == "thread" and spot.command:
            return None
        return tx.conversations.get(*where, _key(spot, per))
    return tx.conversations.of_thread(*where, spot.channel_id, spot.thread_ts)


def _key(spot: Spot, per: str) -> str:
    if per == "thread" and spot.thread_ts is not None:
        return f"thread/{spot.channel_id}/{spot.thread_ts}"
    return f"channel/{spot.channel_id}"


def _begun(spot: Spot, runtime: Runtime, key: str, now: datetime) -> Binding:
    return Binding(
        team_id=spot.team_id,
        environment=runtime.environment,
        agent_id=runtime.agent_id,
        key=key,
        conversation_id=None,
        channel_id=spot.channel_id,
        thread_ts=None if key.startswith("channel/") else spot.thread_ts,
        created_at=now,
        last_used_at=now,
    )


def _with_id(runtime: Runtime, binding: Binding) -> Runtime:
    return Runtime(runtime.environment, runtime.agent_id, binding.conversation_id or "")
