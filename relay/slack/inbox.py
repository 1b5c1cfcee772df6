"""What waits for a person, and what they have to do with: only what they may see.

Many requests are looked at and few are read in full; how one is asked is judged once, however many are
asked in the same way.
"""

import asyncio
import json
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from relay.domain.grants import Grant
from relay.domain.people import Person
from relay.domain.policy import Reason, Rights, may_send, may_vote
from relay.domain.rules import Ask, Circle
from relay.slack.circles import Circles
from relay.slack.door import SlackDoor
from relay.slack.home_blocks import Contents, Held, Room, Row
from relay.slack.verdicts import CARRIERS
from relay.store import Transaction
from relay.store.approvals import Copy
from relay.store.inbox import Glance
from relay.use_cases.grants import may_revoke

MOST_LOOKED_AT = 1_000  # of what waits in the whole workspace, the newest
_MOST_DECIDED = 300
_LINKS_REMEMBERED = 5_000
_LINKS_AT_ONCE = 8
_LINKS_WITHIN = 2.0


@dataclass
class _Judge:
    """Says what a person may do about requests; each way of asking is read and judged once."""

    rights: Rights
    person: Person
    asks: dict[str, Ask]
    _said: dict[tuple[str, str], Reason] = field(default_factory=dict)

    def asked(self, one: Glance) -> bool:
        return f'"{self.person.user_id}"' in one.requesters

    def may_approve(self, one: Glance) -> Reason:
        key = (one.ask, one.requesters)
        if key not in self._said:
            requesters = json.loads(one.requesters)
            verdict = may_vote(self.rights, self.asks[one.ask], requesters, self.person, approve=True)
            self._said[key] = verdict.reason
        return self._said[key]


class Inbox:
    """Gathers what a person's Home tab and lists show."""

    def __init__(self, door: SlackDoor, circles: Circles) -> None:
        self._door = door
        self._circles = circles
        self._links: OrderedDict[tuple[str, str], str] = OrderedDict()

    async def of(self, user_id: str, team_id: str, room: Room, within: float = _LINKS_WITHIN) -> Contents:
        """Return what a person may see, as far as there is `room` for it. Raises StoreError.

        Addresses that Slack does not tell `within` so many seconds are left out.
        """
        person = await self._door.people.person(user_id, team_id)
        verdict = may_send(self._door.rights, person)
        if not verdict.allowed:
            return Contents(refused=verdict.reason)
        home, now = self._door.workspace.team_id, self._door.clock()
        waiting, recent, grants = await self._door.store.transact(
            lambda tx: (
                tx.inbox.waiting(home, user_id, MOST_LOOKED_AT),
                tx.inbox.recent(home, user_id, _MOST_DECIDED),
                _held(tx, home, now),
            )
        )
        asks = {text: _ask(text) for text in dict.fromkeys(one.ask for one in (*waiting, *recent))}
        circles = [ask.approvers for ask in asks.values()]
        circles += [one.approval.ask.approvers for one in grants if one.approval is not None]
        person = await self._circles.seen(person, *dict.fromkeys(circles))
        judge = _Judge(self._door.rights, person, asks)
        sorted_out = _sorted_out(judge, waiting, recent)
        contents = await self._filled(person, sorted_out, room, within)
        contents.grants = [one for one in grants if _concerns(self._door.rights, one, person)]
        contents.bounded = len(waiting) == MOST_LOOKED_AT
        return contents

    async def _filled(self, person: Person, found: "_SortedOut", room: Room, within: float) -> Contents:
        lists = (found.yours[: room.yours], found.others[: room.others], found.recent[: room.recent])
        ids = [one.id for of in lists for one in of]
        approvals, copies = await self._door.store.transact(
            lambda tx: (tx.inbox.some(ids), tx.inbox.copies(ids)) if ids else ({}, {})
        )
        links = await self._jumps(person, copies, within)
        yours, others, recent = (
            [Row(approvals[one.id], links.get(one.id, "")) for one in of if one.id in approvals]
            for of in lists
        )
        return Contents(
            yours=yours,
            yours_more=len(found.yours) - len(lists[0]),
            others=others,
            others_more=len(found.others) - len(lists[1]),
            recent=recent,
            unsure=found.unsure,
        )

    async def _jumps(
        self, person: Person, copies: Mapping[str, Sequence[Copy]], within: float
    ) -> dict[str, str]:
        """Return the address of a card that the person can read, for each request that has one."""
        channels = {str(one.channel_id) for of in copies.values() for one in of}
        in_channels = Circle(channels=frozenset(one for one in channels if not one.startswith("D")))
        seen = await self._circles.seen(person, in_channels)
        cards = {which: card for which, of in copies.items() if (card := _readable(of, seen))}
        await self._ask_links(set(cards.values()) - self._links.keys(), within)
        return {which: self._links.get(card, "") for which, card in cards.items()}

    async def _ask_links(self, cards: set[tuple[str, str]], within: float) -> None:
        if not cards:
            return
        limit = asyncio.Semaphore(_LINKS_AT_ONCE)
        asking = [asyncio.create_task(self._ask_link(*card, limit)) for card in cards]
        _, late = await asyncio.wait(asking, timeout=within)
        for one in late:
            one.cancel()
        await asyncio.gather(*late, return_exceptions=True)

    async def _ask_link(self, channel: str, ts: str, limit: asyncio.Semaphore) -> None:
        async with limit:
            try:
                found = await self._door.client.chat_getPermalink(channel=channel, message_ts=ts)
            except CARRIERS as problem:
                self._door.log.info("link.not_told", channel_id=channel, reason=type(problem).__name__)
                return
        self._links[channel, ts] = str(found.get("permalink") or "")
        if len(self._links) > _LINKS_REMEMBERED:
            self._links.popitem(last=False)


@dataclass
class _SortedOut:
    yours: list[Glance] = field(default_factory=list)
    others: list[Glance] = field(default_factory=list)
    recent: list[Glance] = field(default_factory=list)
    unsure: int = 0


def _sorted_out(judge: _Judge, waiting: Sequence[Glance], recent: Sequence[Glance]) -> _SortedOut:
    found = _SortedOut()
    for one in waiting:
        may = judge.may_approve(one)
        if may is Reason.ALLOWED and not one.voted:
            found.yours.append(one)
        elif may is Reason.ALLOWED or judge.asked(one):
            found.others.append(one)
        elif may is Reason.LOOKUP_FAILED:
            found.unsure += 1
    may_see = (Reason.ALLOWED, Reason.REQUESTER)
    found.recent = [one for one in recent if judge.asked(one) or judge.may_approve(one) in may_see]
    return found


def _ask(text: str) -> Ask:
    written = json.loads(text)
    return Ask.read(written) if written else Ask()


def _held(tx: Transaction, team_id: str, now: datetime) -> list[Held]:
    grants: list[Grant] = tx.grants.live(team_id, now)
    given_with = tx.inbox.some({one.approval_id for one in grants}) if grants else {}
    return [Held(one, given_with.get(one.approval_id)) for one in grants]


def _concerns(rights: Rights, held: Held, person: Person) -> bool:
    """Return whether a person gave a grant or may revoke it; nobody else is told of it."""
    return may_revoke(rights, held.grant, held.approval, person).allowed


def _readable(copies: Sequence[Copy], person: Person) -> tuple[str, str] | None:
    """Return where a copy stands that the person can read: their own, or one in a channel they are in."""
    places = [(str(one.channel_id), str(one.ts), one.places[:1] == (person.user_id,)) for one in copies]
    readable = [
        (channel, ts)
        for channel, ts, own in sorted(places, key=lambda place: not place[2])
        if (own if channel.startswith("D") else person.in_(channel))
    ]
    return readable[0] if readable else None
