"""A place for cards that is not what it should be, as people and whoever runs relay see it."""

import json

import pytest

from relay.sandbox.slack import FakeSlack
from tests.scenarios.acts import ask_tool
from tests.scenarios.test_health import ask, readiness
from tests.world import ADA, APPROVALS, GRACE, OPS, OUTSIDE, World, button

ASKS, POST = "conversations.info", "chat.postMessage"
INPUT = {"command": "make the zanzibar release"}
NOWHERE = "C0NOWHERE"


def calls(slack: FakeSlack, method: str, channel: str = APPROVALS) -> list[str | None]:
    """Return how each call of a method about a channel ended."""
    return [
        one.error for one in slack.calls if one.method == method and one.arguments.get("channel") == channel
    ]


async def test_a_card_asks_nothing_that_the_start_has_asked(here: World) -> None:
    await ask_tool(here, INPUT)
    await here.slack.click(GRACE, APPROVALS, (await here.card()).ts, "approve")
    await here.card_says("Delivered.")
    await ask_tool(here, INPUT, number=2)
    assert calls(here.slack, ASKS) == [None]


@pytest.mark.parametrize("error", ["internal_error", "ratelimited"])
async def test_no_card_is_posted_where_slack_does_not_say_who_reads_it(idle: World, error: str) -> None:
    idle.slack.fail(ASKS, error, status=500, times=3, retry_after=1)
    await idle.start_relay()
    card = await ask_tool(idle, INPUT)
    assert button(card, "approve") is not None
    asked = [one.method for one in idle.slack.calls if one.arguments.get("channel") == APPROVALS]
    assert asked == [ASKS] * 4 + [POST]


async def test_a_channel_found_shared_only_later_gets_no_card_and_the_next_place_does(idle: World) -> None:
    idle.slack.fail(ASKS, "internal_error", status=500)
    await idle.start_relay({"RELAY_APPROVERS": GRACE})
    idle.slack.channels[APPROVALS].is_ext_shared = True
    await idle.slack.slash(ADA, OPS, "TOOL: rm -rf build")
    await idle.slack.wait_for(lambda slack: "D" + GRACE in slack.channels)
    await idle.card(channel="D" + GRACE)
    assert calls(idle.slack, POST) == []


async def test_without_another_place_a_request_in_a_shared_channel_is_denied_and_says_why(
    idle: World,
) -> None:
    idle.slack.fail(ASKS, "internal_error", status=500)
    await idle.start_relay()
    idle.slack.channels[APPROVALS].is_ext_shared = True
    await idle.slack.slash(ADA, OPS, "TOOL: rm -rf build")
    await idle.environment.wait_for(lambda environment: environment.decisions)
    assert "shared with another workspace" in str(idle.environment.decisions[0].reason)
    assert calls(idle.slack, POST) == []


async def test_a_channel_that_slack_does_not_know_is_warned_about_with_both_causes(idle: World) -> None:
    await idle.start_relay({"RELAY_APPROVALS_CHANNEL": NOWHERE})
    logged = [json.loads(line) for line in idle.log.getvalue().splitlines()]
    [warning] = [one for one in logged if one["event"] == "place.closed"]
    assert (warning["level"], warning["channel"]) == ("warning", NOWHERE)
    assert "the id is wrong" in warning["reason"] and "not invited" in warning["reason"]


@pytest.mark.parametrize(("channel", "words"), [(NOWHERE, "the id is wrong"), (OUTSIDE, "/invite")])
async def test_what_is_wrong_with_a_place_is_said_by_a_relay_that_is_ready(
    idle: World, channel: str, words: str
) -> None:
    await idle.start_relay({"RELAY_APPROVALS_CHANNEL": channel})
    body = await readiness(idle, 200, words)
    assert words in body[f"place {channel}"]


async def test_a_place_as_it_should_be_is_open(here: World) -> None:
    assert (await ask(here, "/readyz"))[1][f"place {APPROVALS}"] == "open"


async def test_a_place_that_was_closed_to_a_card_is_said_to_be_until_it_takes_one(idle: World) -> None:
    await idle.start_relay({"RELAY_APPROVERS": GRACE})
    idle.slack.channels[APPROVALS].is_member = False
    await idle.slack.slash(ADA, OPS, "TOOL: rm -rf build")
    await idle.slack.wait_for(lambda slack: "D" + GRACE in slack.channels)
    card = await idle.card(channel="D" + GRACE)
    assert "/invite" in (await ask(idle, "/readyz"))[1][f"place {APPROVALS}"]
    idle.slack.channels[APPROVALS].is_member = True
    await idle.slack.click(GRACE, "D" + GRACE, card.ts, "approve")
    await idle.card_says("Delivered.", channel="D" + GRACE)
    await ask_tool(idle, INPUT)
    assert (await ask(idle, "/readyz"))[1][f"place {APPROVALS}"] == "open"
