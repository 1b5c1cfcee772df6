"""A workspace installs the app: to Slack and back, once, in one browser."""

import json
import sqlite3
from urllib.parse import parse_qs, urlsplit

import pytest
from cryptography.fernet import Fernet

from relay.sandbox.slack import Consent
from relay.slack.scopes import BOT_SCOPES
from tests.scenarios.acts import ask_tool
from tests.workspaces.building import ALPHA, BETA, PUBLIC, Building
from tests.world import ADA, APPROVALS, GRACE, OPS, World


async def talked(world: World, words: str) -> None:
    """Have a message go from the workspace to its own environment."""
    assert (await world.slack.slash(ADA, OPS, words)).ok
    await world.environment.wait_for(lambda seen: any(words in one.last_line for one in seen.received))


async def test_two_workspaces_install_and_each_talks_to_its_own_agent(both: Building) -> None:
    await talked(both.alpha, "for alpha")
    await talked(both.beta, "for beta")
    assert [one.last_line for one in both.alpha.environment.received] == ["for alpha"]
    assert [one.last_line for one in both.beta.environment.received] == ["for beta"]
    for world, other in ((both.alpha, both.beta), (both.beta, both.alpha)):
        card = await ask_tool(world, {"command": f"only {world.slack.team_id}"})
        await world.slack.click(GRACE, APPROVALS, card.ts, "approve")
        await world.card_says("Delivered.")
        assert not any(
            world.slack.team_id in str(one.blocks)
            for channel in other.slack.channels.values()
            for one in channel.messages
        )


async def test_the_way_to_slack_asks_for_the_manifests_scopes_and_binds_the_browser(empty: Building) -> None:
    async with empty.browser() as browser:
        begun = await browser.go(f"{PUBLIC}/slack/install")
    asked = parse_qs(urlsplit(begun.location).query)
    assert asked["scope"] == [",".join(BOT_SCOPES)]
    assert asked["redirect_uri"] == [f"{PUBLIC}/slack/oauth_redirect"]
    assert asked["client_id"] == [empty.cloud.client_id]
    [cookie] = browser.set_cookies
    flags = {one.strip() for one in cookie.split(";")[1:]}
    assert {"HttpOnly", "Secure", "SameSite=Lax", "Path=/", "Max-Age=600"} == flags
    assert asked["state"] == [cookie.split(";")[0].partition("=")[2]]
    assert len(asked["state"][0]) >= 40
    assert begun.headers["Cache-Control"] == "no-store"


async def test_a_way_back_is_good_once(empty: Building) -> None:
    empty.cloud.consent = Consent(ALPHA)
    async with empty.browser() as browser:
        back = await browser.way_back()
        kept = dict(browser.cookies)
        assert (await browser.go(back)).status == 200
        browser.cookies = kept
        again = await browser.go(back)
    assert again.status == 400
    assert "not good any more" in again.text


async def test_a_way_back_is_good_in_no_other_browser(empty: Building) -> None:
    empty.cloud.consent = Consent(ALPHA)
    async with empty.browser() as theirs, empty.browser() as another:
        back = await theirs.way_back()
        assert (await another.go(back)).status == 400
        await another.way_back()  # with a cookie of its own
        assert (await another.go(back)).status == 400
        assert empty.cloud.tokens == {}  # no code was exchanged for it
        assert (await theirs.go(back)).status == 200


@pytest.mark.parametrize(
    "query", ["", "?code=c", "?state=&code=c", "?state=s&code=c", "?error=access_denied"]
)
async def test_a_way_back_without_a_state_of_ours_is_none(empty: Building, query: str) -> None:
    async with empty.browser() as browser:
        assert (await browser.go(f"{PUBLIC}/slack/oauth_redirect{query}")).status == 400


async def test_an_install_that_a_restart_interrupts_goes_on_after_it_and_is_good_once(
    empty: Building,
) -> None:
    empty.cloud.consent = Consent(ALPHA)
    async with empty.browser() as browser:
        back, kept = await browser.way_back(), dict(browser.cookies)
        await empty.stop_relay()
        await empty.start_relay()
        browser.relay_url = empty.alpha.url
        assert (await browser.go(back)).status == 200
        await empty.stop_relay()
        await empty.start_relay()
        browser.relay_url, browser.cookies = empty.alpha.url, kept
        assert (await browser.go(back)).status == 400


async def test_whoever_cancels_is_told_that_nothing_was_installed(empty: Building) -> None:
    empty.cloud.consent = Consent(ALPHA, cancels=True)
    async with empty.browser() as browser:
        shown = await browser.install()
    assert (shown.status, empty.cloud.tokens) == (200, {})
    assert "Nothing was installed" in shown.text


@pytest.mark.parametrize("error", ["invalid_code", "bad_client_secret", "bad_redirect_uri", "fatal_error"])
async def test_what_slack_refuses_is_said_with_what_to_do(empty: Building, error: str) -> None:
    empty.cloud.exchange_error = error
    shown = await empty.install(ALPHA)
    assert shown.status == 502
    assert "Begin again" in shown.text
    assert error in empty.log
    empty.cloud.exchange_error = ""
    assert (await empty.install(ALPHA)).status == 200


async def test_an_answer_of_slacks_that_gets_lost_is_said(empty: Building) -> None:
    empty.cloud.lose_answers = 1
    shown = await empty.install(ALPHA)
    assert shown.status == 502
    assert "could not be reached" in shown.text


async def test_no_page_shows_what_came_with_the_request(empty: Building) -> None:
    hostile = "<script>alert(1)</script>"
    async with empty.browser() as browser:
        for name in ("state", "code", "error", "error_description", "x"):
            shown = await browser.go(f"{PUBLIC}/slack/oauth_redirect?{name}={hostile}")
            assert "alert" not in shown.text
    shown = await empty.install(ALPHA)  # whose name has a bracket in it
    assert "Workspace &lt;T0ALPHA&gt;" in shown.text
    assert shown.headers["Content-Security-Policy"].startswith("default-src 'none'")


async def test_to_look_whether_the_page_is_there_begins_no_install(empty: Building) -> None:
    async with (
        empty.browser() as browser,
        browser._session.head(f"{empty.alpha.url}/slack/install") as looked,
    ):
        assert looked.status == 405
    with sqlite3.connect(f"file:{empty.alpha.folder}/relay.db?mode=ro", uri=True) as store:
        assert store.execute("select count(*) from install_states").fetchone() == (0,)
    store.close()


async def test_installs_that_nobody_ends_write_nothing_and_keep_nobody_from_installing(
    empty: Building,
) -> None:
    async with empty.browser() as browser:
        shown = [await browser.go(f"{PUBLIC}/slack/install") for _ in range(1005)]
    assert {one.status for one in shown} == {302}
    with sqlite3.connect(f"file:{empty.alpha.folder}/relay.db?mode=ro", uri=True) as store:
        assert store.execute("select count(*) from install_states").fetchone() == (0,)
    store.close()
    assert (await empty.install(ALPHA)).status == 200


async def test_who_is_not_installed_is_told_where_to_install(empty: Building) -> None:
    ack = await empty.beta.slack.slash(ADA, OPS, "hello")
    assert ack.ok
    assert f"{PUBLIC}/slack/install" in json.dumps(ack.body)
    assert (await empty.beta.slack.home_opened(ADA)).ok
    assert empty.beta.slack.calls == []


async def test_an_installation_outlives_a_restart_and_a_change_of_keys(empty: Building) -> None:
    await empty.install(ALPHA)
    await empty.install(BETA)
    await empty.stop_relay()
    old, new = empty.alpha.variables["RELAY_TOKEN_KEYS"], Fernet.generate_key().decode()
    await empty.start_relay({"RELAY_TOKEN_KEYS": f"{new},{old}"})
    await talked(empty.alpha, "after the change")
    await empty.stop_relay()
    await empty.start_relay({"RELAY_TOKEN_KEYS": new})  # everything was sealed anew
    await talked(empty.beta, "with the new key alone")


async def test_slack_finds_the_address_before_anybody_has_installed_the_app(empty: Building) -> None:
    asked = {"type": "url_verification", "token": "t", "challenge": "are-you-there"}
    ack = await empty.alpha.slack.deliver("event", asked)
    assert (ack.status, ack.body) == (200, {"challenge": "are-you-there"})


async def test_what_slack_did_not_sign_is_refused_here_as_well(empty: Building) -> None:
    await empty.install(ALPHA)
    payload = empty.alpha.slack.slash_payload(ADA, OPS, "hello")
    ack = await empty.alpha.slack.deliver("command", payload, headers={"X-Slack-Signature": "v0=0"})
    assert ack.status == 401
    assert empty.alpha.environment.received == []


async def test_a_way_back_that_fails_leads_to_where_it_begins(empty: Building) -> None:
    async with empty.browser() as browser:  # as from Slack's own directory, which knows no state of ours
        shown = await browser.go(f"{PUBLIC}/slack/oauth_redirect?code=c")
    assert '<a href="/slack/install">' in shown.text
