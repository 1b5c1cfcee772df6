"""Who may do what. A decision is a value with its reason, never a bare bool."""

from dataclasses import dataclass, field
from enum import StrEnum

from relay.domain.people import Person, Standing


class Reason(StrEnum):
    """Why somebody may act or may not; the Slack door has a sentence for each."""

    ALLOWED = "allowed"
    GUEST = "guest"
    DEACTIVATED = "deactivated"
    FOREIGN = "foreign"
    BOT = "bot"
    LOOKUP_FAILED = "lookup_failed"
    NOT_APPROVER = "not_approver"


@dataclass(frozen=True)
class Verdict:
    """Whether an act is allowed, and why."""

    reason: Reason

    @property
    def allowed(self) -> bool:
        return self.reason is Reason.ALLOWED


@dataclass(frozen=True)
class Rights:
    """The default rights, for a configuration without rules.

    Full members of the home workspace and of `allowed_teams` may send, stop and retry; the
    `approvers` may decide, or, when there are none, any of those members.
    """

    home_team: str
    allowed_teams: frozenset[str] = field(default_factory=frozenset)
    approvers: frozenset[str] = field(default_factory=frozenset)


_BY_STANDING = {
    Standing.GUEST: Reason.GUEST,
    Standing.DEACTIVATED: Reason.DEACTIVATED,
    Standing.FOREIGN: Reason.FOREIGN,
    Standing.BOT: Reason.BOT,
    Standing.UNKNOWN: Reason.LOOKUP_FAILED,
}


def may_send(rights: Rights, person: Person) -> Verdict:
    """Return whether `person` may send a message, stop a turn or retry a delivery."""
    if person.standing is Standing.FOREIGN and person.team_id in rights.allowed_teams:
        return Verdict(Reason.ALLOWED)
    if person.standing is not Standing.MEMBER:
        return Verdict(_BY_STANDING[person.standing])
    if person.team_id not in rights.allowed_teams | {rights.home_team}:
        return Verdict(Reason.FOREIGN)
    return Verdict(Reason.ALLOWED)


def may_decide(rights: Rights, person: Person) -> Verdict:
    """Return whether `person` may approve or deny a tool call."""
    verdict = may_send(rights, person)
    if verdict.allowed and rights.approvers and person.user_id not in rights.approvers:
        return Verdict(Reason.NOT_APPROVER)
    return verdict
