"""Who sees what, and two people at once."""

import asyncio
import re

import pytest
from playwright.async_api import expect

from relay.demo.places import ADA, APPROVALS, GRACE, GUEST, LINUS, OPS, STRANGER
from relay.demo.words import says
from tests.page.browsing import Here, Tab

pytestmark = pytest.mark.asyncio(loop_scope="session")


TOLD = {  # of what was decided, to whom it is not asked any more
    True: re.compile("already.*approved by", re.IGNORECASE),
    False: re.compile("already.*denied by", re.IGNORECASE),
}


async def places(tab: Tab) -> list[str]:
    found = await tab.window.locator("#sidebar .place").evaluate_all(
        "all => all.map(one => one.dataset.place)"
    )
    return [str(one) for one in found]


async def test_people_see_the_channels_that_they_are_in(here: Here) -> None:
    seen = {user: await places(await here.tab(user)) for user in (ADA, GUEST, STRANGER)}
    ours = [OPS, APPROVALS, "C0OUTSIDE", "C0SHARED", "C0WORKSHOP"]
    assert seen == {
        ADA: ["home", *ours, f"D{ADA}"],
        GUEST: ["home", OPS, APPROVALS, "C0SHARED", f"D{GUEST}"],
        STRANGER: ["C0SHARED"],
    }


async def test_a_link_to_a_channel_that_one_is_not_in_leads_to_one_s_own(here: Here) -> None:
    await here.card("deploy the site")
    tab = await here.tab(STRANGER, APPROVALS)
    await expect(tab.window.locator("h1")).to_have_text("#shared")
    await expect(tab.window.locator("#main article")).to_have_count(0)
    assert "make site" not in await tab.window.content()


async def test_a_stranger_s_command_is_refused_to_them_alone(here: Here) -> None:
    stranger, ada = await here.tab(STRANGER), await here.tab(ADA, "C0SHARED")
    await stranger.box.fill("/letta deploy the site")
    await stranger.box.press("Enter")
    await expect(stranger.whispers).to_contain_text("Nothing was done")
    await here.slack.say(STRANGER, "C0SHARED", "hm")
    await expect(ada.window.locator("#main article")).to_have_count(1)
    await expect(ada.whispers).to_have_count(0)
    assert not here.made.site.received


async def test_what_is_told_to_one_person_is_seen_by_one(here: Here) -> None:
    card = await here.card("deploy the site")
    tabs = {user: await here.tab(user, APPROVALS) for user in (GRACE, LINUS, GUEST)}
    await tabs[GUEST].button(card.ts, "deny").click()
    await expect(tabs[GUEST].whispers).to_contain_text("guests cannot do that")
    await here.slack.say(GUEST, APPROVALS, "may I?")
    for user in (GRACE, LINUS):
        await expect(tabs[user].window.locator("#main article").last).to_contain_text("may I?")
        await expect(tabs[user].whispers).to_have_count(0)


async def test_of_two_who_press_at_once_one_decides_and_the_other_is_told(here: Here) -> None:
    card = await here.card("restart the web server")
    grace, linus = await here.tab(GRACE, APPROVALS, late=True), await here.tab(LINUS, APPROVALS, late=True)
    await expect(grace.button(card.ts, "approve")).to_be_visible()
    await expect(linus.button(card.ts, "deny")).to_be_visible()
    here.late.holds = True
    await asyncio.gather(grace.button(card.ts, "approve").click(), linus.button(card.ts, "deny").click())
    await here.slack.wait_for(
        lambda slack: says(card, "Delivered.") and any("lready" in one.text for one in slack.ephemerals)
    )
    here.late.release()

    decided = says(card, "Approved by")
    first, second = (grace, linus) if decided else (linus, grace)
    await expect(second.whispers).to_contain_text(TOLD[decided])
    await expect(first.whispers).to_have_count(0)
    for tab in (grace, linus):
        await expect(tab.message(card.ts)).to_contain_text("Approved by" if decided else "Denied by")
        await expect(tab.button(card.ts, "approve")).to_have_count(0)
    assert [one.approve for one in here.made.site.decisions] == [decided]
