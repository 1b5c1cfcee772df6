"""Every scenario can be watched from the page, to its end."""

import pytest
from playwright.async_api import Locator, expect

from tests.page.browsing import Here, Tab
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
    await tab.box.fill("/letta deploy the site")
    await tab.box.press("Enter")
    await expect(told.locator(".far")).to_have_text("2 of 6")
    await told.locator("li.next .visit").click()
    await expect(tab.window.locator("h1")).to_have_text("#approvals")
    await expect(tab.window.locator("#sidebar select")).to_have_value("U0GUEST")
    await told.get_by_role("button", name="Do the rest for me").click()
    await expect(told.locator(".far")).to_have_text("✓ done")
