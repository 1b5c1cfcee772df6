"""Who a person is, as the Slack door found out before it asked for a rule."""

from dataclasses import dataclass
from enum import StrEnum


class Standing(StrEnum):
    """What a person is to the workspace they act in."""

    MEMBER = "member"
    GUEST = "guest"
    DEACTIVATED = "deactivated"
    FOREIGN = "foreign"
    BOT = "bot"
    UNKNOWN = "unknown"  # Slack could not be asked; nobody acts on a guess


@dataclass(frozen=True)
class Membership:
    """Whether a person is `of` a user group (S…) or a channel (C…, G…).

    `member` is None where Slack could not be asked; `age` is how many seconds ago Slack said so.
    """

    of: str
    member: bool | None
    age: int


@dataclass(frozen=True)
class Person:
    """A person and the evidence about them: `standing` is what `users.info` said.

    `memberships` are those that were asked about, and no others.
    """

    user_id: str
    team_id: str
    name: str
    standing: Standing
    memberships: tuple[Membership, ...] = ()

    def in_(self, group_or_channel: str) -> bool | None:
        """Return whether the person is in it; None where that was not asked, or could not be."""
        known = (one.member for one in self.memberships if one.of == group_or_channel)
        return next(known, None)
