"""Votes: one person's answer each, and what they come to."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from relay.domain.rules import Ask


@dataclass(frozen=True)
class Vote:
    """What one person answered, and the hash of what they were shown when they did."""

    user_id: str
    approve: bool
    reason: str
    shown_hash: str
    voted_at: datetime


@dataclass(frozen=True)
class Tally:
    """The approvals that count, of how many are needed; one denial decides by itself."""

    approving: tuple[str, ...]
    needed: int
    denied_by: str = ""

    @property
    def missing(self) -> int:
        """How many more have to approve, as far as nobody denied."""
        return max(0, self.needed - len(self.approving))

    @property
    def approved(self) -> bool:
        """Whether enough people approved, and nobody denied."""
        return not self.denied_by and not self.missing


def tally(ask: Ask, votes: Sequence[Vote], shown_hash: str, edited_by: str = "") -> Tally:
    """Count people, not clicks: the votes on what is shown now, each person once.

    Whoever changed the input counts as one who approves it, unless the rule wants another.
    """
    valid = sorted((one for one in votes if one.shown_hash == shown_hash), key=lambda one: one.voted_at)
    left_out = {edited_by} if ask.edit_needs_another and edited_by else set[str]()
    approving = dict.fromkeys(one.user_id for one in valid if one.approve and one.user_id not in left_out)
    denied_by = next((one.user_id for one in valid if not one.approve), "")
    return Tally(tuple(approving), ask.quorum, denied_by)
