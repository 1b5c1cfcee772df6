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
class Person:
    """A person and the evidence about them: `standing` is what `users.info` said."""

    user_id: str
    team_id: str
    name: str
    standing: Standing
