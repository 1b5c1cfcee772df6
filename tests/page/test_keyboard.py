"""The same by keyboard alone: no test here touches the mouse, or gives the focus to anything by script."""

import pytest
from playwright.async_api import expect
from slack_sdk.web.async_client import AsyncWebClient

from relay.demo.places import ADA, APPROVALS, GRACE, GUEST, LINUS, STRANGER
from relay.demo.words import says
from tests.page.browsing import Here, Tab

pytestmark = pytest.mark.asyncio(loop_scope="session")

_MOST_TABS = 90
PEOPLE = (ADA, GRACE, LINUS, GUEST, STRANGER)  # as the switch has them
SWITCH = "#sidebar select"


async def reach(tab: Tab, selector: str, key: str = "Tab") -> None:
    """Press Tab until the focus is where a selector says."""
    for _ in range(_MOST_TABS):
        if await tab.has_focus(selector):
            return
        await tab.window.keyboard.press(key)
    raise AssertionError(f"{selector} is not reached with {key}")


async def press(tab: Tab, *keys: str) -> None:
    for key in keys:
        await tab.window.keyboard.press(key)


async def become(tab: Tab, user: str) -> None:
    """Choose who one is with the arrows, as whom one is seen on the way too."""
    await reach(tab, SWITCH, "Shift+Tab")
    while (now := await tab.window.locator(SWITCH).input_value()) != user:
        by = 1 if PEOPLE.index(now) < PEOPLE.index(user) else -1
        await press(tab, "ArrowDown" if by > 0 else "ArrowUp")
        await tab.is_person(PEOPLE[PEOPLE.index(now) + by])


def on_card(ts: str, action_id: str) -> str:
    return f"#main article[data-ts='{ts}'] [data-action-id={action_id}]"


async def test_a_newcomer_walks_by_keyboard_alone(here: Here) -> None:
    tab = await here.tab()
    await press(tab, "Tab", "Enter")  # skip to the conversation
    await expect(tab.box).to_be_focused()
    await tab.window.keyboard.type("/le")
    await press(tab, "Enter")  # takes the command
    await tab.window.keyboard.type("depl")
    await press(tab, "ArrowDown", "ArrowDown", "Enter")
    await expect(tab.box).to_have_value("/letta deploy the site")
    await press(tab, "Enter")
    await expect(tab.whispers).to_contain_text("Queued")
    card = await here.said("approval needed", APPROVALS)

    await press(tab, "Alt+ArrowDown")
    await expect(tab.window.locator("h1")).to_have_text("#approvals")
    await become(tab, GUEST)
    await reach(tab, on_card(card.ts, "approve"))
    await press(tab, "Enter")
    await expect(tab.whispers).to_contain_text("guests cannot do that")
    await become(tab, GRACE)
    await expect(tab.whispers).to_have_count(0)
    await reach(tab, on_card(card.ts, "approve"))
    await press(tab, "Enter")
    await expect(tab.message(card.ts)).to_contain_text("Delivered.")
    assert [one.approve for one in here.made.site.decisions] == [True]

    await become(tab, ADA)
    await reach(tab, "[data-place=C0OPS]")
    await press(tab, "Enter")
    await reach(tab, "#main .replies")
    await press(tab, "Enter")
    await expect(tab.reply_box).to_be_focused()
    await expect(tab.thread).to_contain_text("Done: the site is live")
    await press(tab, "Escape")
    await expect(tab.thread).to_be_hidden()
    await tab.focused("#main .replies")


async def test_a_modal_is_filled_in_and_sent_by_keyboard(here: Here) -> None:
    card = await here.card("free some disk: delete the logs")
    tab = await here.tab(GRACE, APPROVALS)
    await reach(tab, on_card(card.ts, "deny_reason"))
    await press(tab, "Enter")
    await expect(tab.modal).to_be_visible()
    await press(tab, "Control+Enter")
    await expect(tab.modal.locator(".bk-error")).to_be_visible()
    await tab.focused("#modal [aria-invalid] input")
    await press(tab, "ArrowUp")  # the last of them: words of one's own
    await reach(tab, "#modal textarea")
    await tab.window.keyboard.type("Keep them.")
    await reach(tab, "#modal .modal-foot .primary")
    await press(tab, "Enter")
    await expect(tab.message(card.ts)).to_contain_text("Keep them.")
    await here.said("I was told: *Keep them.*")


async def test_escape_leaves_a_modal_and_gives_the_focus_back(here: Here) -> None:
    card = await here.card("clean up old builds")
    tab = await here.tab(GRACE, APPROVALS)
    await reach(tab, on_card(card.ts, "edit"))
    await press(tab, "Enter")
    await expect(tab.modal).to_be_visible()
    await press(tab, "Escape")
    await expect(tab.window.locator("#modal")).to_be_hidden()
    await tab.focused(on_card(card.ts, "edit"))
    assert says(card, "approval needed")


async def test_enter_held_down_takes_a_command_and_does_not_send_it(here: Here) -> None:
    tab = await here.tab()
    await reach(tab, "#main textarea")
    await press(tab, "/")
    await expect(tab.offers.first).to_be_visible()
    await tab.window.keyboard.down("Enter")
    await tab.window.keyboard.down("Enter")  # as a key that is held repeats itself
    await tab.window.keyboard.up("Enter")
    await expect(tab.box).to_have_value("/letta ")
    await press(tab, "Backspace")
    await expect(tab.box).to_have_value("/letta")
    assert not here.slack.ephemerals


async def test_escape_leaves_one_thing_at_a_time(here: Here) -> None:
    card = await here.card("clean up old builds")
    tab = await here.tab(GRACE, APPROVALS, card.ts)
    await reach(tab, on_card(card.ts, "more"))
    await press(tab, "Enter")
    await expect(tab.menu).to_be_visible()
    await press(tab, "Escape")
    await expect(tab.menu).to_have_count(0)
    await reach(tab, on_card(card.ts, "edit"))
    await press(tab, "Enter")
    await expect(tab.modal).to_be_visible()
    await press(tab, "Escape")
    await expect(tab.window.locator("#modal")).to_be_hidden()
    await expect(tab.thread).to_be_visible()
    await press(tab, "Escape")
    await expect(tab.thread).to_be_hidden()


async def test_escape_leaves_the_uppermost_modal_and_the_cross_all_of_them(here: Here) -> None:
    tab = await here.tab()
    client = AsyncWebClient(here.slack.bot_token, here.slack.api_url)
    for number in range(3):
        view = {"type": "modal", "title": plain(f"Number {number}"), "blocks": []}
        await client.views_open(trigger_id=here.slack.workspace.new_trigger(ADA), view=view)
    await expect(tab.modal).to_contain_text("Number 2")
    await press(tab, "Escape")
    await expect(tab.modal).to_contain_text("Number 1")
    await reach(tab, "#modal [aria-label='Close this dialog']", "Shift+Tab")
    await press(tab, "Enter")
    await expect(tab.window.locator("#modal")).to_be_hidden()
    assert here.slack.modal_of(ADA) is None


def plain(words: str) -> dict[str, str]:
    return {"type": "plain_text", "text": words}


SHOWN = """() => {
  const one = document.activeElement;
  const marked = [one, one.closest(".frame")].filter(Boolean).map((each) => getComputedStyle(each));
  const outlined = (style) => style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 1;
  return one === document.body || marked.some((style) => style.boxShadow !== "none" || outlined(style));
}"""


@pytest.mark.parametrize("form", ["", "edit", "deny_reason"])
async def test_whatever_has_the_focus_shows_it(here: Here, form: str) -> None:
    card = await here.card("deploy the site")
    tab = await here.tab(GRACE, APPROVALS, card.ts)
    if form:
        await reach(tab, on_card(card.ts, form))
        await press(tab, "Enter")
        await expect(tab.modal).to_be_visible()
    for _ in range(15 if form else 50):
        await press(tab, "Tab")
        assert await tab.window.evaluate(SHOWN), await tab.window.evaluate("document.activeElement.outerHTML")


async def test_the_focus_stays_within_an_open_modal(here: Here) -> None:
    card = await here.card("clean up old builds")
    tab = await here.tab(GRACE, APPROVALS)
    await reach(tab, on_card(card.ts, "edit"))
    await press(tab, "Enter")
    await expect(tab.modal).to_be_visible()
    for _ in range(20):
        await press(tab, "Tab")
        assert await tab.has_focus("#modal *, body")  # the body: where the browser's own bar would be


async def test_a_menu_is_walked_with_arrows(here: Here) -> None:
    card = await here.card("renew the certificate")
    tab = await here.tab(GRACE, APPROVALS)
    await reach(tab, on_card(card.ts, "more"))
    await press(tab, "Enter")
    await tab.focused("[role=menuitem]:first-child")
    await press(tab, "Escape")
    await expect(tab.menu).to_have_count(0)
    await tab.focused(on_card(card.ts, "more"))

    await press(tab, "ArrowDown", "ArrowDown", "ArrowUp", "End", "Home", "ArrowDown")
    await expect(tab.window.locator("[role=menuitem]:focus")).to_contain_text("I ran it myself")
    await press(tab, "Enter")
    await expect(tab.modal).to_be_visible()
    await tab.focused("#modal input")
    await press(tab, "Space")
    await reach(tab, "#modal textarea")
    await tab.window.keyboard.type("renewed by hand")
    await press(tab, "Control+Enter")
    await expect(tab.message(card.ts)).to_contain_text("ran it themselves")


async def test_the_second_look_is_taken_by_keyboard(here: Here) -> None:
    card = await here.card("deploy to production")
    tab = await here.tab(GRACE, APPROVALS)
    await reach(tab, on_card(card.ts, "approve"))
    await press(tab, "Enter")
    await tab.focused(".bk-confirm footer button[value=no]")
    await press(tab, "Enter")  # held down a moment too long: nothing is approved
    await expect(tab.question).to_have_count(0)
    await tab.focused(on_card(card.ts, "approve"))
    await press(tab, "Enter")
    await tab.focused(".bk-confirm footer button[value=no]")
    await press(tab, "Escape")
    await expect(tab.question).to_have_count(0)
    assert not says(card, "1 of 2")
    await press(tab, "Enter")
    await tab.focused(".bk-confirm footer button[value=no]")
    await press(tab, "Tab", "Enter")
    await expect(tab.message(card.ts)).to_contain_text("1 of 2")
