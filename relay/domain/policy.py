"""Who may do what. A decision is a value with its reason, never a bare bool."""

from collections.abc import Collection
from dataclasses import dataclass, field
from enum import StrEnum

from relay.domain.people import Person, Standing
from relay.domain.rules import Ask, Circle


class Reason(StrEnum):
    """Why somebody may act or may not; the Slack door has a sentence for each."""

    ALLOWED = "allowed"
    GUEST = "guest"
    DEACTIVATED = "deactivated"
    FOREIGN = "foreign"
    BOT = "bot"
    LOOKUP_FAILED = "lookup_failed"
    NOT_APPROVER = "not_approver"
    NOT_EDITOR = "not_editor"
    REQUESTER = "requester"


@dataclass(frozen=True)
class Verdict:
    """Whether an act is allowed, and why."""

    reason: Reason

    @property
    def allowed(self) -> bool:
        return self.reason is Reason.ALLOWED


@dataclass(frozen=True)
class Rights:
    """Whose people may act at all: full members of the home workspace and of `allowed_teams`.

    They may send, stop and retry; who may decide, a rule says, and never more people than these.
    """

    home_team: str
    allowed_teams: frozenset[str] = field(default_factory=frozenset)


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


def may_vote(
    rights: Rights, ask: Ask, requesters: Collection[str], person: Person, *, approve: bool
) -> Verdict:
    """Return whether `person` may approve or deny. A requester who may not approve may still deny."""
    verdict = _of_circle(rights, ask.approvers, person, Reason.NOT_APPROVER)
    if verdict.allowed and approve and not ask.requester_may_approve and person.user_id in requesters:
        return Verdict(Reason.REQUESTER)
    return verdict


def may_edit(rights: Rights, ask: Ask, requesters: Collection[str], person: Person) -> Verdict:
    """Return whether `person` may change the input before it is approved: a right of its own."""
    verdict = _of_circle(rights, ask.editors, person, Reason.NOT_EDITOR)
    if verdict.allowed and not ask.requester_may_approve and person.user_id in requesters:
        return Verdict(Reason.REQUESTER)
    return verdict


def _of_circle(rights: Rights, circle: Circle, person: Person, outside: Reason) -> Verdict:
    verdict = may_send(rights, person)
    if not verdict.allowed or circle.everybody or person.user_id in circle.users:
        return verdict
    found = [person.in_(of) for of in sorted(circle.groups | circle.channels)]
    if any(found):
        return verdict
    # Whoever cannot be looked up may not act, and is told so: it is not that they have no right.
    return Verdict(Reason.LOOKUP_FAILED if None in found else outside)
