"""A person said something to the agent."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from relay.domain.deliveries import MESSAGE_DEADLINE, Kind
from relay.domain.ids import new_id
from relay.domain.people import Person
from relay.domain.policy import Rights, Verdict, may_send
from relay.domain.runtime import Runtime
from relay.domain.text import author_line, neutralise
from relay.store.messages import Message
from relay.store.transaction import Transaction
from relay.use_cases.conversations import Meeting, Spot, meet, met

Per = Literal["", "thread", "channel"]


@dataclass(frozen=True)
class Said:
    """What a person said and where. `key` is the same when the same arrival is told twice.

    `files` are what was attached, as the Slack door describes it to itself.
    """

    team_id: str
    channel_id: str
    channel_name: str
    person: Person
    text: str
    key: str
    response_url: str | None
    posted: bool = False  # it stands in Slack as a message: nothing needs to quote it
    thread_ts: str | None = None  # of what is posted: the thread where its answers go
    ts: str | None = None  # of what is posted
    files: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True)
class Waiting:
    """What the agent waits for: the call asked first, the channel of its card, how many more there are."""

    tool_name: str
    place: str | None  # none before the card is posted
    more: int


@dataclass(frozen=True)
class Forwarded:
    """What became of it: refused by the verdict, or queued; not `fresh`, it had come before.

    What is queued is taken up only when people have decided what the agent is `waiting` for.
    """

    verdict: Verdict
    message_id: str | None = None
    waiting: Waiting | None = None
    fresh: bool = True


def forward_user_message(
    tx: Transaction,
    said: Said,
    runtime: Runtime,
    rights: Rights,
    *,
    quote: bool,
    now: datetime,
    per: Per = "",
) -> Forwarded:
    """Store a message and its deliveries, once, if the person may send.

    `quote` asks for a message in the channel that quotes a command and whose thread carries the answers;
    `per` says whether each thread or channel has a conversation of its own.
    """
    verdict = may_send(rights, said.person)
    spot = Spot(said.team_id, said.channel_id, said.thread_ts, command=not said.posted)
    if not tx.first_time(said.team_id, said.key, now):
        known = met(tx, spot, runtime, per) if verdict.allowed else None
        return Forwarded(verdict, waiting=_waiting(tx, known) if known else None, fresh=False)
    if not verdict.allowed:
        facts = {"reason": verdict.reason, "standing": said.person.standing, "channel": said.channel_id}
        tx.record(said.team_id, now, "message.refused", actor=said.person.user_id, facts=facts)
        return Forwarded(verdict)
    message_id = new_id("msg", now)
    meeting = meet(tx, spot, runtime, per, message_id, now)
    tx.messages.add(_message(message_id, said, meeting.runtime, quote=quote, now=now))
    _add_deliveries(tx, message_id, said, meeting, now)
    if quote and not said.posted:
        _add_root(tx, message_id, said, now)
    facts = {"environment": runtime.environment, "channel": said.channel_id, "standing": said.person.standing}
    tx.record(said.team_id, now, "message.queued", actor=said.person.user_id, subject=message_id, facts=facts)
    return Forwarded(verdict, message_id, _waiting(tx, meeting.runtime))


def _waiting(tx: Transaction, runtime: Runtime) -> Waiting | None:
    if not runtime.conversation_id:
        return None
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
        place=_place(said, quote=quote),
        thread_ts=said.thread_ts or said.ts,
        state="queued",
        note="",
        status_ts=None,
        created_at=now,
        settled_at=None,
        turn_ended=False,
    )


def _place(said: Said, *, quote: bool) -> str:
    if said.posted:
        return "thread" if said.thread_ts else "direct"
    return "thread" if quote else "private"


def _add_deliveries(tx: Transaction, message_id: str, said: Said, meeting: Meeting, now: datetime) -> None:
    author, runtime = author_line(said.person.name, said.person.user_id, said.channel_name), meeting.runtime
    body: dict[str, Any] = {
        "agent_id": runtime.agent_id,
        "conversation_id": runtime.conversation_id,
        "content": f"{author}\n\n{neutralise(said.text)}",
    }
    if meeting.key:
        body["conversation_key"] = meeting.key
    if said.files:
        body["files"] = [dict(one) for one in said.files]
    tx.deliveries.add(
        Kind.MESSAGE,
        delivery_id=message_id,
        team_id=said.team_id,
        ordering_key=meeting.ordering_key,
        subject_id=message_id,
        environment=runtime.environment,
        body=body,
        deadline=now + MESSAGE_DEADLINE,
        now=now,
    )


def _add_root(tx: Transaction, message_id: str, said: Said, now: datetime) -> None:
    tx.deliveries.add(
        Kind.ROOT,
        team_id=said.team_id,
        ordering_key=f"thread/{message_id}",
        subject_id=message_id,
        deadline=now + MESSAGE_DEADLINE,
        now=now,
    )
