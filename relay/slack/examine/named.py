"""Whom and what a configuration names in Slack, and what for."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from relay.config import Config
from relay.domain.matching import DIRECT, Rule
from relay.domain.rules import Circle

_CHANNELS, _PEOPLE = ("C", "G"), ("U", "W")


class Use(StrEnum):
    """What a channel is named for, in words that follow its id."""

    CARDS = "cards"
    MESSAGES = "messages"
    MEMBERS = "members who decide"
    RULE = "a rule"


@dataclass
class Named:
    """The ids a configuration names: channels with what for, people and user groups."""

    channels: dict[str, set[Use]] = field(default_factory=dict)
    users: set[str] = field(default_factory=set)
    groups: set[str] = field(default_factory=set)

    def place(self, place: str, use: Use) -> None:
        """Take a channel or a person; a word like "thread" or "*" names neither."""
        if place.startswith(_CHANNELS):
            self.channels.setdefault(place, set()).add(use)
        elif place.startswith(_PEOPLE):
            self.users.add(place)

    def circle(self, circle: Circle) -> None:
        """Take everybody and everything that a circle of people is made of."""
        self.users |= circle.users
        self.groups |= circle.groups
        for channel in circle.channels:
            self.place(channel, Use.MEMBERS)


def named_in(config: Config) -> Named:
    """Return all that a configuration names in Slack."""
    named = Named(users=set(config.approvers))
    for route in config.routes:
        named.place(route.channel, Use.MESSAGES)
    for place in config.card_places:
        named.place(place, Use.CARDS)
    for rule in config.policy.rules:
        for channel in rule.channels - {DIRECT}:
            named.place(channel, Use.RULE)
        named.users |= rule.requesters
        for circle in _circles(rule):
            named.circle(circle)
    return named


def _circles(rule: Rule) -> Iterator[Circle]:
    if rule.ask is not None:
        yield from (rule.ask.approvers, rule.ask.editors, rule.ask.escalate_to)
