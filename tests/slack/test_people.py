"""Who acts, asked of Slack and remembered for a minute."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from relay.domain.people import Membership, Person, Standing
from relay.sandbox.slack import FakeSlack
from relay.slack.people import People

ADA, GUEST, GONE, STRANGER, RELAY = "U0REQUESTER", "U0GUEST", "U0GONE", "U0STRANGER", "U0RELAY"


@dataclass
class Desk:
    """People that ask a stand-in Slack, and a clock that the test turns."""

    slack: FakeSlack
    people: People
    seconds: float = 1_000.0

    def asked(self) -> int:
        return sum(call.method == "users.info" for call in self.slack.calls)

    async def standing(self, user: str, team: str = "T0HOME") -> Standing:
        return (await self.people.person(user, team)).standing


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    async with FakeSlack() as slack:
        client = AsyncWebClient(token=slack.bot_token, base_url=slack.api_url, retry_handlers=[])
        made = Desk(slack, People(client, "T0HOME", lambda: made.seconds))
        yield made


async def test_each_kind_of_person_is_known(desk: Desk) -> None:
    found = [await desk.standing(user, "") for user in (ADA, GUEST, GONE, STRANGER, RELAY, "U0NOBODY")]
    assert found == [
        Standing.MEMBER,
        Standing.GUEST,
        Standing.DEACTIVATED,
        Standing.FOREIGN,
        Standing.BOT,
        Standing.UNKNOWN,
    ]


async def test_many_at_once_ask_once(desk: Desk) -> None:
    await asyncio.gather(*(desk.standing(ADA) for _ in range(20)))
    assert desk.asked() == 1


async def test_who_is_deactivated_is_known_within_a_minute(desk: Desk) -> None:
    assert await desk.standing(ADA) is Standing.MEMBER
    desk.slack.people[ADA].deleted = True
    desk.seconds += 60.0
    assert await desk.standing(ADA) is Standing.DEACTIVATED


async def test_a_failure_is_not_remembered(desk: Desk) -> None:
    desk.slack.fail("users.info", "internal_error")
    assert await desk.standing(ADA) is Standing.UNKNOWN
    assert await desk.standing(ADA) is Standing.MEMBER


async def test_the_stricter_of_two_teams_holds(desk: Desk) -> None:
    assert await desk.standing(ADA, "T0OTHER") is Standing.FOREIGN
    assert await desk.standing(ADA) is Standing.MEMBER


@pytest.mark.parametrize("member", [True, False, None])
def test_a_membership_that_was_looked_up_is_told(member: bool | None) -> None:
    person = Person(ADA, "T0HOME", "ada", Standing.MEMBER, (Membership("S0LEADS", member, 5),))
    assert person.in_("S0LEADS") is member


def test_a_membership_that_was_not_looked_up_is_unknown() -> None:
    person = Person(ADA, "T0HOME", "ada", Standing.MEMBER, (Membership("S0LEADS", True, 5),))
    assert person.in_("S0ONCALL") is None


class Slow(AsyncWebClient):
    """Slack, which answers once it is let."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(token=desk.slack.bot_token, base_url=desk.slack.api_url)
        self.begun, self.answer, self.asked = asyncio.Event(), asyncio.Event(), 0

    async def users_info(self, **kwargs: Any) -> AsyncSlackResponse:
        self.asked += 1
        self.begun.set()
        await self.answer.wait()
        return await super().users_info(**kwargs)


async def test_whom_slack_describes_too_late_is_known_at_the_next_try(desk: Desk) -> None:
    slow = Slow(desk)
    people = People(slow, "T0HOME")
    assert (await people.person(ADA, "T0HOME")).standing is Standing.UNKNOWN
    slow.answer.set()
    assert (await people.person(ADA, "T0HOME")).standing is Standing.MEMBER
    assert slow.asked == 1


async def test_a_minute_begins_when_slack_is_asked(desk: Desk) -> None:
    slow = Slow(desk)
    people = People(slow, "T0HOME", lambda: desk.seconds)
    asking = asyncio.create_task(people.person(ADA, "T0HOME"))
    await slow.begun.wait()
    desk.seconds += 59.0
    slow.answer.set()
    await asking
    desk.seconds += 1.0
    await people.person(ADA, "T0HOME")
    assert slow.asked == 2


async def test_who_waits_when_all_ends_is_told_that_nobody_is_known(desk: Desk) -> None:
    people = People(Slow(desk), "T0HOME")
    asking = asyncio.create_task(people.person(ADA, "T0HOME"))
    await asyncio.sleep(0)
    people.stop()
    assert (await asking).standing is Standing.UNKNOWN


@pytest.mark.parametrize(
    "user", ["nobody", {"profile": "text"}, {"enterprise_user": {"teams": 5}}, {"enterprise_user": "text"}]
)
async def test_of_whom_slack_tells_something_strange_nothing_is_known(desk: Desk, user: object) -> None:
    class Strange(AsyncWebClient):
        async def users_info(self, **_: Any) -> Any:
            return {"ok": True, "user": user}

    assert (await People(Strange(), "T0HOME").person(ADA, "T0HOME")).standing is Standing.UNKNOWN
