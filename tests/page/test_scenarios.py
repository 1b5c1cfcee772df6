"""Every scenario can be watched from the page, to its end, and leads to where it happens."""

import re
from dataclasses import replace

import pytest
from playwright.async_api import Locator, expect

from relay.demo.places import ADA, APPROVALS, GRACE, GUEST, OPS
from relay.sandbox.slack import Message
from tests.page.browsing import QUICK, Here, Tab
from tests.test_demo import NAMES

pytestmark = pytest.mark.asyncio(loop_scope="session")


def scenario(tab: Tab, name: str) -> Locator:
    return tab.window.locator(f".scenario[data-key='{name}']")


async def opened(tab: Tab, name: str) -> Locator:
    """Open a scenario in the panel, where it is not."""
    found = scenario(tab, name)
    head = found.locator("h3 button")
    if await head.get_attribute("aria-expanded") == "false":
        await head.click()
    return found


async def test_the_panel_names_every_scenario(here: Here) -> None:
    tab = await here.tab()
    await expect(tab.window.locator(".scenario")).to_have_count(len(NAMES))
    found = await tab.window.locator(".scenario").evaluate_all("all => all.map(one => one.dataset.key)")
    assert tuple(found) == NAMES


@pytest.mark.parametrize("name", NAMES)
async def test_a_scenario_can_be_watched(here: Here, name: str) -> None:
    tab = await here.tab()
    told = await opened(tab, name)
    await told.get_by_role("button", name="Watch it").click()
    await expect(tab.window.locator(f".scenario[data-key='{name}'].whole")).to_be_visible(timeout=60_000)
    await expect(told.locator(".wrong")).to_have_count(0)
    await expect(told.locator(".far")).to_have_text("✓ done")


async def test_a_scenario_is_walked_by_hand_and_finished_by_itself(here: Here) -> None:
    tab = await here.tab()
    told = await opened(tab, "first-steps")
    await told.get_by_role("button", name="Start").click()
    await expect(told.locator(".far")).to_have_text("0 of 6")
    await expect(tab.box).to_have_value("/letta deploy the site")
    await tab.box.press("Enter")
    await expect(told.locator(".far")).to_have_text("2 of 6")
    await told.locator("li.next .visit").click()
    await expect(tab.window.locator("h1")).to_have_text("#approvals")
    await expect(tab.window.locator("#sidebar select")).to_have_value("U0GUEST")
    await told.get_by_role("button", name="Do the rest for me").click()
    await expect(told.locator(".far")).to_have_text("✓ done")


async def first_steps_typed(here: Here, tab: Tab) -> tuple[Locator, Message]:
    """Type what the welcome says, without a start; return the scenario and the card that comes."""
    await expect(tab.window.locator(".welcome")).to_contain_text("First steps")
    await tab.window.locator(".welcome button").click()
    await tab.box.press("Enter")
    return await opened(tab, "first-steps"), await here.said("approval needed", APPROVALS)


async def test_what_the_welcome_says_begins_the_first_steps(here: Here) -> None:
    tab = await here.tab()
    told, _ = await first_steps_typed(here, tab)
    await expect(told.locator(".far")).to_have_text("2 of 6")
    await expect(told.locator("li.next")).to_contain_text("As the guest")
    await expect(told.get_by_role("button", name="Start again")).to_be_visible()


async def test_a_step_s_link_leads_to_the_card_or_opens_the_thread(here: Here) -> None:
    tab = await here.tab()
    told, card = await first_steps_typed(here, tab)
    await here.slack.click(GRACE, APPROVALS, card.ts, "approve")
    for number in range(30):
        await here.slack.say(GRACE, APPROVALS, f"something else, {number}")
    await expect(told.locator(".far")).to_have_text("5 of 6")  # the guest has not pressed
    for step, person in ((2, GUEST), (3, GRACE)):
        await told.locator("li").nth(step).locator(".visit").click()
        await tab.is_person(person)
        await expect(tab.message(card.ts)).to_be_focused()
        await expect(tab.message(card.ts)).to_have_class(re.compile("pointed"))
        await expect(tab.message(card.ts)).to_be_in_viewport()
    await told.locator("li").last.locator(".visit").click()
    await tab.is_person(ADA)
    await expect(tab.thread).to_contain_text("the site is live")
    await expect(tab.message(card.ts)).to_have_count(0)
    await here.slack.say(ADA, OPS, "and go on")
    await expect(tab.window.locator("#main article").last).to_contain_text("and go on")


async def test_who_watches_sees_the_card_and_the_thread(here: Here) -> None:
    here.made.pace = replace(QUICK, step=2.0)  # at a pace at which even a busy browser shows every step
    tab = await here.tab()
    told = await opened(tab, "diff")
    await tab.window.evaluate("""() => {
      window.seen = [];
      const note = () => document.querySelector(".pointed") && window.seen.push(location.hash);
      new MutationObserver(note).observe(document, { subtree: true, childList: true, attributes: true });
    }""")
    watch = told.get_by_role("button", name="Watch it")
    await watch.click()
    await expect(told.locator(".far")).to_have_text("✓ done")
    await expect(tab.thread).to_contain_text("configuration is changed")
    [root] = [one for one in here.slack.channels[OPS].messages if one.thread_ts is None]
    assert root.ts in tab.window.url
    assert any(APPROVALS in one for one in await tab.window.evaluate("window.seen"))


@pytest.mark.parametrize("width", [800, 390])
async def test_a_panel_that_lies_over_what_a_link_leads_to_makes_way(here: Here, width: int) -> None:
    card = await here.card("deploy the site")
    tab = await here.tab()
    await tab.window.set_viewport_size({"width": width, "height": 844})
    await tab.window.get_by_role("button", name="Things to try", exact=True).click()
    told = await opened(tab, "first-steps")
    await told.locator(".visit").nth(1).click()
    await tab.is_person(GRACE)
    await expect(tab.window.locator("#guide")).to_be_hidden()
    await expect(tab.message(card.ts)).to_be_in_viewport()
