"""How an environment is, for people who ask."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Listened:
    """A conversation that relay listens to, or why it cannot at the moment."""

    conversation_id: str
    up: bool
    since: datetime | None
    reason: str = ""


@dataclass(frozen=True)
class HeldBack:
    """How many deliveries wait for an environment to take something again, and why.

    `since` is None where the relay that sends there was not asked.
    """

    count: int
    reason: str
    since: datetime | None = None


@dataclass(frozen=True)
class Report:
    """How an environment is: where, since when, in which mode, and how much waits for people there.

    `device_id` is None where no device is known, as for an App Server; `listened` where only a relay knows
    that was not asked.
    """

    name: str
    agent_id: str
    device_id: str | None
    app_server: bool
    online: bool
    since: datetime | None
    reason: str  # why it is offline; empty while it is online
    mode: str  # empty: not told
    asks: bool  # in its mode, it asks before it runs tools
    listened: tuple[Listened, ...] | None
    pending: int
    held: HeldBack | None = None  # it takes nothing
    elsewhere: str = ""  # who listens to it, where this relay does not
