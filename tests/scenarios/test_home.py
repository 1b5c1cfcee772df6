"""The Home tab and `/letta approvals`: what waits for whom, and nobody sees what they may not."""

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from relay.sandbox.slack import FakeSlack
from relay.sandbox.slack.workspace import Ephemeral, Message, View
from tests.scenarios.acts import ask_tool
from tests.scenarios.test_grants import form
from tests.witnesses import slack as witness
from tests.world import ADA, APPROVALS, GRACE, GUEST, LINUS, OPS, World, world

RULES = """
[[policies]]
name = "builds"
tools = ["*"]
approvers = { groups = ["S0LEADS"] }
grant_for = "8h"
"""
SECRET = "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"


@pytest.fixture(params=["http", "socket_mode"])
async def both_ways(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    """A running relay under a rule for a user group with Grace in it, over HTTP and in Socket Mode."""
    async with world(tmp_path, socket_mode=request.param == "socket_mode") as made:
        (tmp_path / "relay.toml").write_text(RULES, encoding="utf-8")
        await made.start_relay()
        yield made


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[World]:
    """The same over HTTP alone."""
    async with world(tmp_path) as made:
        (tmp_path / "relay.toml").write_text(RULES, encoding="utf-8")
        await made.start_relay()
        yield made


def said(view: View) -> str:
    """Return all that a tab says, its headings in brackets."""
    assert witness.view_problems({"type": "home", "blocks": view.view["blocks"]}) == []
    return said_in(view.view["blocks"])


def said_in(blocks: list[dict[str, object]]) -> str:
    """Return all that blocks say, their headings in brackets."""
    texts = re.findall(r'"text": ("(?:[^"\\]|\\.)*")', json.dumps(blocks))
    return "\n".join(json.loads(one) for one in texts)


async def home(world: World, user: str, words: str = "Waiting for you") -> str:
    """Open the tab, wait until it says some words, and return what it says."""
    assert (await world.slack.home_opened(user)).ok
    return await now_says(world, user, words)


async def now_says(world: World, user: str, words: str) -> str:
    """Wait until a tab says some words, and return what it says."""

    def says(slack: FakeSlack) -> bool:
        tab = slack.home_of(user)
        return tab is not None and words in said_in(tab.view["blocks"])

    await world.slack.wait_for(says)
    tab = world.slack.home_of(user)
    assert tab is not None
    return said(tab)


def part(said_there: str, title: str, until: str) -> str:
    """Return what stands under a heading."""
    return said_there.partition(title)[2].partition(until)[0]


async def asked(world: World, command: str = "make test") -> Message:
    """Have a tool asked for, and return its card once it is known where it stands."""
    await ask_tool(world, {"command": command})
    return await world.card_says("Can decide")


async def test_an_approver_sees_what_waits_for_them_with_a_way_to_the_card(both_ways: World) -> None:
    card = await asked(both_ways)
    yours = part(await home(both_ways, GRACE, "go to the card"), "Waiting for you", "Waiting for others")
    assert "`make test`" in yours
    assert "asked for by <@U0REQUESTER>" in yours
    assert f"/archives/{APPROVALS}/p{card.ts.replace('.', '')}|go to the card>" in yours


async def test_whoever_asked_sees_it_among_what_waits_for_others(here: World) -> None:
    await asked(here)
    tab = await home(here, ADA, "make test")
    assert "make test" in part(tab, "Waiting for others", "Recent")
    assert "Nothing waits for you." in tab


@pytest.mark.parametrize("user", [LINUS, GUEST])
async def test_nobody_else_is_told_of_it(here: World, user: str) -> None:
    await asked(here)
    tab = await home(here, user, "" if user == LINUS else "Guests see nothing here.")
    assert "make test" not in tab


async def test_a_decision_moves_it_to_what_is_recent_without_opening_the_tab_again(here: World) -> None:
    card = await asked(here)
    await home(here, GRACE, "make test")
    await here.slack.click(GRACE, APPROVALS, card.ts, "approve")
    tab = await now_says(here, GRACE, "Approved by <@U0APPROVER>")
    assert "make test" in part(tab, "Recent", "Your grants")
    assert "Nothing waits for you." in tab


async def test_an_approver_who_did_nothing_is_not_told_of_what_others_decided(here: World) -> None:
    here.slack.groups["S0LEADS"].add(LINUS)
    card = await asked(here)
    await here.slack.click(GRACE, APPROVALS, card.ts, "approve")
    await here.card_says("Approved by")
    assert "Nothing was decided lately" in await home(here, LINUS)


async def test_a_grant_is_revoked_on_the_tab(both_ways: World) -> None:
    card = await asked(both_ways)
    await both_ways.slack.submit_view(GRACE, await form(both_ways, card))
    await both_ways.card_says("allowed it for a while")
    await home(both_ways, GRACE, "for exactly this input")
    tab = both_ways.slack.home_of(GRACE)
    assert tab is not None
    await both_ways.slack.click_view(GRACE, tab, "revoke")
    await now_says(both_ways, GRACE, "You allow nothing for a while.")
    await both_ways.card_says("revoked by <@U0APPROVER>")


async def test_no_secret_is_on_a_tab(here: World) -> None:
    await asked(here, f"curl -H 'Authorization: token {SECRET}'")
    assert SECRET not in await home(here, GRACE, "secret 1")


async def test_of_a_group_that_slack_does_not_tell_of_nothing_is_shown(here: World) -> None:
    here.slack.fail("usergroups.users.list", "internal_error", times=20)
    await asked(here)
    tab = await home(here, LINUS, "could not ask Slack which groups")
    assert "make test" not in tab


async def test_the_messages_tab_publishes_nothing(here: World) -> None:
    await here.slack.home_opened(GRACE, "messages")
    await home(here, ADA)
    assert here.slack.home_of(GRACE) is None


async def test_a_tab_that_slack_refused_for_its_rate_comes_later(here: World) -> None:
    here.slack.fail("views.publish", "ratelimited", retry_after=1)
    await home(here, GRACE)
    assert [one.error for one in here.slack.calls if one.method == "views.publish"] == ["ratelimited", None]


async def test_several_changes_are_one_publishing_some_seconds_later(here: World) -> None:
    card = await asked(here)
    await home(here, GRACE, "make test")
    await here.slack.click(GRACE, APPROVALS, card.ts, "approve")
    await here.card_says("Delivered")
    await now_says(here, GRACE, "Approved by")
    first, *others = [one.at for one in here.slack.calls if one.method == "views.publish"]
    assert [at - first >= 2.5 for at in others] == [True]


async def told(world: World, user: str) -> Ephemeral:
    """Wait until somebody is told a list in private, and return it."""
    await world.slack.wait_for(lambda slack: any(one.user == user and one.blocks for one in slack.ephemerals))
    return next(one for one in world.slack.ephemerals if one.user == user and one.blocks)


async def test_the_command_lists_the_same_in_private(both_ways: World) -> None:
    await asked(both_ways)
    assert (await both_ways.slack.slash(GRACE, OPS, "approvals")).ok
    listed = said_in((await told(both_ways, GRACE)).blocks)
    assert "make test" in part(listed, "Waiting for you", "Waiting for others")
