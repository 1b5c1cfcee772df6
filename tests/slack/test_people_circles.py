"""Who is in the user groups and channels that a rule names, asked of Slack and remembered for a minute."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from io import StringIO
from typing import Any

import pytest
from slack_sdk.web.async_client import AsyncWebClient

from relay.app import json_log
from relay.domain.people import Membership, Person, Standing
from relay.domain.rules import EVERYBODY, Circle
from relay.sandbox.slack import FakeSlack
from relay.slack.circles import Circles

LEADS, OPS, APPROVALS, SECRET = "S0LEADS", "C0OPS", "C0APPROVALS", "C0SECRET"
GROUPS, MEMBERS = "usergroups.users.list", "conversations.members"
ADA = Person("U0REQUESTER", "T0HOME", "ada", Standing.MEMBER)
GRACE = Person("U0APPROVER", "T0HOME", "grace", Standing.MEMBER)
OF_LEADS = Circle(groups=frozenset({LEADS}))
OF_OPS = Circle(channels=frozenset({OPS}))
HOUR = 3600.0


@dataclass
class Desk:
    """Circles that ask a stand-in Slack, and a clock that the test turns."""

    slack: FakeSlack
    circles: Circles
    log: StringIO = field(default_factory=StringIO)
    seconds: float = 1_000.0

    def asked(self, *methods: str) -> int:
        return sum(call.method in (methods or (GROUPS, MEMBERS)) for call in self.slack.calls)

    def logged(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.getvalue().splitlines()]

    async def is_in(self, person: Person, circle: Circle) -> bool | None:
        """Return whether somebody is in the one group or channel of a circle."""
        [of] = circle.groups | circle.channels
        return (await self.circles.seen(person, circle)).in_(of)

    def crowd(self, channel: str, number: int) -> None:
        """Let many more people into a channel, who come after those that are there."""
        self.slack.channels[channel].members |= {f"U1{n:06}" for n in range(number)}


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    async with FakeSlack(keep_tiers=True) as slack:
        client = AsyncWebClient(token=slack.bot_token, base_url=slack.api_url, retry_handlers=[])
        log = StringIO()
        made = Desk(slack, Circles(client, json_log(log), lambda: made.seconds), log)
        yield made


async def test_who_is_in_a_group_or_channel_is_asked_of_slack(desk: Desk) -> None:
    assert await desk.is_in(GRACE, OF_LEADS) is True
    assert await desk.is_in(ADA, OF_LEADS) is False
    assert await desk.is_in(ADA, OF_OPS) is True


async def test_the_evidence_says_how_old_it_is(desk: Desk) -> None:
    await desk.circles.seen(ADA, OF_LEADS)
    desk.seconds += 42.9
    seen = await desk.circles.seen(GRACE, OF_LEADS)
    assert seen.memberships == (Membership(LEADS, member=True, age=42),)


async def test_each_group_and_channel_of_every_circle_is_looked_up(desk: Desk) -> None:
    seen = await desk.circles.seen(
        GRACE, OF_LEADS, OF_OPS, OF_LEADS | Circle(channels=frozenset({APPROVALS}))
    )
    assert [one.of for one in seen.memberships] == [APPROVALS, OPS, LEADS]
    assert desk.asked() == 3


async def test_what_was_known_of_a_person_stays_known(desk: Desk) -> None:
    seen = await desk.circles.seen(await desk.circles.seen(GRACE, OF_LEADS), OF_OPS)
    assert (seen.in_(LEADS), seen.in_(OPS), seen.name) == (True, True, "grace")


async def test_a_group_is_asked_about_once_a_minute_for_all_people(desk: Desk) -> None:
    await desk.is_in(GRACE, OF_LEADS)
    desk.seconds += 59.0
    await desk.is_in(ADA, OF_LEADS)
    assert desk.asked() == 1
    desk.slack.groups[LEADS].discard(GRACE.user_id)
    desk.seconds += 1.0
    assert await desk.is_in(GRACE, OF_LEADS) is False


async def test_many_at_once_ask_once(desk: Desk) -> None:
    await asyncio.gather(*(desk.circles.seen(one, OF_LEADS, OF_OPS) for one in [ADA, GRACE] * 25))
    assert (desk.asked(GROUPS), desk.asked(MEMBERS)) == (1, 1)


@pytest.mark.parametrize("circle", [EVERYBODY, Circle(), EVERYBODY | OF_LEADS])
async def test_no_look_up_where_none_is_needed(desk: Desk, circle: Circle) -> None:
    by_name = Circle(users=frozenset({ADA.user_id}), groups=frozenset({LEADS}))
    assert (await desk.circles.seen(ADA, circle, by_name)).memberships == ()
    assert desk.asked() == 0


@pytest.mark.parametrize("method", [GROUPS, MEMBERS])
@pytest.mark.parametrize(
    "trouble", [{"error": "internal_error"}, {"error": "x", "status": 500}, {"error": ""}]
)
async def test_a_failed_look_up_is_told_and_not_remembered(
    desk: Desk, method: str, trouble: dict[str, Any]
) -> None:
    circle = OF_LEADS if method == GROUPS else OF_OPS
    desk.slack.fail(method, **trouble)
    seen = await desk.circles.seen(GRACE, circle)
    assert [(one.member, one.age) for one in seen.memberships] == [(None, 0)]
    assert await desk.is_in(GRACE, circle) is True


async def test_an_old_answer_does_not_stand_in_for_a_failed_one(desk: Desk) -> None:
    await desk.is_in(GRACE, OF_LEADS)
    desk.seconds += 60.0
    desk.slack.fail(GROUPS, "internal_error")
    assert await desk.is_in(GRACE, OF_LEADS) is None


async def test_silence_is_waited_for_a_second_in_all(desk: Desk) -> None:
    desk.slack.fail(GROUPS, "silence", hang=True)
    desk.slack.fail(MEMBERS, "silence", hang=True)
    began = time.monotonic()
    seen = await desk.circles.seen(GRACE, OF_LEADS, OF_OPS)
    assert (seen.in_(LEADS), seen.in_(OPS)) == (None, None)
    assert 1.1 < time.monotonic() - began < 2.9  # one after the other they would take 3


async def test_one_that_fails_leaves_the_others_known(desk: Desk) -> None:
    desk.slack.fail(GROUPS, "internal_error")
    seen = await desk.circles.seen(GRACE, OF_LEADS, OF_OPS)
    assert (seen.in_(LEADS), seen.in_(OPS)) == (None, True)


async def test_a_channel_is_read_to_its_last_page(desk: Desk) -> None:
    desk.crowd(OPS, 2_500)
    last = Person("U1002499", "T0HOME", "last", Standing.MEMBER)
    assert await desk.is_in(last, OF_OPS) is True
    assert await desk.is_in(Person("U9", "T0HOME", "none", Standing.MEMBER), OF_OPS) is False
    assert desk.asked() == 3


async def test_of_a_channel_too_large_to_read_those_who_were_found_are_known(desk: Desk) -> None:
    desk.crowd(OPS, 10_000)
    assert await desk.is_in(Person("U1009999", "T0HOME", "last", Standing.MEMBER), OF_OPS) is None
    assert await desk.is_in(ADA, OF_OPS) is True
    assert desk.asked() == 10
    assert [one["error"] for one in desk.logged()] == ["too_large"]


async def test_who_stands_on_a_page_that_came_is_known_though_the_next_failed(desk: Desk) -> None:
    desk.crowd(OPS, 1_500)
    desk.slack.fail(MEMBERS, "internal_error", when=lambda arguments: bool(arguments.get("cursor")), times=2)
    assert await desk.is_in(ADA, OF_OPS) is True
    assert await desk.is_in(Person("U1001499", "T0HOME", "last", Standing.MEMBER), OF_OPS) is None


async def test_slack_is_not_asked_again_before_it_wants_to_be(desk: Desk) -> None:
    desk.slack.fail(GROUPS, "ratelimited", retry_after=30)
    assert await desk.is_in(GRACE, OF_LEADS) is None
    desk.seconds += 29.0
    assert await desk.is_in(GRACE, OF_LEADS) is None
    assert desk.asked() == 1
    desk.seconds += 1.0
    assert await desk.is_in(GRACE, OF_LEADS) is True


@pytest.mark.parametrize(
    ("scope", "circle", "advice"),
    [
        ("usergroups:read", OF_LEADS, "usergroups:read"),
        ("channels:read", OF_OPS, "install it again"),
        ("", Circle(groups=frozenset({"S0NONE"})), "correct its id"),
        ("", Circle(channels=frozenset({"C0NONE"})), "/invite it there"),
    ],
)
async def test_what_is_to_be_mended_is_logged_once_an_hour(
    desk: Desk, scope: str, circle: Circle, advice: str
) -> None:
    desk.slack.scopes.discard(scope)
    for _ in range(3):
        assert await desk.is_in(GRACE, circle) is None
    [line] = desk.logged()
    assert (line["event"], line["level"], advice in line["advice"]) == ("circle.not_asked", "warning", True)
    desk.seconds += HOUR
    await desk.is_in(GRACE, circle)
    assert len(desk.logged()) == 2


async def test_a_private_channel_needs_the_app_in_it(desk: Desk) -> None:
    ops = desk.slack.channels[OPS]
    ops.is_private, ops.is_member = True, False
    assert await desk.is_in(GRACE, OF_OPS) is None
    ops.is_member = True
    assert await desk.is_in(GRACE, OF_OPS) is True


async def test_all_whom_a_circle_names_are_listed(desk: Desk) -> None:
    circle = Circle(frozenset({"U0MEMBER"}), frozenset({LEADS}), frozenset({APPROVALS}))
    ids, complete = await desk.circles.members(circle, 50)
    assert ids == {"U0MEMBER", "U0APPROVER", "U0REQUESTER", "U0RELAY"}
    assert complete


async def test_the_list_is_cut_after_those_who_are_named(desk: Desk) -> None:
    circle = Circle(users=frozenset({"U0MEMBER"}), channels=frozenset({APPROVALS}))
    assert await desk.circles.members(circle, 2) == (frozenset({"U0MEMBER", "U0APPROVER"}), False)


async def test_a_list_of_which_a_part_could_not_be_asked_is_not_complete(desk: Desk) -> None:
    desk.slack.fail(GROUPS, "internal_error")
    circle = Circle(users=frozenset({"U0MEMBER"}), groups=frozenset({LEADS}))
    assert await desk.circles.members(circle, 50) == (frozenset({"U0MEMBER"}), False)


async def test_who_everybody_is_is_not_known(desk: Desk) -> None:
    assert await desk.circles.members(EVERYBODY, 50) == (frozenset(), False)
    assert await desk.circles.members(Circle(), 50) == (frozenset(), True)
