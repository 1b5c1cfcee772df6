"""Who is shown everything that a tool is called with."""

import pytest

from tests.scenarios.acts import ask_tool
from tests.world import ADA, APPROVALS, GONE, GRACE, GUEST, LINUS, STRANGER, World

INPUT = {"command": "make the zanzibar release"}
REFUSED = {
    GUEST: "guests cannot do that here",
    GONE: "your account is deactivated",
    STRANGER: "only members of this workspace",
    "U0RELAY": "bots and workflows cannot",
}


@pytest.mark.parametrize("who", REFUSED)
async def test_who_may_not_act_is_not_shown_the_details_and_told_why(both_ways: World, who: str) -> None:
    card = await ask_tool(both_ways, INPUT)
    assert (await both_ways.slack.click(who, APPROVALS, card.ts, "details")).ok
    said = await both_ways.told(who, REFUSED[who])
    assert said.startswith("Not shown: ")
    assert both_ways.slack.views == []
    assert '"event": "details.refused"' in both_ways.log.getvalue()


async def test_a_person_whom_slack_cannot_describe_is_not_shown_the_details(here: World) -> None:
    card = await ask_tool(here, INPUT)
    here.slack.fail("users.info", "internal_error", status=500)
    await here.slack.click(GRACE, APPROVALS, card.ts, "details")
    await here.told(GRACE, "could not ask Slack who you are")
    assert here.slack.views == []


@pytest.mark.parametrize("who", [ADA, LINUS, GRACE])
async def test_any_full_member_is_shown_the_details_and_no_approver_needs_to_be(
    idle: World, who: str
) -> None:
    await idle.start_relay({"RELAY_APPROVERS": GRACE})
    card = await ask_tool(idle, INPUT)
    await idle.slack.click(who, APPROVALS, card.ts, "details")
    await idle.slack.wait_for(lambda slack: [view for view in slack.views if view.user == who])
