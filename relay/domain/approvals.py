"""The life of an approval request, as pure steps: state and arrival in, state out.

pending ──click──▶ decided ──evidence──▶ delivered
   │                 │  ├──answer of another──▶ decided_elsewhere
   │                 │  ├──asked no longer──▶ withdrawn (never sent) | unconfirmed (sent, no evidence)
   │                 │  └──refused for good──▶ failed ──retry──▶ decided
   ├──nobody answers──▶ expired ──ask again──▶ pending
   ├──asked no longer──▶ withdrawn ──its tool runs all the same──▶ decided_elsewhere
   ├──its tool runs──▶ decided_elsewhere
   └──asked again with another input──▶ superseded
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from relay.domain.rules import Ask


class State(StrEnum):
    """Where an approval request stands."""

    PENDING = "pending"
    DECIDED = "decided"
    DELIVERED = "delivered"
    FAILED = "failed"
    WITHDRAWN = "withdrawn"
    SUPERSEDED = "superseded"
    DECIDED_ELSEWHERE = "decided_elsewhere"
    UNCONFIRMED = "unconfirmed"
    EXPIRED = "expired"


OPEN = frozenset({State.PENDING, State.DECIDED, State.FAILED, State.EXPIRED})
# How long evidence may come after the environment stopped asking: the tool's start and the
# emptied list travel in separate frames, on two sockets.
GRACE = timedelta(seconds=5)


@dataclass(frozen=True)
class Asked:
    """A tool call the environment asks about, in one runtime, as one frame told it."""

    environment: str
    agent_id: str
    conversation_id: str
    tool_call_id: str
    tool_name: str
    tool_input: Mapping[str, Any]
    diffs: tuple[Any, ...]
    words: str  # what the agent said just before, its own claim and nobody's evidence
    suggestions: tuple[Mapping[str, Any], ...] = ()  # of the environment's own: rules it would keep


@dataclass(frozen=True)
class Returned:
    """What a person who ran the tool themselves got."""

    success: bool
    output: str
    stdout: str = ""
    stderr: str = ""


@dataclass(frozen=True)
class Decision:
    """What was decided on a tool call: by whom, when and why.

    At most one of `updated_input`, the whole input in place of the one asked about, and `returned`,
    which goes out as a denial where the environment knows no other form.
    """

    approve: bool
    reason: str
    user_id: str  # whose vote decided; empty: the relay itself
    decided_at: datetime
    updated_input: Mapping[str, Any] | None = None
    returned: Returned | None = None
    by: tuple[str, ...] = ()  # everybody whose vote made it
    rule: str = ""  # which rule or grant decided, when nobody voted
    stop: bool = False  # whether the turn is to be stopped as well
    suggestions: tuple[str, ...] = ()  # ids of the environment's suggestions that were taken up

    @property
    def in_words(self) -> str:
        """What somebody said about it; empty for a press of a button without a word."""
        return "" if _WORDLESS.fullmatch(self.reason) else self.reason


_WORDLESS = re.compile(r"Denied by .* in Slack\.", re.DOTALL)


def ran_it(returned: Returned, name: str) -> str:
    """Return what the agent is told of a run by hand where there is no form for it but a denial."""
    how = "succeeded" if returned.success else "failed"
    parts = [f"{name} ran this themselves instead; it {how}.", returned.output]
    parts += [f"stdout:\n{returned.stdout}"] if returned.stdout else []
    parts += [f"stderr:\n{returned.stderr}"] if returned.stderr else []
    return "\n".join(part for part in parts if part)


def wordless_denial(name: str) -> str:
    """Return the reason the agent is given when somebody denies without a word."""
    return f"Denied by {name} in Slack."


@dataclass(frozen=True)
class Approval:
    """An approval request with all that is known of it."""

    id: str
    team_id: str
    asked: Asked
    input_hash: str
    occurrence: int
    state: State
    decision: Decision | None
    requesters: tuple[str, ...]
    message_id: str | None
    epoch: str  # the pair of sockets on which it was last seen asked
    event_seq: int  # the highest position at which it was seen asked, within that epoch
    gone_at: datetime | None
    sent: bool  # an attempt to deliver the decision has begun and may have arrived
    note: str  # why it failed
    created_at: datetime
    revision: int  # grows with every change, so that a card can be told from an older one
    ask: Ask = field(default_factory=Ask)
    channels: tuple[str, ...] = ()  # where it was asked for; none: outside Slack
    code: str = ""  # short, from the hash that is shown: what people type
    shown_hash: str = ""  # of what the card shows: another than `input_hash` once the input was changed
    edited_input: Mapping[str, Any] | None = None
    edited_by: str = ""
    expires_at: datetime | None = None
    nudge_at: datetime | None = None  # when silence is looked at next
    nudges: int = 0  # how many reminders were sent
    escalated: bool = False
    silent_since: datetime | None = None  # when its silence began to count anew; None: when it was made
    snoozed_until: datetime | None = None
    snoozed_by: str = ""
    removed: bool = False  # it is so long over that its texts were removed: inputs, diffs, words, outputs

    @property
    def present_input(self) -> Mapping[str, Any]:
        """What the tool would run with, were it approved now."""
        return self.asked.tool_input if self.edited_input is None else self.edited_input

    @property
    def open(self) -> bool:
        """Whether the environment may still be waiting for our answer."""
        return self.state in OPEN


@dataclass(frozen=True)
class ToolStarted:
    """The tool of this call was seen to start: somebody approved it."""


@dataclass(frozen=True)
class ToolReturned:
    """The tool of this call was seen to return; `text` of an error return may be a denial's reason."""

    error: bool
    text: str


Evidence = ToolStarted | ToolReturned


def after_evidence(approval: Approval, evidence: Evidence) -> State:
    """Return the state after a sign of what became of the tool call.

    Delivered needs a sign of *our* decision: a start for an approval, an error return with our
    reason for a denial, and an attempt of ours before it that may have arrived. An error return
    after an approval of ours shows neither: the tool ran and failed, or somebody denied it.
    """
    if approval.state in (State.DELIVERED, State.SUPERSEDED, State.DECIDED_ELSEWHERE):
        return approval.state
    if approval.decision is None or not approval.sent:
        return State.DECIDED_ELSEWHERE
    if _is_ours(approval.decision, evidence):
        return State.DELIVERED
    return State.UNCONFIRMED if approval.decision.approve else State.DECIDED_ELSEWHERE


def _is_ours(decision: Decision, evidence: Evidence) -> bool:
    if decision.returned is not None:
        # Taken as the tool's output, or as a denial that carries it.
        said = evidence.text if isinstance(evidence, ToolReturned) else None
        return said is not None and (decision.returned.output in said or decision.reason in said)
    if decision.approve:
        return isinstance(evidence, ToolStarted) or not evidence.error
    return isinstance(evidence, ToolReturned) and evidence.error and decision.reason in evidence.text


DROPPED = "its delivery was given up by the operator of relay"
AS_DENIAL = "as a denial that carries the output: this environment takes it in no other form"


def form_of(decision: Decision | None, evidence: Evidence) -> str:
    """Return what a card adds when an output by hand arrived as the denial that carries it."""
    said = evidence.text if isinstance(evidence, ToolReturned) else ""
    carried = decision is not None and decision.returned is not None and decision.reason in said
    return AS_DENIAL if carried else ""


def after_gone(approval: Approval) -> State:
    """Return the state at once after the environment stopped asking.

    A decision of ours that may be on its way keeps waiting for evidence; nothing else does. What
    was never sent, or surely never arrived, is withdrawn.
    """
    if not approval.open:
        return approval.state
    if not approval.sent:
        return State.WITHDRAWN
    return State.DECIDED if approval.state is State.DECIDED else State.UNCONFIRMED


def after_silence(approval: Approval, now: datetime) -> State:
    """Return the state when no evidence came in the grace after the environment stopped asking."""
    if approval.gone_at is None or now < approval.gone_at + GRACE or not approval.open:
        return approval.state
    return State.UNCONFIRMED if approval.sent else State.WITHDRAWN


def after_drop(approval: Approval) -> State:
    """Return the state once the delivery of a decision was given up for good.

    What may have arrived is not known to have; what surely has not is over without effect.
    """
    if approval.state not in (State.DECIDED, State.FAILED):
        return approval.state
    return State.UNCONFIRMED if approval.sent else State.WITHDRAWN


def is_gone(approval: Approval, epoch: str, event_seq: int) -> bool:
    """Return whether a list of pending requests that lacks this one proves that it is over.

    Frames overtake each other: only a later list of the same pair of sockets counts, or the
    first list of a new pair, which the environment makes in answer to us.
    """
    return approval.epoch != epoch or event_seq > approval.event_seq


def is_replay(latest: Approval, input_hash: str) -> bool:
    """Return whether an ask with this hash is `latest` again, rather than a new request."""
    return latest.open and latest.input_hash == input_hash


def is_old(latest: Approval, epoch: str, event_seq: int) -> bool:
    """Return whether an ask is a frame of the past, overtaken by what is known of its tool call.

    A frame without a position (0) is never old: nothing shows that it is.
    """
    return latest.epoch == epoch and 0 < event_seq <= latest.event_seq


def is_over(latest: Approval, input_hash: str, epoch: str) -> bool:
    """Return whether a list of pending requests that names this one was made before it ended.

    The environment's direct answer to us has no position, and may overtake such a list. What is
    asked anew within the same pair of sockets is asked by a frame of its own.
    """
    return not latest.open and latest.epoch == epoch and latest.input_hash == input_hash


def is_of_an_earlier_call(latest: Approval, epoch: str, event_seq: int) -> bool:
    """Return whether a sign is of an earlier call with the same id: this one was asked after it."""
    return latest.open and latest.gone_at is None and is_old(latest, epoch, event_seq)
