"""Everything that can be pressed or filled in has a name, in the words of the browser's own tree."""

from typing import Any, Literal

import pytest
from playwright.async_api import expect

from relay.demo.places import APPROVALS, GRACE, GUEST, LINUS
from tests.page.browsing import Here, Tab

pytestmark = pytest.mark.asyncio(loop_scope="session")

NAMED = {
    "button", "checkbox", "combobox", "ComboBoxSelect", "dialog", "form", "image", "link", "listbox", "menu",
    "menuitem", "navigation", "option", "radio", "radiogroup", "searchbox", "spinbutton", "textbox",
}  # fmt: skip

SIZES = ((1280, 800), (1024, 700), (800, 900), (800, 600), (390, 844))
TOO_WIDE = """() => [document.documentElement, document.querySelector("#main .scroller")]
    .some((one) => one.scrollWidth > one.clientWidth)"""


# Every text against all that lies under it; what is fading is looked at as it is.
FAINT = """() => {
  const parts = (colour) => (colour.match(/[\\d.]+/g) ?? [0, 0, 0]).map(Number);
  const alpha = (colour) => (colour.length > 3 ? colour[3] : 1);
  const over = (top, below, by) => below.map((one, at) => top[at] * by + one * (1 - by));
  const light = (colour) => colour.map((one) => one / 255)
    .map((one) => (one <= 0.03928 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4))
    .reduce((sum, one, at) => sum + one * [0.2126, 0.7152, 0.0722][at], 0);
  const found = [];
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const box = texts.currentNode.parentElement;
    const words = texts.currentNode.data.trim();
    const shows = box.checkVisibility({ opacityProperty: true, visibilityProperty: true });
    if (!words || !shows || box.closest(".unseen, .skip, select")) continue;
    const layers = [];
    let opacity = 1;
    for (let one = box; one; one = one.parentElement) {
      const style = getComputedStyle(one);
      opacity *= Number(style.opacity);
      layers.unshift(parts(style.backgroundColor));
    }
    const paper = layers.reduce((below, one) => over(one, below, alpha(one)), [255, 255, 255]);
    const ink = parts(getComputedStyle(box).color);
    const both = [light(over(ink, paper, alpha(ink) * opacity)), light(paper)];
    const ratio = (Math.max(...both) + 0.05) / (Math.min(...both) + 0.05);
    if (ratio < 4.5) found.push(`${ratio.toFixed(2)} ${box.className}: ${words.slice(0, 40)}`);
  }
  return found;
}"""
WITHIN = """() => ["#thread", "#guide"].map((one) => document.querySelector(one)).filter((one) => !one.hidden)
  .map((one) => one.getBoundingClientRect())
  .every((one) => one.left >= 0 && one.right <= innerWidth && one.width >= 250)"""
# The names in the switch that are wider than the box of it.
CUT_OFF = """() => {
  const box = document.querySelector("#sidebar select");
  const style = getComputedStyle(box);
  const pen = document.createElement("canvas").getContext("2d");
  pen.font = style.font;
  const arrow = 22;
  const room = box.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight) - arrow;
  return [...box.options].map((one) => one.text).filter((words) => pen.measureText(words).width > room);
}"""


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


async def test_a_thread_and_the_scenarios_are_within_the_window(here: Here) -> None:
    await here.card("edit the config")
    root = await here.said("edit the config")
    tab = await here.tab(thread=root.ts)
    for width, height in SIZES:
        await tab.window.set_viewport_size({"width": width, "height": height})
        await expect(tab.reply_box).to_be_in_viewport()
        assert await tab.window.evaluate(WITHIN), width
        things = tab.window.get_by_role("button", name="Things to try", exact=True)
        if await things.is_visible():
            await things.click()
        await expect(tab.window.locator("#guide h2")).to_be_in_viewport()
        assert await tab.window.evaluate(WITHIN), width


async def test_beside_the_scenarios_a_thread_takes_the_channel_s_place(here: Here) -> None:
    await here.card("edit the config")
    root = await here.said("edit the config")
    tab = await here.tab(thread=root.ts)
    await tab.window.set_viewport_size({"width": 1024, "height": 700})
    await expect(tab.window.locator("#guide")).to_be_visible()
    await expect(tab.window.locator("h1")).to_be_hidden()
    await tab.window.keyboard.press("Escape")
    await expect(tab.window.locator("h1")).to_be_visible()


async def test_the_names_of_people_fit_into_the_switch(here: Here) -> None:
    tab = await here.tab()
    assert await tab.window.evaluate(CUT_OFF) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_every_text_can_be_read(here: Here, scheme: Literal["light", "dark"]) -> None:
    card = await here.card("edit the config")
    tab = await here.tab(GRACE, APPROVALS, card.ts)
    await tab.window.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    await expect(tab.thread).to_be_visible()
    assert await tab.window.evaluate(FAINT) == []
    await tab.button(card.ts, "deny_reason").click()
    await tab.submit.click()
    await expect(tab.modal.locator(".bk-error").first).to_be_visible()
    assert await tab.window.evaluate(FAINT) == []
    await tab.window.keyboard.press("Escape")
    await tab.button(card.ts, "more").click()
    assert await tab.window.evaluate(FAINT) == []
    await tab.window.keyboard.press("Escape")
    await tab.box.fill("/letta d")
    assert await tab.window.evaluate(FAINT) == []
    await tab.box.fill("")
    await tab.go("home")
    await expect(tab.window.locator("#main .home")).to_contain_text("config.toml")
    assert await tab.window.evaluate(FAINT) == []
