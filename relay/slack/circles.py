"""Who is in the circles a rule names: asked of Slack, remembered for a minute, never guessed.

A rule names user groups and channels; whether a person is in one is evidence, which the rule is then
asked with. Where Slack does not answer in time the evidence is "could not be asked", and nobody acts on it.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from slack_sdk.web.async_client import AsyncWebClient

from relay.domain.deliveries import Retry
from relay.domain.people import Membership, Person
from relay.domain.rules import Circle
from relay.slack.verdicts import CARRIERS, code, meaning
from relay.slack.waiting import settled

_REMEMBERED_FOR = 60.0
_REMEMBERED = 1_000
_WITHIN = 1.2  # of Slack's three seconds for an acknowledgement, after users.info has had its own
_PATIENTLY = 10.0
_ASK_WITHIN = 10.0  # a large channel is read on while nobody waits: the next click finds it known
_LOGGED_EVERY = 3600.0
_PAGE = 999  # Slack takes no more
_PAGES = 10
_GROUP, _CHANNEL = "usergroups.users.list", "conversations.members"

_ADVICE = {
    (_GROUP, "missing_scope"): (
        "give the app the scope usergroups:read (manifest.yml has it) and install it to the workspace again"
    ),
    (_GROUP, "no_such_subteam"): "there is no such user group: correct its id in relay.toml",
    (_GROUP, "plan_upgrade_required"): "this workspace's plan has no user groups: name people or a channel",
    (_CHANNEL, "missing_scope"): (
        "give the app channels:read and groups:read (manifest.yml has them) and install it again"
    ),
    (_CHANNEL, "channel_not_found"): (
        "the id is wrong, or it is a private channel that the app was not invited to: /invite it there"
    ),
    (_CHANNEL, "not_in_channel"): "the app is not in it: /invite it there",
    (_CHANNEL, "fetch_members_failed"): "Slack does not list its members: /invite the app there",
}
_LIMITED = ("ratelimited", "rate_limited")
_PASSING = "nothing to mend, unless it goes on: it is asked again with the next click"


class _UnreadableError(Exception):
    """Slack's answer holds no list of people."""


@dataclass
class _Look:
    """What Slack has said so far of one group or channel; `at` is when it was asked."""

    at: float
    members: set[str] = field(default_factory=set)
    complete: bool = False

    def holds(self, user_id: str) -> bool | None:
        """Return whether somebody is in it; None where what was said does not tell."""
        if user_id in self.members:
            return True
        return False if self.complete else None


class Circles:
    """Looks up who is in a user group or channel: one request each at a time, all at once."""

    def __init__(self, client: AsyncWebClient, log: Any, clock: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._log = log
        self._clock = clock
        self._known: OrderedDict[str, _Look] = OrderedDict()
        self._asking: dict[str, tuple[_Look, asyncio.Task[None]]] = {}
        self._logged: dict[tuple[str, str], float] = {}
        self._not_before: dict[str, float] = {}

    async def seen(self, person: Person, *circles: Circle) -> Person:
        """Return the person with their membership of what the circles name. Raises nothing.

        A circle that is everybody, or names the person, needs no look-up and gets none.
        """
        wanted = [one for one in circles if not one.everybody and person.user_id not in one.users]
        looks = await self._looks({of for one in wanted for of in one.groups | one.channels}, _WITHIN)
        found = {one.of: one for one in person.memberships}
        found |= {of: self._membership(of, look, person.user_id) for of, look in looks.items()}
        return replace(person, memberships=tuple(found[of] for of in sorted(found)))

    async def members(
        self, circle: Circle, most: int, within: float = _PATIENTLY
    ) -> tuple[frozenset[str], bool]:
        """Return the ids a circle names, at most `most`, and whether these are all. Raises nothing.

        Deactivated people, guests and bots may be among them. Who "everybody" is, is never known.
        """
        looks = await self._looks(circle.groups | circle.channels, within)
        named = sorted(circle.users)
        others = sorted({one for look in looks.values() for one in look.members} - circle.users)
        complete = not circle.everybody and all(look.complete for look in looks.values())
        ids = named + others
        return frozenset(ids[:most]), complete and len(ids) <= most

    def stop(self) -> None:
        """Give up what is still asked: nobody waits for it any more."""
        for _, asking in self._asking.values():
            asking.cancel()

    def _membership(self, of: str, look: _Look, user_id: str) -> Membership:
        member = look.holds(user_id)
        return Membership(of, member, 0 if member is None else max(0, int(self._clock() - look.at)))

    async def _looks(self, wanted: Iterable[str], within: float) -> dict[str, _Look]:
        """Return what Slack says of each, as far as it is said in time."""
        looks = {of: self._known_or_asked(of) for of in sorted(wanted)}
        asked = [self._asking[of][1] for of in looks if of in self._asking]
        await settled(asked, within)
        return looks

    def _known_or_asked(self, of: str) -> _Look:
        known = self._known.get(of)
        if known is not None and self._clock() - known.at < _REMEMBERED_FOR:
            return known
        if of not in self._asking:
            look = _Look(self._clock())
            self._asking[of] = (look, asyncio.create_task(self._ask(of, look)))
            self._asking[of][1].add_done_callback(lambda _: self._asking.pop(of, None))
        return self._asking[of][0]

    async def _ask(self, of: str, look: _Look) -> None:
        method = _GROUP if of.startswith("S") else _CHANNEL
        if self._clock() < self._not_before.get(method, 0.0):
            return
        try:
            async with asyncio.timeout(_ASK_WITHIN):
                await (self._ask_group(of, look) if method == _GROUP else self._ask_channel(of, look))
        except (*CARRIERS, _UnreadableError) as problem:
            self._failed(of, method, problem)
            return
        self._known[of] = look
        self._known.move_to_end(of)
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)

    async def _ask_group(self, group: str, look: _Look) -> None:
        answer = await self._client.usergroups_users_list(usergroup=group)
        look.members.update(_ids(answer.get("users")))
        look.complete = True

    async def _ask_channel(self, channel: str, look: _Look) -> None:
        cursor: str | None = None
        for _ in range(_PAGES):
            answer = await self._client.conversations_members(channel=channel, cursor=cursor, limit=_PAGE)
            look.members.update(_ids(answer.get("members")))
            cursor = (answer.get("response_metadata") or {}).get("next_cursor")
            if not cursor:
                look.complete = True
                return
        self._warn(channel, "too_large", f"it has over {_PAGE * _PAGES} members: name a user group instead")

    def _failed(self, of: str, method: str, problem: Exception) -> None:
        error = code(problem) or type(problem).__name__
        if error in _LIMITED:
            outcome = meaning(problem)
            after = outcome.after if isinstance(outcome, Retry) else None
            self._not_before[method] = self._clock() + (after or 1.0)
        self._warn(of, error, _ADVICE.get((method, error), _PASSING))

    def _warn(self, of: str, error: str, advice: str) -> None:
        now = self._clock()
        self._logged = {key: at for key, at in self._logged.items() if now - at < _LOGGED_EVERY}
        if (of, error) not in self._logged:
            self._logged[of, error] = now
            self._log.warning("circle.not_asked", of=of, error=error, advice=advice)


def _ids(listed: object) -> list[str]:
    if not isinstance(listed, list):
        raise _UnreadableError
    return [one for one in listed if isinstance(one, str)]
