"""A person said something to the agent."""

from dataclasses import dataclass
from datetime import datetime

from relay.domain.deliveries import MESSAGE_DEADLINE, Kind
from relay.domain.ids import new_id
from relay.domain.people import Person
from relay.domain.policy import Rights, Verdict, may_send
from relay.domain.runtime import Runtime
from relay.domain.text import author_line, neutralise
from relay.store.messages import Message
from relay.store.transaction import Transaction


@dataclass(frozen=True)
class Said:
    """What a person said and where. `key` is the same when the same arrival is told twice."""

    team_id: str
    channel_id: str
    channel_name: str
    person: Person
    text: str
    key: str
    response_url: str | None


@dataclass(frozen=True)
class Waiting:
    """What the agent waits for: the call asked first, the channel of its card, how many more there are."""

    tool_name: str
    place: str | None  # none before the card is posted
    more: int


@dataclass(frozen=True)
class Forwarded:
    """What became of it: refused by the verdict, or queued (again, when it had come before).

    What is queued is taken up only when people have decided what the agent is `waiting` for.
    """

    verdict: Verdict
    message_id: str | None = None
    waiting: Waiting | None = None


def forward_user_message(
    tx: Transaction, said: Said, runtime: Runtime, rights: Rights, *, quote: bool, now: datetime
) -> Forwarded:
    """Store a message and its deliveries, once, if the person may send.

    `quote` asks for a message in the channel that quotes it and whose thread carries the answers.
    """
    verdict = may_send(rights, said.person)
    if not tx.first_time(said.team_id, said.key, now):
        return Forwarded(verdict, waiting=_waiting(tx, runtime) if verdict.allowed else None)
    if not verdict.allowed:
        facts = {"reason": verdict.reason, "standing": said.person.standing, "channel": said.channel_id}
        tx.record(said.team_id, now, "message.refused", actor=said.person.user_id, facts=facts)
        return Forwarded(verdict)
    message_id = new_id("msg", now)
    tx.messages.add(_message(message_id, said, runtime, quote=quote, now=now))
    _add_deliveries(tx, message_id, said, runtime, quote=quote, now=now)
    facts = {"environment": runtime.environment, "channel": said.channel_id, "standing": said.person.standing}
    tx.record(said.team_id, now, "message.queued", actor=said.person.user_id, subject=message_id, facts=facts)
    return Forwarded(verdict, message_id, _waiting(tx, runtime))


def _waiting(tx: Transaction, runtime: Runtime) -> Waiting | None:
    pending = tx.approvals.pending_calls(runtime.environment, runtime.agent_id, runtime.conversation_id)
    if not pending:
        return None
    approval_id, tool_name = pending[0]
    posted = [copy.channel_id for copy in tx.approvals.copies(approval_id) if copy.ts is not None]
    return Waiting(tool_name, posted[0] if posted else None, len(pending) - 1)


def _message(message_id: str, said: Said, runtime: Runtime, *, quote: bool, now: datetime) -> Message:
    return Message(
        id=message_id,
        team_id=said.team_id,
        environment=runtime.environment,
        agent_id=runtime.agent_id,
        conversation_id=runtime.conversation_id,
        channel_id=said.channel_id,
        user_id=said.person.user_id,
        text=said.text,
        response_url=said.response_url,
        place="thread" if quote else "private",
        thread_ts=None,
        state="queued",
        note="",
        status_ts=None,
        created_at=now,
        settled_at=None,
        turn_ended=False,
    )


def _add_deliveries(
    tx: Transaction, message_id: str, said: Said, runtime: Runtime, *, quote: bool, now: datetime
) -> None:
    author = author_line(said.person.name, said.person.user_id, said.channel_name)
    tx.deliveries.add(
        Kind.MESSAGE,
        delivery_id=message_id,
        team_id=said.team_id,
        ordering_key=runtime.ordering_key,
        subject_id=message_id,
        environment=runtime.environment,
        body={
            "agent_id": runtime.agent_id,
            "conversation_id": runtime.conversation_id,
            "content": f"{author}\n\n{neutralise(said.text)}",
        },
        deadline=now + MESSAGE_DEADLINE,
        now=now,
    )
    if quote:
        tx.deliveries.add(
            Kind.ROOT,
            team_id=said.team_id,
            ordering_key=f"thread/{message_id}",
            subject_id=message_id,
            deadline=now + MESSAGE_DEADLINE,
            now=now,
        )
