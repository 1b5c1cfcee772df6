"""Who might act on a request, told before anybody is looked up."""

from collections.abc import Collection
from dataclasses import dataclass

from relay.domain.policy import Reason
from relay.domain.rules import Ask, Circle


@dataclass(frozen=True)
class Foreseen:
    """Whether somebody may act: `reason` as far as it is known, and what it still depends on.

    `groups` and `channels` are those of which the person must be in one; none, where it does not matter.
    Whoever may act must be a full member in any case.
    """

    reason: Reason
    groups: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()

    @property
    def certain(self) -> bool:
        """Whether it depends on no membership."""
        return not self.groups and not self.channels


def foresee_vote(ask: Ask, requesters: Collection[str], user_id: str, *, approve: bool) -> Foreseen:
    """Return whether somebody might approve, or deny."""
    kept_out = approve and not ask.requester_may_approve and user_id in requesters
    return _foreseen(ask.approvers, user_id, Reason.NOT_APPROVER, kept_out=kept_out)


def foresee_edit(ask: Ask, requesters: Collection[str], user_id: str) -> Foreseen:
    """Return whether somebody might change the input."""
    kept_out = not ask.requester_may_approve and user_id in requesters
    return _foreseen(ask.editors, user_id, Reason.NOT_EDITOR, kept_out=kept_out)


def falls_short(ask: Ask, approvers: Circle, requesters: Collection[str]) -> bool:
    """Return True only if surely fewer of `approvers` may approve what `requesters` ask for than must."""
    if approvers.everybody or approvers.groups or approvers.channels:
        return False
    kept_out = frozenset[str]() if ask.requester_may_approve else frozenset(requesters)
    return len(approvers.users - kept_out) < ask.quorum


def _foreseen(circle: Circle, user_id: str, outside: Reason, *, kept_out: bool) -> Foreseen:
    inside = circle.everybody or user_id in circle.users
    open_to = bool(circle.groups or circle.channels)
    if kept_out and (inside or open_to):
        return Foreseen(Reason.REQUESTER)
    if inside:
        return Foreseen(Reason.ALLOWED)
    if not open_to:
        return Foreseen(outside)
    return Foreseen(Reason.ALLOWED, tuple(sorted(circle.groups)), tuple(sorted(circle.channels)))
