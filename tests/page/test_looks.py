"""Everything that can be pressed or filled in has a name, in the words of the browser's own tree."""

from typing import Any

import pytest
from playwright.async_api import expect

from relay.demo.places import APPROVALS, GRACE, GUEST, LINUS
from tests.page.browsing import Here, Tab

pytestmark = pytest.mark.asyncio(loop_scope="session")

NAMED = {
    "button", "checkbox", "combobox", "ComboBoxSelect", "dialog", "form", "image", "link", "listbox", "menu",
    "menuitem", "navigation", "option", "radio", "radiogroup", "searchbox", "spinbutton", "textbox",
}  # fmt: skip

SIZES = ((1280, 800), (800, 600), (390, 800))
TOO_WIDE = """() => [document.documentElement, document.querySelector("#main .scroller")]
    .some((one) => one.scrollWidth > one.clientWidth)"""


async def nameless(tab: Tab) -> list[str]:
    """Return what of the page a screen reader could not name."""
    session = await tab.window.context.new_cdp_session(tab.window)
    found: dict[str, Any] = await session.send("Accessibility.getFullAXTree")
    await session.detach()
    seen = [one for one in found["nodes"] if not one["ignored"] and one["role"]["value"] in NAMED]
    assert len(seen) > 2
    return [
        f"{one['role']['value']} {one}" for one in seen if not one.get("name", {}).get("value", "").strip()
    ]


async def test_all_that_can_be_used_in_a_channel_has_a_name(here: Here) -> None:
    tab = await here.tab()
    assert await nameless(tab) == []
    await tab.box.fill("/l")
    await expect(tab.offers.first).to_be_visible()
    assert await nameless(tab) == []


async def test_all_that_can_be_used_on_a_card_has_a_name(here: Here) -> None:
    card = await here.card("deploy to production")
    tab = await here.tab(GRACE, APPROVALS, card.ts)
    await expect(tab.thread).to_be_visible()
    assert await nameless(tab) == []
    await tab.button(card.ts, "more").click()
    assert await nameless(tab) == []
    await tab.window.keyboard.press("Escape")
    await tab.button(card.ts, "approve").click()
    await expect(tab.question).to_be_visible()
    assert await nameless(tab) == []


async def test_every_field_of_every_form_has_a_name(here: Here) -> None:
    card = await here.card("deploy the site")
    tab = await here.tab(LINUS, APPROVALS)
    for form in ("deny_reason", "edit", "details"):
        await tab.button(card.ts, form).click()
        await look_at_modal(tab)
    for words in ("Approve with a comment", "I ran it myself", "Allow for a while"):
        await tab.choose(card.ts, words)
        await look_at_modal(tab)


async def look_at_modal(tab: Tab) -> None:
    """Look at the modal that opens, and close it."""
    await expect(tab.modal).to_be_visible()
    assert await nameless(tab) == []
    await tab.window.keyboard.press("Escape")
    await expect(tab.window.locator("#modal")).to_be_hidden()


async def test_all_that_can_be_used_in_the_home_tab_has_a_name(here: Here) -> None:
    await here.card("refund order 1042")
    tab = await here.tab(GRACE, "home")
    await expect(tab.window.locator("#main .home")).to_contain_text("refund_order")
    assert await nameless(tab) == []


async def test_who_sees_nothing_of_the_home_tab_is_told_so(here: Here) -> None:
    tab = await here.tab(GUEST, "home")
    await expect(tab.window.locator("#main .home .blocks")).to_be_visible()
    assert await nameless(tab) == []


async def test_nothing_is_wider_than_the_window(here: Here) -> None:
    card = await here.card("edit the config")
    tab = await here.tab(GRACE, APPROVALS)
    for width, height in SIZES:
        await tab.window.set_viewport_size({"width": width, "height": height})
        await expect(tab.message(card.ts)).to_be_visible()
        assert not await tab.window.evaluate(TOO_WIDE), width
