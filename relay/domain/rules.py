"""What a rule says of a tool call, and how people are then asked about it.

A rule is written in relay.toml; what it makes of one request (an `Ask`) is kept with the request.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import time, timedelta
from enum import StrEnum
from typing import Any


class Action(StrEnum):
    """What a rule does with a tool call."""

    ASK = "ask"
    ALLOW = "allow"
    DENY = "deny"


class Silence(StrEnum):
    """What happens when nobody answers in time."""

    WAIT = "wait"  # the card expires and nothing is sent: the environment goes on waiting
    DENY = "deny"
    ESCALATE = "escalate"


class Risk(StrEnum):
    """How much harm a wrong approval does; high: approving is confirmed in a dialog."""

    NORMAL = "normal"
    HIGH = "high"


@dataclass(frozen=True)
class Circle:
    """People: named one by one, by Slack user group, or as the members of a channel.

    `everybody` is every full member. Empty: nobody.
    """

    users: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()
    channels: frozenset[str] = frozenset()
    everybody: bool = False

    def __bool__(self) -> bool:
        return self.everybody or bool(self.users or self.groups or self.channels)

    def __or__(self, other: "Circle") -> "Circle":
        return Circle(
            self.users | other.users,
            self.groups | other.groups,
            self.channels | other.channels,
            self.everybody or other.everybody,
        )

    def covers(self, other: "Circle") -> bool:
        """Return whether everybody of `other` is surely in it."""
        named = self.users >= other.users and self.groups >= other.groups and self.channels >= other.channels
        return self.everybody or (named and not other.everybody)

    def written(self) -> dict[str, Any]:
        """Return it as JSON keeps it."""
        return {
            "users": sorted(self.users),
            "groups": sorted(self.groups),
            "channels": sorted(self.channels),
            "everybody": self.everybody,
        }

    @classmethod
    def read(cls, written: Mapping[str, Any]) -> "Circle":
        """Return what `written` made of it."""
        users, groups, channels = (frozenset(written[name]) for name in ("users", "groups", "channels"))
        return cls(users, groups, channels, written["everybody"])


EVERYBODY = Circle(everybody=True)


@dataclass(frozen=True)
class Hours:
    """When silence counts: on `days` (0 is Monday) from `begin` to `end`, by the clock of `zone` (IANA)."""

    zone: str = "UTC"
    days: frozenset[int] = frozenset(range(5))
    begin: time = time(9)
    end: time = time(17)

    def written(self) -> dict[str, Any]:
        """Return it as JSON keeps it."""
        days, begin, end = sorted(self.days), self.begin.isoformat("minutes"), self.end.isoformat("minutes")
        return {"zone": self.zone, "days": days, "begin": begin, "end": end}

    @classmethod
    def read(cls, written: Mapping[str, Any]) -> "Hours":
        """Return what `written` made of it."""
        begin, end = time.fromisoformat(written["begin"]), time.fromisoformat(written["end"])
        return cls(written["zone"], frozenset(written["days"]), begin, end)


@dataclass(frozen=True)
class Fact:
    """A value of the input that a card names: where it stands (keys joined by dots), and how it is called.

    A number above `above` is marked as unusual.
    """

    path: str
    label: str
    above: float | None = None

    def written(self) -> dict[str, Any]:
        """Return it as JSON keeps it."""
        return {"path": self.path, "label": self.label, "above": self.above}


@dataclass(frozen=True)
class Ask:
    """How people are asked about one request.

    `approvers` may approve and deny, `editors` may change the input; `quorum` distinct people must
    approve, one denial is enough. Durations are counted from the request, within `hours` where set.
    """

    rule: str = ""  # its name; empty: no rule, the default rights
    reason: str = ""
    approvers: Circle = EVERYBODY
    editors: Circle = EVERYBODY
    quorum: int = 1
    requester_may_approve: bool = True
    edit_needs_another: bool = False  # whoever changed the input does not count as one who approves
    risk: Risk = Risk.NORMAL
    expires_after: timedelta | None = None
    on_silence: Silence = Silence.WAIT
    remind_after: tuple[timedelta, ...] = ()
    escalate_to: Circle = field(default_factory=Circle)
    hours: Hours | None = None
    cards: tuple[str, ...] = ()  # places that each get a copy; none: the route's, in turn
    quick_reasons: tuple[str, ...] = ()
    facts: tuple[Fact, ...] = ()
    grant_for: timedelta | None = None  # the longest that a grant may last; None: none is given
    grant_uses: int = 20
    suggestions: bool = False  # whether approvers may take up the environment's own suggestions

    def written(self) -> dict[str, Any]:
        """Return it as JSON keeps it: durations in seconds."""
        return {
            "rule": self.rule,
            "reason": self.reason,
            "approvers": self.approvers.written(),
            "editors": self.editors.written(),
            "quorum": self.quorum,
            "requester_may_approve": self.requester_may_approve,
            "edit_needs_another": self.edit_needs_another,
            "risk": self.risk.value,
            "expires_after": _seconds(self.expires_after),
            "on_silence": self.on_silence.value,
            "remind_after": [one.total_seconds() for one in self.remind_after],
            "escalate_to": self.escalate_to.written(),
            "hours": self.hours.written() if self.hours else None,
            "cards": list(self.cards),
            "quick_reasons": list(self.quick_reasons),
            "facts": [one.written() for one in self.facts],
            "grant_for": _seconds(self.grant_for),
            "grant_uses": self.grant_uses,
            "suggestions": self.suggestions,
        }

    @classmethod
    def read(cls, written: Mapping[str, Any]) -> "Ask":
        """Return what `written` made of it."""
        return cls(
            **{name: written[name] for name in _PLAIN},
            approvers=Circle.read(written["approvers"]),
            editors=Circle.read(written["editors"]),
            risk=Risk(written["risk"]),
            expires_after=_duration(written["expires_after"]),
            on_silence=Silence(written["on_silence"]),
            remind_after=tuple(timedelta(seconds=one) for one in written["remind_after"]),
            escalate_to=Circle.read(written["escalate_to"]),
            hours=Hours.read(written["hours"]) if written["hours"] else None,
            cards=tuple(written["cards"]),
            quick_reasons=tuple(written["quick_reasons"]),
            facts=tuple(Fact(**one) for one in written["facts"]),
            grant_for=_duration(written["grant_for"]),
        )


@dataclass(frozen=True)
class Request:
    """What a policy looks at: a tool call, and in which channels and for whom it is asked.

    A turn may answer messages of several channels; outside Slack there are none.
    """

    tool_name: str
    tool_input: Mapping[str, Any]
    environment: str
    channels: tuple[str, ...] = ()
    requesters: tuple[str, ...] = ()


@dataclass(frozen=True)
class Ruling:
    """What a policy says of a request: `ask` is set when people are asked."""

    action: Action
    rule: str = ""
    reason: str = ""
    ask: Ask | None = None


_PLAIN = (
    "rule", "reason", "quorum", "requester_may_approve", "edit_needs_another", "grant_uses", "suggestions",
)  # fmt: skip


def _seconds(duration: timedelta | None) -> float | None:
    return None if duration is None else duration.total_seconds()


def _duration(seconds: float | None) -> timedelta | None:
    return None if seconds is None else timedelta(seconds=seconds)
