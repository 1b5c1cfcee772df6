"""What a newcomer does with the mouse: ask, be refused, decide in every way, look into the inbox."""

import re

import pytest
from playwright.async_api import expect

from relay.demo.places import ADA, APPROVALS, GRACE, GUEST, LINUS, OPS
from relay.demo.words import says
from tests.page.browsing import Here

pytestmark = pytest.mark.asyncio(loop_scope="session")

REASON = "Keep the logs until the audit on Friday."


async def test_a_newcomer_asks_is_refused_as_the_guest_and_approves_as_grace(here: Here) -> None:
    tab = await here.tab()
    await tab.box.click()
    await tab.box.press_sequentially("/le")
    await tab.offers.first.click()
    await tab.box.press_sequentially("deploy the s")
    await tab.offers.first.click()
    await expect(tab.box).to_have_value("/letta deploy the site")
    await tab.box.press("Enter")
    await expect(tab.whispers).to_contain_text("Queued")
    await expect(tab.window.locator("#main article:not(.whisper)")).to_contain_text("deploy the site")

    await tab.be(GUEST)
    await tab.go(APPROVALS)
    card = await here.said("approval needed", APPROVALS)
    await tab.button(card.ts, "approve").click()
    await expect(tab.whispers).to_contain_text("guests cannot do that")
    assert not here.made.site.decisions

    await tab.be(GRACE)
    await expect(tab.message(card.ts)).to_be_visible()
    await expect(tab.whispers).to_have_count(0)
    await tab.button(card.ts, "approve").click()
    await expect(tab.message(card.ts)).to_contain_text("Delivered.")
    await expect(tab.button(card.ts, "approve")).to_have_count(0)
    assert [one.approve for one in here.made.site.decisions] == [True]

    await tab.be(ADA)
    await tab.go(OPS)
    await tab.window.locator("#main .replies").click()
    await expect(tab.thread).to_contain_text("Done: the site is live")
    await expect(tab.reply_box).to_be_focused()


async def test_a_denial_wants_its_reason_and_the_agent_reads_it(here: Here) -> None:
    card = await here.card("free some disk: delete the logs")
    tab = await here.tab(GRACE, APPROVALS)
    await tab.button(card.ts, "deny_reason").click()
    await tab.submit.click()
    await expect(tab.modal.locator("[aria-invalid] + .bk-error")).to_be_visible()
    await tab.focused("#modal [aria-invalid] input")
    assert not here.made.site.decisions

    await tab.radio("own").check()
    await tab.field("words").fill(REASON)
    await tab.submit.click()
    await expect(tab.window.locator("#modal")).to_be_hidden()
    await expect(tab.message(card.ts)).to_contain_text(REASON)
    await here.said(f"I did not do it. I was told: *{REASON}*")
    assert [(one.approve, one.reason) for one in here.made.site.decisions] == [(False, REASON)]


async def test_what_is_changed_in_the_modal_stands_on_the_card_and_runs(here: Here) -> None:
    card = await here.card("clean up old builds")
    tab = await here.tab(GRACE, APPROVALS)
    await tab.button(card.ts, "edit").click()
    await expect(tab.field("value-0")).to_have_value("find /srv/builds -mtime +7 -delete")
    await tab.field("value-0").fill("find /srv/builds -mtime +30 -delete")
    await tab.submit.click()
    await expect(tab.message(card.ts)).to_contain_text("Delivered.")
    await expect(tab.message(card.ts)).to_contain_text("-mtime +7 -delete")
    await expect(tab.message(card.ts)).to_contain_text("-mtime +30 -delete")
    await here.said("What ran was `find /srv/builds -mtime +30 -delete`")


async def test_nothing_changed_is_told_at_the_field(here: Here) -> None:
    card = await here.card("clean up old builds")
    tab = await here.tab(GRACE, APPROVALS)
    await tab.button(card.ts, "edit").click()
    await tab.submit.click()
    await expect(tab.modal.locator(".bk-error")).to_be_visible()
    await expect(tab.field("value-0")).to_be_focused()
    await tab.modal.get_by_role("button", name="Cancel").click()
    await expect(tab.window.locator("#modal")).to_be_hidden()
    assert says(card, "approval needed") and not here.made.site.decisions


async def test_a_card_s_menu_leads_to_its_forms(here: Here) -> None:
    card = await here.card("renew the certificate")
    tab = await here.tab(GRACE, APPROVALS)
    await tab.choose(card.ts, "I ran it myself")
    await tab.radio("success").check()
    await tab.field("output").fill("renewed until 2027-02-19")
    await tab.submit.click()
    await expect(tab.message(card.ts)).to_contain_text("ran it themselves")
    await here.said("What came of it, as I read it: `renewed until 2027-02-19`")


async def test_a_risky_call_is_asked_twice_and_needs_two_people(here: Here) -> None:
    card = await here.card("deploy to production")
    tab = await here.tab(GRACE, APPROVALS)
    await tab.button(card.ts, "approve").click()
    await tab.focused(".bk-confirm button[value=no]:not(.bk-close)")
    await tab.question.locator("footer button[value=no]").click()
    await expect(tab.question).to_have_count(0)
    await expect(tab.button(card.ts, "approve")).to_be_focused()
    assert not says(card, "1 of 2")

    await tab.button(card.ts, "approve").click()
    await tab.question.locator("button[value=yes]").click()
    await expect(tab.message(card.ts)).to_contain_text("1 of 2")
    assert not here.made.site.decisions
    await tab.be(LINUS)
    await tab.button(card.ts, "approve").click()
    await tab.question.locator("button[value=yes]").click()
    await expect(tab.message(card.ts)).to_contain_text("Delivered.")
    await expect(tab.message(card.ts)).to_contain_text("Approved by")


async def test_the_home_tab_lists_what_waits_and_leads_to_its_card(here: Here) -> None:
    card = await here.card("refund order 1042")
    for number in range(30):
        await here.slack.say(LINUS, APPROVALS, f"something else, {number}")
    tab = await here.tab(GRACE, OPS)
    await tab.go("home")
    home = tab.window.locator("#main .home")
    await expect(home).to_contain_text("refund_order")
    await home.locator(f"a[href*='/archives/{APPROVALS}/p']").first.click()
    await expect(tab.message(card.ts)).to_be_focused()
    await expect(tab.message(card.ts)).to_be_in_viewport()
    await expect(tab.window).to_have_title(re.compile("#approvals"))

    await tab.button(card.ts, "approve").click()
    await expect(tab.message(card.ts)).to_contain_text("Approved by")
    await tab.go("home")
    await expect(home.locator(f"a[href*='/archives/{APPROVALS}/p']")).to_have_count(1)
