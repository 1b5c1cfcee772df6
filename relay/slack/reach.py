"""Who can be reached of those who may decide: asked of Slack in good time, or nothing is said of it."""

import asyncio
from collections.abc import Callable

from relay.domain.approvals import Approval, State
from relay.domain.people import Standing
from relay.domain.policy import Rights, may_send
from relay.domain.rules import Circle
from relay.slack.circles import Circles
from relay.slack.people import People

MOST_MEMBERS = 20  # of a user group whose members each get a card
_LOOKED_UP = 20  # of more people, somebody is surely there
_WITHIN = 1.5


class Reach:
    """Knows whether enough people are left to decide a request, and who gets a card of their own."""

    def __init__(self, people: People, circles: Circles, rights: Callable[[], Rights]) -> None:
        self._people = people
        self._circles = circles
        self._rights = rights

    async def nobody_left(self, approval: Approval) -> bool:
        """Return whether too few are left who may decide; False wherever that is not sure. Raises nothing."""
        if approval.state is not State.PENDING or approval.ask.approvers.everybody:
            return False
        try:
            async with asyncio.timeout(_WITHIN):
                return await self._too_few(approval)
        except TimeoutError:
            return False

    async def _too_few(self, approval: Approval) -> bool:
        ask = approval.ask
        ids, complete = await self._circles.members(ask.approvers, _LOOKED_UP + 1, _WITHIN)
        if not complete:
            return False
        rights = self._rights()
        left = set(ids) - (set() if ask.requester_may_approve else set(approval.requesters))
        if ask.edit_needs_another:
            left.discard(approval.edited_by)
        if len(left) < ask.quorum:
            return True
        found = await asyncio.gather(*(self._people.person(one, "") for one in sorted(left)))
        # Somebody whom Slack could not be asked about may well be there.
        able = [one for one in found if one.standing is Standing.UNKNOWN or may_send(rights, one).allowed]
        return len(able) < ask.quorum

    async def members(self, group: str) -> tuple[str, ...]:
        """Return the members of a user group; nobody where there are too many, or Slack does not say."""
        ids, complete = await self._circles.members(Circle(groups=frozenset({group})), MOST_MEMBERS)
        return tuple(sorted(ids)) if complete else ()
