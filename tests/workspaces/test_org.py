"""An organisation installs the app for all its workspaces: each is served by the one token, and apart."""

import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from relay.domain.people import Standing
from relay.slack.people import described
from tests.scenarios.acts import ask_tool
from tests.workspaces.building import ALPHA, BETA, ORG, Building, building
from tests.workspaces.test_departures import kept, until
from tests.workspaces.test_install import talked
from tests.workspaces.test_separation import quiet
from tests.world import ADA, APPROVALS, GRACE, OPS


@pytest.fixture(params=["http", "socket_mode"])
async def org(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Building]:
    """A running relay that one organisation has installed for both workspaces."""
    async with building(tmp_path, socket_mode=request.param == "socket_mode", org=True) as made:
        await made.start_relay()
        assert (await made.install(ORG)).status == 200
        yield made


async def test_each_workspace_is_served_by_the_organisations_token(org: Building) -> None:
    for world in (org.alpha, org.beta):
        card = await ask_tool(world, {"command": "make it"})
        await world.slack.click(GRACE, APPROVALS, card.ts, "approve")
        await world.card_says("Delivered.")
        posted = [one for one in world.slack.calls if one.method == "chat.postMessage"]
        assert {str(one.arguments["team_id"]) for one in posted} == {world.slack.team_id}
    assert len(org.cloud.tokens) == 1


async def test_what_waits_for_a_workspace_goes_out_after_a_restart_before_it_is_heard_of(
    org: Building,
) -> None:
    org.alpha.slack.fail("chat.postMessage", "ratelimited", times=1, retry_after=2)
    await org.alpha.slack.slash(ADA, OPS, "hello")
    await org.alpha.slack.wait_for(lambda slack: any(one.error == "ratelimited" for one in slack.calls))
    await org.stop_relay()
    await org.start_relay()
    await org.alpha.thread_says("hello")


async def test_the_organisation_takes_it_away_from_all_and_gives_it_back(org: Building) -> None:
    for world in (org.alpha, org.beta):
        await talked(world, "before")
    await org.cloud.uninstall(ALPHA)
    assert [kept(org, one)["revoked_why"] for one in (ORG, ALPHA, BETA)] == ["app_uninstalled"] * 3
    for world in (org.alpha, org.beta):
        ack = await world.slack.slash(ADA, OPS, "after")
        assert "not installed" in str(ack.body)
    await org.install(ORG)
    for world in (org.alpha, org.beta):
        await talked(world, "again")


async def test_slack_may_name_the_organisation_in_the_place_of_a_workspace(org: Building) -> None:
    await talked(org.alpha, "before")
    told = org.alpha.slack.event_payload({"type": "app_uninstalled"}) | {"team_id": ORG, "enterprise_id": ORG}
    del told["authorizations"]
    assert (await org.alpha.slack.event(told)).ok
    assert [kept(org, one)["revoked_why"] for one in (ORG, ALPHA)] == ["app_uninstalled"] * 2


async def test_a_workspace_of_it_that_loses_the_app_is_served_no_longer_and_the_other_is(
    org: Building,
) -> None:
    for world in (org.alpha, org.beta):
        await talked(world, "before")
    await org.until(lambda: quiet(org))
    await org.alpha.slack.event({"type": "team_access_revoked", "team_ids": [ALPHA]})
    await until(org, "workspace.uninstalled")
    assert kept(org, ALPHA)["revoked_why"] == "team_access_revoked"
    assert kept(org, ORG)["revoked_at"] is None
    called, said = len(org.alpha.slack.calls), len(org.alpha.environment.received)
    ack = await org.alpha.slack.slash(ADA, OPS, "after")
    assert "not installed" in str(ack.body)
    await talked(org.beta, "beta goes on")
    assert (len(org.alpha.slack.calls), len(org.alpha.environment.received)) == (called, said)
    await org.stop_relay()
    await org.start_relay()  # which is remembered
    assert "not installed" in str((await org.alpha.slack.slash(ADA, OPS, "after a restart")).body)
    await org.alpha.slack.event({"type": "team_access_granted", "team_ids": [ALPHA]})
    assert kept(org, ALPHA)["revoked_at"] is None
    await org.stop_relay()
    await org.start_relay()  # before anybody is heard of, and this is remembered as well
    await talked(org.alpha, "given back")


async def test_a_workspace_of_it_that_installs_the_app_itself_is_served_by_its_own_token(
    org: Building,
) -> None:
    await talked(org.alpha, "by the organisation's")
    await org.until(lambda: quiet(org))
    org.alpha.slack.workspace.org_wide = False
    await org.install(ALPHA)
    [_, own] = org.cloud.tokens
    before = len(org.alpha.slack.calls)
    await talked(org.alpha, "by its own")
    await org.until(lambda: quiet(org))
    assert org.cloud.tokens[own].whose == ALPHA
    assert all("team_id" not in one.arguments for one in org.alpha.slack.calls[before:])
    assert kept(org, ALPHA)["covered_by"] is None


async def test_a_workspace_of_another_organisation_is_not_covered(tmp_path: Path) -> None:
    async with building(tmp_path, org=True) as made:
        made.beta.slack.workspace.enterprise_id = "E0OTHER"
        await made.start_relay()
        await made.install(ORG)
        ack = await made.beta.slack.slash(ADA, OPS, "hello")
        assert "not installed" in str(ack.body)
        with sqlite3.connect(f"file:{tmp_path}/relay.db?mode=ro", uri=True) as store:
            assert store.execute("select team_id from installations").fetchall() == [(ORG,)]
        store.close()


@pytest.mark.parametrize(
    ("teams", "standing"),
    [([ALPHA, BETA], Standing.MEMBER), ([BETA], Standing.FOREIGN), ([], Standing.FOREIGN)],
)
def test_who_is_in_a_workspace_of_an_organisation_the_organisation_says(
    teams: list[str], standing: Standing
) -> None:
    user = {"team_id": BETA, "name": "ada", "enterprise_user": {"enterprise_id": ORG, "teams": teams}}
    assert described(ADA, user, ALPHA).standing is standing
