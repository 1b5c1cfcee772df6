"""A workspace takes the app away: nothing is posted there any more, and the others notice nothing."""

import json
import sqlite3
import time
from pathlib import Path

import pytest

from relay.sandbox.environment import UseTool
from tests.scenarios.acts import ask_tool
from tests.workspaces.building import ALPHA, BETA, PUBLIC, Building, building
from tests.workspaces.test_install import talked
from tests.world import ADA, APPROVALS, GRACE, OPS


def deliveries(made: Building, team_id: str) -> list[tuple[str, str, str]]:
    """Return kind, state and reason of what was to leave for a workspace."""
    with sqlite3.connect(f"file:{made.alpha.folder}/relay.db?mode=ro", uri=True) as store:
        found = store.execute("select kind, state, last_error from deliveries where team_id = ?", [team_id])
        rows: list[tuple[str, str, str]] = found.fetchall()
    store.close()
    return rows


def kept(made: Building, team_id: str) -> dict[str, object]:
    """Return what the store holds of an installation."""
    with sqlite3.connect(f"file:{made.alpha.folder}/relay.db?mode=ro", uri=True) as store:
        store.row_factory = sqlite3.Row
        row = store.execute("select * from installations where team_id = ?", [team_id]).fetchone()
    store.close()
    return dict(row)


async def until(made: Building, words: str) -> None:
    """Wait until the relay has logged something."""
    await made.until(lambda: words in made.log)


def settled_but_one(rows: list[tuple[str, str, str]]) -> bool:
    """Return whether the card stands, the root waits, and nothing is under way."""
    found = {(kind, state) for kind, state, _ in rows}
    under_way = any(state == "sending" for _, state in found)
    return {("card", "delivered"), ("root", "pending"), ("message", "delivered")} <= found and not under_way


UNINSTALLED = {"type": "app_uninstalled"}
REVOKED = {"type": "tokens_revoked", "tokens": {"oauth": ["U0RELAY"], "bot": ["U0RELAY"]}}


@pytest.mark.parametrize("event", [UNINSTALLED, REVOKED], ids=["app_uninstalled", "tokens_revoked"])
async def test_what_waits_fails_with_the_reason_and_nothing_more_is_posted(
    both: Building, event: dict[str, object]
) -> None:
    alpha = both.alpha
    alpha.slack.fail("chat.postMessage", "ratelimited", times=1, retry_after=600)
    alpha.environment.script = lambda turn: [UseTool("Bash", {"command": "make it"})]
    await alpha.slack.slash(ADA, OPS, "do it")
    # All that can go out has gone out: what is left waits behind the message that Slack did not take.
    await both.until(lambda: settled_but_one(deliveries(both, ALPHA)))
    await both.cloud.uninstall(ALPHA, dict(event))
    called = len(alpha.slack.calls)
    settled = {"delivered", "failed"}
    await both.until(lambda: {state for _, state, _ in deliveries(both, ALPHA)} <= settled)
    failed = [reason for _, state, reason in deliveries(both, ALPHA) if state == "failed"]
    assert failed
    assert all(f"taken away from the workspace ({event['type']})" in one for one in failed)
    assert len(alpha.slack.calls) == called
    row = kept(both, ALPHA)
    assert (row["sealed_bot"], row["sealed_refresh"], row["revoked_why"]) == ("", "", event["type"])
    await talked(both.beta, "beta goes on")


async def test_a_request_without_a_place_left_is_denied_with_that_reason(both: Building) -> None:
    alpha = both.alpha
    alpha.slack.fail("conversations.info", "ratelimited", times=100, retry_after=600)  # the card has to wait
    alpha.environment.script = lambda turn: [UseTool("Bash", {"command": "make it"})]
    await alpha.slack.slash(ADA, OPS, "do it")
    await alpha.environment.wait_for(lambda seen: seen.pending())
    await alpha.slack.wait_for(lambda slack: any(one.method == "conversations.info" for one in slack.calls))
    await both.cloud.uninstall(ALPHA)
    await alpha.environment.wait_for(lambda seen: seen.decisions)
    [decision] = alpha.environment.decisions
    assert not decision.approve
    assert "no place in Slack to ask people (the app was taken away" in str(decision.reason)


async def test_a_decision_that_was_made_still_reaches_the_agent(both: Building) -> None:
    alpha = both.alpha
    card = await ask_tool(alpha, {"command": "make it"})
    alpha.environment.fail_posts(status=503, times=1)
    await alpha.slack.click(GRACE, APPROVALS, card.ts, "approve")
    await both.cloud.uninstall(ALPHA)
    await alpha.environment.wait_for(lambda seen: seen.decisions)
    assert alpha.environment.decisions[0].approve


async def test_a_person_who_revokes_their_own_token_uninstalls_nothing(both: Building) -> None:
    await both.alpha.slack.event({"type": "tokens_revoked", "tokens": {"oauth": [ADA], "bot": []}})
    await talked(both.alpha, "still here")


async def test_arrivals_after_it_are_told_where_to_install_and_change_nothing(both: Building) -> None:
    card = await ask_tool(both.alpha, {"command": "make it"})
    await both.cloud.uninstall(ALPHA)
    assert (await both.alpha.slack.click(GRACE, APPROVALS, card.ts, "approve")).ok
    ack = await both.alpha.slack.slash(ADA, OPS, "hello")
    assert f"{PUBLIC}/slack/install" in json.dumps(ack.body)
    assert both.alpha.environment.decisions == []
    assert (await both.alpha.slack.event(dict(UNINSTALLED))).ok  # told once more


async def test_installed_again_it_goes_on_where_it_was(both: Building) -> None:
    card = await ask_tool(both.alpha, {"command": "make it"})
    await both.cloud.uninstall(ALPHA)
    await both.install(ALPHA)
    await both.alpha.slack.click(GRACE, APPROVALS, card.ts, "approve")
    await both.alpha.card_says("Delivered.")
    assert kept(both, ALPHA)["revoked_at"] is None


async def test_a_word_of_the_former_installation_ends_none_of_the_new(both: Building) -> None:
    await both.cloud.uninstall(ALPHA)
    await both.install(ALPHA)
    late = both.alpha.slack.event_payload(dict(UNINSTALLED)) | {"event_time": int(time.time()) - 60}
    assert (await both.alpha.slack.event(late)).ok
    await talked(both.alpha, "still installed")


@pytest.mark.parametrize("error", ["account_inactive", "token_revoked"])
async def test_taken_away_while_nobody_listened_is_learned_from_slacks_answer(
    both: Building, error: str
) -> None:
    both.cloud.take_away(ALPHA, error)
    await both.alpha.slack.slash(ADA, OPS, "hello")
    await until(both, "workspace.uninstalled")
    assert kept(both, ALPHA)["revoked_why"] == error
    await talked(both.beta, "beta goes on")


async def test_what_waits_for_a_workspace_that_never_installed_waits_on(tmp_path: Path) -> None:
    async with building(tmp_path) as made:
        await made.start_relay()
        await made.install(ALPHA)
        made.alpha.environment.offline = True
        await made.alpha.slack.slash(ADA, OPS, "hello")
        await made.stop_relay()
        with sqlite3.connect(tmp_path / "relay.db") as store:
            store.execute("delete from installations")
        store.close()
        await made.start_relay()
        await until(made, "the app is not installed in the workspace")
        await made.install(ALPHA)
        await made.alpha.thread_says("hello")


async def test_it_is_on_the_record_who_installed_and_that_it_ended(both: Building) -> None:
    await both.cloud.uninstall(BETA)
    with sqlite3.connect(f"file:{both.alpha.folder}/relay.db?mode=ro", uri=True) as store:
        said = store.execute(
            "select team_id, action, actor from audit where action like 'workspace.%' order by seq"
        ).fetchall()
    store.close()
    assert said == [
        (ALPHA, "workspace.installed", GRACE),
        (BETA, "workspace.installed", GRACE),
        (BETA, "workspace.uninstalled", ""),
    ]


async def test_slacks_word_is_taken_without_what_it_leaves_out_when_the_app_is_gone(both: Building) -> None:
    told = both.alpha.slack.event_payload(dict(UNINSTALLED))
    for name in ("authorizations", "context_team_id", "context_enterprise_id"):
        del told[name]
    assert (await both.alpha.slack.event(told)).ok
    assert kept(both, ALPHA)["revoked_why"] == "app_uninstalled"
    assert kept(both, BETA)["revoked_at"] is None
