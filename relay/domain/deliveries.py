"""Deliveries: what has to leave, when it is tried again, and when it is given up.

pending ──claimed──▶ sending ──▶ delivered
   ▲                    │  └───▶ failed      (refused for good, or its deadline passed)
   └── retry, lease lost┘
pending, failed ──the operator gives it up──▶ dropped
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any


class State(StrEnum):
    """Where a delivery stands."""

    PENDING = "pending"  # waits for its time, or for the one before it in its ordering key
    SENDING = "sending"  # claimed, under a lease
    DELIVERED = "delivered"  # the destination said so
    FAILED = "failed"  # given up, kept, may be retried by a person
    DROPPED = "dropped"  # given up for good by the operator


class Kind(StrEnum):
    """What a delivery carries, and so which door takes it out."""

    MESSAGE = "message"  # a person's message, to the environment
    DECISION = "decision"  # a decision on a tool call, to the environment
    STOP = "stop"  # the end of a turn, once the denial that goes with it was seen to arrive
    ANSWER = "answer"  # the same decision over the status sockets, where the first way did not take effect
    ROOT = "root"  # the message that quotes a command and whose thread carries the rest
    STATUS = "status"  # how a message fares, in its thread
    REPLY = "reply"  # the agent's words, in the thread
    CARD = "card"  # one copy of an approval's card
    WHISPER = "whisper"  # a sentence for one person alone
    REMINDER = "reminder"  # a call to those who may decide, under a card or to one of them alone


@dataclass(frozen=True)
class Delivery:
    """One thing that has to leave, as it was when it was claimed."""

    id: str
    team_id: str
    kind: Kind
    ordering_key: str
    subject_id: str  # the message, approval or copy it speaks for
    environment: str
    body: Mapping[str, Any]
    state: State
    attempts: int
    uncertain: bool  # an earlier attempt may have arrived: look before sending again
    created_at: datetime
    next_attempt_at: datetime | None
    deadline: datetime | None
    receipt: Mapping[str, Any]
    last_error: str


@dataclass(frozen=True)
class Delivered:
    """The destination took it; `receipt` is what it said."""

    receipt: Mapping[str, Any]


@dataclass(frozen=True)
class Retry:
    """Not now: try again by the schedule, or `after` seconds when the destination said so.

    `uncertain` says that the attempt may have taken effect; `away` that the environment is offline; `down`
    that nothing gets through to it: nobody answers, or its server fails whatever it is asked; `unasked` that
    it was not even asked, for a reason of relay's own.
    `said` holds the destination's own words, which are for people and not for a log.
    """

    reason: str
    after: float | None = None
    uncertain: bool = False
    away: bool = False
    said: str = ""
    down: bool = False
    unasked: bool = False

    @property
    def words(self) -> str:
        """The reason, with what the destination said of it."""
        return _with(self.reason, self.said)


@dataclass(frozen=True)
class Refused:
    """Never: the destination will not take this, whenever it is asked; `said` as in Retry.

    `over` says that nobody waits for it there any more.
    """

    reason: str
    said: str = ""
    over: bool = False

    @property
    def words(self) -> str:
        """The reason, with what the destination said of it."""
        return _with(self.reason, self.said)


def _with(reason: str, said: str) -> str:
    return f"{reason}: {said}" if said else reason


Outcome = Delivered | Retry | Refused

_FIRST_DELAY = 0.5
_LONGEST_DELAY = 30.0
_LONGEST_WHILE_AWAY = 10.0
_SPREAD = 0.2
_LONGEST_STATED = 300.0  # a destination that asks for an hour is asked again sooner

MESSAGE_DEADLINE = timedelta(hours=24)
WHISPER_DEADLINE = timedelta(minutes=25)  # a response_url lives 30 minutes
REMINDER_DEADLINE = timedelta(minutes=10)  # later, nobody knows any more what it was about
STOP_WAITS = timedelta(seconds=10)  # for the denial: of several calls, it arrives when all are decided
STOP_DEADLINE = timedelta(minutes=5)  # later, it would end something else
LEASE = timedelta(seconds=10)


def delay(attempts: int, outcome: Retry, chance: float) -> timedelta:
    """Return how long to wait after attempt number `attempts`; `chance` is in [0, 1).

    Half a second, doubling to thirty (ten while the environment is away), spread by a fifth
    either way. A stated `after` is never undercut.
    """
    longest = _LONGEST_WHILE_AWAY if outcome.away else _LONGEST_DELAY
    seconds = min(_FIRST_DELAY * 2 ** min(max(attempts - 1, 0), 16), longest / (1 + _SPREAD))
    seconds *= 1 + _SPREAD * (2 * chance - 1)
    if outcome.after is not None:
        seconds = max(seconds, min(outcome.after, _LONGEST_STATED) * (1 + _SPREAD * chance))
    return timedelta(seconds=seconds)


@dataclass(frozen=True)
class Settled:
    """What becomes of a delivery after an attempt."""

    state: State
    next_attempt_at: datetime | None = None
    reason: str = ""
    away: bool = False  # it waits for its environment to be back
    held: bool = False  # it is not even tried before that


def settle(delivery: Delivery, outcome: Outcome, now: datetime, chance: float) -> Settled:
    """Return the next state of `delivery`: delivered, failed, or pending with its next time."""
    if isinstance(outcome, Delivered):
        return Settled(State.DELIVERED)
    if isinstance(outcome, Refused):
        return Settled(State.FAILED, reason=outcome.words)
    due = now + delay(delivery.attempts, outcome, chance)
    if delivery.deadline is not None and due >= delivery.deadline:
        if now >= delivery.deadline:
            return Settled(State.FAILED, reason=f"gave up at its deadline; last: {outcome.words}")
        due = delivery.deadline  # the last try is at the deadline itself
    # A time that the destination stated is kept, whoever else gets through.
    waits_for_it = outcome.away or (outcome.down and outcome.after is None)
    return Settled(State.PENDING, due, outcome.words, away=waits_for_it)
