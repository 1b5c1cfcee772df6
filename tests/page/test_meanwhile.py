"""What people have begun stays while other things arrive; what is away comes back."""

import re

import pytest
from playwright.async_api import expect

from relay.demo.places import ADA, APPROVALS, GRACE, LINUS, OPS, WORKSHOP
from relay.demo.words import says
from tests.page.browsing import Here

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_what_is_typed_stays_while_messages_arrive_and_in_each_place(here: Here) -> None:
    tab = await here.tab()
    await tab.box.press_sequentially("half a sentence")
    for _ in range(4):
        await tab.box.press("ArrowLeft")
    await here.slack.say(GRACE, OPS, "something new")
    await expect(tab.window.locator("#main article").last).to_contain_text("something new")
    await tab.window.keyboard.type("X")
    await expect(tab.box).to_have_value("half a sentXence")
    await tab.go(APPROVALS)
    await expect(tab.box).to_have_value("")
    await tab.go(OPS)
    await expect(tab.box).to_have_value("half a sentXence")


async def test_a_half_filled_modal_stays_when_its_card_is_decided_by_another(here: Here) -> None:
    card = await here.card("free some disk: delete the logs")
    tab = await here.tab(GRACE, APPROVALS)
    await tab.button(card.ts, "deny_reason").click()
    await tab.radio("own").check()
    await tab.field("words").press_sequentially("Not bef")
    await here.slack.click(LINUS, APPROVALS, card.ts, "approve")
    await expect(tab.message(card.ts)).to_contain_text("Delivered.")
    await tab.window.keyboard.type("ore Friday")
    await expect(tab.field("words")).to_have_value("Not before Friday")
    await tab.submit.click()
    await expect(tab.modal).to_contain_text(re.compile("already.*approved by", re.IGNORECASE))
    await expect(tab.modal).to_contain_text("Not before Friday")  # nothing typed is lost
    assert [one.approve for one in here.made.site.decisions] == [True]


async def test_an_open_menu_stays_and_then_shows_what_came(here: Here) -> None:
    card = await here.card("deploy to production")
    tab = await here.tab(GRACE, APPROVALS)
    await tab.button(card.ts, "more").click()
    await here.slack.click(LINUS, APPROVALS, card.ts, "approve")
    await here.slack.say(LINUS, APPROVALS, "I did")
    await expect(tab.window.locator("#main article").last).to_contain_text("I did")
    await here.slack.wait_for(lambda _: says(card, "1 of 2"))
    await expect(tab.menu).to_be_visible()
    await tab.window.keyboard.press("Escape")
    await expect(tab.message(card.ts)).to_contain_text("1 of 2")
    await tab.focused(f"[data-ts='{card.ts}'] [data-action-id=more]")


async def test_an_open_question_stays_when_its_card_changes(here: Here) -> None:
    card = await here.card("deploy to production")
    tab = await here.tab(GRACE, APPROVALS)
    await tab.button(card.ts, "approve").click()
    await expect(tab.question).to_be_visible()
    await here.slack.click(LINUS, APPROVALS, card.ts, "approve")
    await expect(tab.message(card.ts)).to_contain_text("1 of 2")
    await tab.question.locator("button[value=yes]").click()
    await expect(tab.message(card.ts)).to_contain_text("Delivered.")


async def test_what_is_sent_while_the_environment_is_away_waits_and_is_delivered_once(here: Here) -> None:
    await here.made.workshop.go_offline()
    tab = await here.tab(ADA, WORKSHOP)
    await tab.box.fill("/letta print the labels")
    await tab.box.press("Enter")
    await tab.window.locator("#main .replies").click()
    await expect(tab.thread).to_contain_text("offline since")
    await here.made.workshop.come_back(rotate=True)
    await expect(tab.thread).to_contain_text("12 labels are printed")
    assert len(here.made.workshop.received) == 1


async def test_a_lost_connection_shows_and_heals(here: Here) -> None:
    here.expected = ("WebSocket connection to",)
    tab = await here.tab()
    await tab.box.fill("/letta deploy the site")
    await here.page.stop()
    await expect(tab.lost).to_be_visible()
    await tab.box.press("Enter")
    await expect(tab.window.locator("#main .composer .wrong")).to_contain_text("no connection")
    await expect(tab.box).to_have_value("/letta deploy the site")
    await here.slack.say(GRACE, OPS, "said meanwhile")

    await here.page.start()
    await expect(tab.lost).to_be_hidden()
    await expect(tab.window.locator("#main article").last).to_contain_text("said meanwhile")
    await expect(tab.box).to_have_value("/letta deploy the site")
    await tab.box.press("Enter")
    await expect(tab.whispers).to_contain_text("Queued")
    assert re.search(f"as={ADA}", tab.window.url)
