"""Where cards may go, asked of Slack and remembered."""

import asyncio
import json
from collections.abc import AsyncIterator, Coroutine
from dataclasses import dataclass, field
from io import StringIO
from typing import Any

import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from relay.app import json_log
from relay.domain.deliveries import Refused, Retry
from relay.sandbox.slack import FakeSlack
from relay.slack.places import Places

ASKS = "conversations.info"
OPS, SHARED, OUTSIDE, NOWHERE = "C0OPS", "C0SHARED", "C0OUTSIDE", "C0NOWHERE"
SHARED_REASON = Refused("it is shared with another workspace")
MINUTE = 60.0


@dataclass
class Desk:
    """Places that ask a stand-in Slack, a clock that the test turns, and what is looked at in between."""

    slack: FakeSlack
    log: StringIO = field(default_factory=StringIO)
    seconds: float = 1_000.0
    looking: list[Coroutine[Any, Any, None]] = field(default_factory=list)

    def places(self, *channels: str) -> Places:
        client = AsyncWebClient(token=self.slack.bot_token, base_url=self.slack.api_url, retry_handlers=[])
        return Places(client, channels, self.looking.append, json_log(self.log), lambda: self.seconds)

    async def look(self) -> None:
        """Let be done what was to be done soon."""
        while self.looking:
            await self.looking.pop()

    def asked(self) -> int:
        return sum(call.method == ASKS for call in self.slack.calls)

    def logged(self) -> list[str]:
        return [json.loads(line)["event"] for line in self.log.getvalue().splitlines()]


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    async with FakeSlack() as slack:
        yield Desk(slack)


async def test_a_place_is_asked_about_once_in_ten_minutes(desk: Desk) -> None:
    places = desk.places(OPS)
    await places.check()
    for _ in range(9):
        desk.seconds += MINUTE
        assert await places.closed(OPS) is None
    assert desk.asked() == 1
    desk.seconds += MINUTE
    assert await places.closed(OPS) is None
    assert desk.asked() == 2


async def test_a_place_that_became_shared_is_closed_within_ten_minutes(desk: Desk) -> None:
    places = desk.places(OPS)
    await places.check()
    desk.slack.channels[OPS].is_ext_shared = True
    desk.seconds += 10 * MINUTE
    assert await places.closed(OPS) == SHARED_REASON
    assert "shared with another workspace" in places.words()[OPS]
    assert desk.logged() == ["place.open", "place.closed"]


async def test_the_shared_ones_are_found_at_start(desk: Desk) -> None:
    assert await desk.places(OPS, SHARED, OUTSIDE, NOWHERE, "U0APPROVER").check() == [SHARED]


@pytest.mark.parametrize("error", ["internal_error", "service_unavailable", "missing_scope", "invalid_auth"])
async def test_a_place_that_cannot_be_asked_about_takes_no_card_yet(desk: Desk, error: str) -> None:
    desk.slack.fail(ASKS, error)
    closed = await desk.places(OPS).closed(OPS)
    assert isinstance(closed, Retry)
    assert not closed.uncertain
    assert error in closed.reason


async def test_a_hanging_slack_leaves_a_place_unknown(desk: Desk) -> None:
    desk.slack.fail(ASKS, "", hang=True)
    closed = await desk.places(OPS).closed(OPS)
    assert isinstance(closed, Retry)
    assert not closed.uncertain


async def test_slacks_own_waiting_time_is_kept(desk: Desk) -> None:
    desk.slack.fail(ASKS, "ratelimited", retry_after=7)
    closed = await desk.places(OPS).closed(OPS)
    assert isinstance(closed, Retry)
    assert closed.after == 7


async def test_what_could_not_be_asked_at_start_is_asked_before_the_first_card(desk: Desk) -> None:
    desk.slack.fail(ASKS, "internal_error", status=500)
    places = desk.places(SHARED)
    assert await places.check() == []
    desk.seconds += 2
    assert await places.closed(SHARED) == SHARED_REASON


async def test_many_cards_at_once_ask_once(desk: Desk) -> None:
    desk.slack.fail(ASKS, "internal_error", status=500, times=99)
    places = desk.places(OPS)
    found = await asyncio.gather(*(places.closed(OPS) for _ in range(20)))
    assert all(isinstance(one, Retry) for one in found)
    assert desk.asked() == 1


async def test_a_place_that_slack_does_not_know_is_refused_and_asked_about_again(desk: Desk) -> None:
    places = desk.places(NOWHERE)
    assert await places.closed(NOWHERE) == Refused("channel_not_found")
    desk.slack.channels[NOWHERE] = type(desk.slack.channels[OPS])(NOWHERE, "nowhere")
    desk.seconds += 2
    assert await places.closed(NOWHERE) is None


async def test_a_person_is_never_asked_about(desk: Desk) -> None:
    places = desk.places("U0APPROVER", "W0APPROVER")
    assert await places.check() == []
    assert await places.closed("U0APPROVER") is None
    assert places.words() == {}
    assert desk.asked() == 0


async def test_a_place_of_an_older_configuration_is_asked_about_too(desk: Desk) -> None:
    assert await desk.places(OPS).closed(SHARED) == SHARED_REASON


async def test_before_the_places_of_the_configuration_are_checked_nothing_is_denied_for_one(
    desk: Desk,
) -> None:
    assert isinstance(await desk.places(SHARED).closed(SHARED), Retry)


async def test_the_first_place_found_to_be_shared_is_told_while_others_are_not_answered(desk: Desk) -> None:
    desk.slack.fail("conversations.info", "", hang=True, when=lambda asked: asked["channel"] == OPS)
    assert await desk.places(OPS, SHARED).check() == [SHARED]


async def test_each_place_says_in_words_what_is_wrong(desk: Desk) -> None:
    desk.slack.channels["C0ARCHIVED"] = type(desk.slack.channels[OPS])("C0ARCHIVED", "a", is_archived=True)
    places = desk.places(OPS, OUTSIDE, NOWHERE, "C0ARCHIVED")
    await places.check()
    said = places.words()
    assert said[OPS] == "open"
    assert "/invite" in said[OUTSIDE]
    assert "the id is wrong" in said[NOWHERE] and "private channel" in said[NOWHERE]
    assert "archived" in said["C0ARCHIVED"]


async def test_what_was_wrong_is_looked_at_again_once_a_minute_and_said_to_be_mended(desk: Desk) -> None:
    places = desk.places(OUTSIDE)
    await places.check()
    desk.slack.channels[OUTSIDE].is_member = True
    desk.seconds += MINUTE
    for _ in range(3):
        places.words()
    await desk.look()
    assert desk.asked() == 2
    assert places.words()[OUTSIDE] == "open"


async def test_what_is_well_is_not_looked_at_for_being_asked_after(desk: Desk) -> None:
    places = desk.places(OPS)
    await places.check()
    desk.seconds += MINUTE
    places.words()
    assert desk.looking == []


async def test_a_card_that_was_taken_shows_that_a_place_is_open(desk: Desk) -> None:
    places = desk.places(OUTSIDE)
    await places.check()
    places.took(OUTSIDE)
    assert places.words()[OUTSIDE] == "open"


@pytest.mark.parametrize(
    ("error", "words"), [("not_in_channel", "/invite"), ("restricted_action", "restricted_action")]
)
async def test_a_card_that_was_refused_shows_what_is_wrong(desk: Desk, error: str, words: str) -> None:
    places = desk.places(OPS)
    await places.check()
    places.refused(OPS, SlackApiError("no", {"ok": False, "error": error}))  # type: ignore[no-untyped-call]
    assert words in places.words()[OPS]


@pytest.mark.parametrize("error", ["msg_blocks_too_long", "ratelimited", "internal_error"])
async def test_a_refusal_that_is_not_for_the_place_says_nothing_of_it(desk: Desk, error: str) -> None:
    places = desk.places(OPS)
    await places.check()
    places.refused(OPS, SlackApiError("no", {"ok": False, "error": error}))  # type: ignore[no-untyped-call]
    assert places.words()[OPS] == "open"


async def test_the_same_trouble_is_logged_once(desk: Desk) -> None:
    desk.slack.fail(ASKS, "internal_error", status=500, times=99)
    places = desk.places(OPS)
    for _ in range(5):
        desk.seconds += 2
        await places.closed(OPS)
    assert desk.logged() == ["place.unknown"]


async def test_other_places_are_taken_once_slack_has_said_that_they_are_not_shared(desk: Desk) -> None:
    places = desk.places(OPS)
    await places.check()
    assert await places.take([OPS, OUTSIDE, "U0APPROVER"]) == []
    assert set(places.words()) == {OPS, OUTSIDE}
    assert desk.asked() == 2
    assert await places.take([OPS, SHARED]) == [SHARED]
    assert set(places.words()) == {OPS, OUTSIDE}
    assert await places.closed(SHARED) == SHARED_REASON


async def test_a_place_that_slack_tells_nothing_of_is_taken_and_asked_about_before_the_first_card(
    desk: Desk,
) -> None:
    places = desk.places(OPS)
    desk.slack.fail(ASKS, "internal_error", status=500)
    assert await places.take([SHARED]) == []
    desk.seconds += 2
    closed = await places.closed(SHARED)
    assert isinstance(closed, Retry | Refused)
