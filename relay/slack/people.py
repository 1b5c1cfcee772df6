"""Who acts: asked of Slack, remembered for a minute, never guessed."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from slack_sdk.web.async_client import AsyncWebClient

from relay.domain.people import Person, Standing
from relay.slack.waiting import settled

_REMEMBERED_FOR = 60.0
_REMEMBERED = 10_000
_WITHIN = 1.5  # of Slack's three seconds for an acknowledgement
_ASK_WITHIN = 3.0  # whoever tries again in a moment finds it known, or has it asked anew


class People:
    """Looks people up, one request a person at a time; a failed look-up is not remembered."""

    def __init__(
        self, client: AsyncWebClient, home_team: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._client = client
        self._home_team = home_team
        self._clock = clock
        self._known: OrderedDict[str, tuple[float, Person]] = OrderedDict()
        self._asking: dict[str, asyncio.Task[Person]] = {}

    async def person(self, user_id: str, team_id: str) -> Person:
        """Return who `user_id` is; `team_id` is what the arrival itself said. Raises nothing."""
        known = self._known.get(user_id)
        if known is not None and self._clock() - known[0] < _REMEMBERED_FOR:
            return self._seen_from(known[1], team_id)
        if user_id not in self._asking:
            self._asking[user_id] = asyncio.create_task(self._ask(user_id, team_id))
            self._asking[user_id].add_done_callback(lambda _: self._asking.pop(user_id, None))
        asking = self._asking[user_id]
        if not await settled([asking], _WITHIN) or asking.cancelled():
            return _unknown(user_id, team_id)
        return self._seen_from(asking.result(), team_id)

    def stop(self) -> None:
        """Give up what is still asked: nobody waits for it any more."""
        for asking in self._asking.values():
            asking.cancel()

    def _seen_from(self, person: Person, team_id: str) -> Person:
        # An arrival that names another team than the look-up: the stricter of the two.
        if team_id not in ("", person.team_id) and person.standing is Standing.MEMBER:
            return Person(person.user_id, team_id, person.name, Standing.FOREIGN)
        return person

    async def _ask(self, user_id: str, team_id: str) -> Person:
        asked_at = self._clock()
        try:
            async with asyncio.timeout(_ASK_WITHIN):
                answer = await self._client.users_info(user=user_id)
            person = described(user_id, answer.get("user") or {}, self._home_team)
        except Exception:  # noqa: BLE001 - no answer, or a strange one: nobody acts on a guess
            return _unknown(user_id, team_id)
        self._known[user_id] = (asked_at, person)
        self._known.move_to_end(user_id)
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
        return person


def described(user_id: str, user: dict[str, Any], home_team: str) -> Person:
    """Return who somebody is, of whom Slack says `user`, as `home_team` sees them."""
    profile = user.get("profile") or {}
    name = (
        profile.get("display_name") or profile.get("real_name") or user.get("real_name") or user.get("name")
    )
    team_id = str(user.get("team_id") or "")
    # Of an organisation's people Slack names one workspace, and lists them all.
    of_org = user.get("enterprise_user") or {}
    if home_team in (of_org.get("teams") or []):
        team_id = home_team
    return Person(user_id, team_id, str(name or user_id), _standing(user, team_id, home_team))


def _unknown(user_id: str, team_id: str) -> Person:
    return Person(user_id, team_id, user_id, Standing.UNKNOWN)


def _standing(user: dict[str, Any], team_id: str, home_team: str) -> Standing:
    if user.get("deleted"):
        return Standing.DEACTIVATED
    if user.get("is_bot") or user.get("is_workflow_bot"):
        return Standing.BOT
    if user.get("is_restricted") or user.get("is_ultra_restricted"):
        return Standing.GUEST
    if user.get("is_stranger") or team_id != home_team:
        return Standing.FOREIGN
    return Standing.MEMBER
