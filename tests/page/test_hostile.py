"""What an agent says runs nothing, asks for nothing from outside, and is shown as it is written."""

import pytest
from playwright.async_api import expect

from relay.demo.places import ADA, APPROVALS, GRACE, OPS
from relay.sandbox.environment import Say, UseTool
from tests.page.browsing import Here, Tab

pytestmark = pytest.mark.asyncio(loop_scope="session")

SCRIPT = "<script>window.ran = 1</script>"
IMAGE = "<img src=x onerror='window.ran = 2'>"
PICTURE = "![seen](https://outside.test/pixel.png)"
LINK = "[press me](javascript:window.ran=3)"
SLACK_LINK = "<javascript:window.ran=4|or me>"
HOSTILE = f"{SCRIPT} {IMAGE} {PICTURE} {LINK} {SLACK_LINK} <!channel> <@{GRACE}> &lt;b&gt;"
LIVE = "script, img, iframe, object, embed, link, style, [onerror], a[href^='javascript:' i]"


async def nothing_ran(tab: Tab) -> None:
    assert await tab.window.evaluate("window.ran") is None
    assert await tab.window.locator("body").locator(LIVE).count() == 0


async def test_an_agent_s_words_are_only_shown(here: Here) -> None:
    here.made.site.script = lambda _: [Say(HOSTILE)]
    tab = await here.tab()
    await tab.box.fill(f"/letta {HOSTILE}")
    await tab.box.press("Enter")
    await here.slack.wait_for(
        lambda slack: any(
            one.thread_ts and one.user == "U0RELAY" and "ran = 1" in str(one.blocks)
            for one in slack.channels[OPS].messages
        )
    )
    await tab.window.locator("#main .replies").click()
    await expect(tab.thread).to_contain_text(SCRIPT)
    await expect(tab.thread).to_contain_text("<!channel>")
    await expect(tab.thread).to_contain_text(IMAGE)
    for words in await tab.thread.get_by_text("press me").all():
        await words.click()
    await nothing_ran(tab)


async def test_a_tool_call_s_words_are_only_shown(here: Here) -> None:
    call = UseTool("Bash", {"command": HOSTILE, "description": HOSTILE, SCRIPT: SCRIPT})
    here.made.site.script = lambda _: [Say(HOSTILE), call]
    card = await here.card("do it")
    tab = await here.tab(GRACE, APPROVALS)
    await expect(tab.message(card.ts)).to_contain_text(SCRIPT)
    await expect(tab.message(card.ts)).to_contain_text("<!channel>")
    await tab.button(card.ts, "details").click()
    await expect(tab.modal).to_contain_text(SCRIPT)
    await nothing_ran(tab)
    await tab.window.keyboard.press("Escape")
    await tab.button(card.ts, "edit").click()
    await expect(tab.field("value-0")).to_have_value(HOSTILE)
    await nothing_ran(tab)
    await tab.window.keyboard.press("Escape")
    await tab.go("home")
    await expect(tab.window.locator("#main .home")).to_contain_text("Bash")
    await nothing_ran(tab)


async def test_what_people_write_is_only_shown(here: Here) -> None:
    tab = await here.tab(ADA)
    await tab.box.fill(HOSTILE)
    await tab.box.press("Enter")
    await expect(tab.window.locator("#main article").last).to_contain_text(f"{SCRIPT} {IMAGE}")
    await nothing_ran(tab)
