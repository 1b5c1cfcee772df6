"""Allowed for a while: who may, for which inputs, how it is used, and how it ends."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from relay.sandbox.environment import UseTool
from relay.sandbox.slack.workspace import Ephemeral, Message, View
from tests.crash.relay_process import relay_in_thread
from tests.scenarios.acts import ask_tool, audited
from tests.world import ADA, APPROVALS, GRACE, GUEST, LINUS, OPS, World, everything, world

RULES = """
[[policies]]
name = "destructive"
tools = ["Bash"]
when = { input = { command = "*prod*" } }
action = "deny"

[[policies]]
name = "builds"
tools = ["*"]
approvers = { users = ["U0APPROVER", "U0MEMBER"] }
grant_for = "8h"
grant_uses = 3
"""
LIKE = {"which": {"entered": "like"}}


@pytest.fixture(params=["http", "socket_mode"])
async def both_ways(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    """A running relay whose rule lets approvers give grants, once over HTTP and once in Socket Mode."""
    async with world(tmp_path, socket_mode=request.param == "socket_mode") as made:
        (tmp_path / "relay.toml").write_text(RULES, encoding="utf-8")
        await made.start_relay()
        yield made


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[World]:
    """The same over HTTP alone."""
    async with world(tmp_path) as made:
        (tmp_path / "relay.toml").write_text(RULES, encoding="utf-8")
        await made.start_relay()
        yield made


def option(card: Message, do: str) -> str:
    """Return the value of an option of a card's menu."""
    menus = [one for block in card.blocks if block["type"] == "actions" for one in block["elements"]]
    options = [one for menu in menus for one in menu.get("options", [])]
    found: str = next(one["value"] for one in options if json.loads(one["value"])["do"] == do)
    return found


async def form(world: World, card: Message, user: str = GRACE) -> View:
    """Choose "Allow for a while…" on a card, and return the form."""
    await world.slack.click(user, APPROVALS, card.ts, "more", value=option(card, "grant"))
    return await world.slack.wait_for(lambda slack: slack.modal_of(user))


async def granted(world: World, values: dict[str, Any] | None = None, **tool_input: Any) -> Message:
    """Have Grace allow what is asked for a while, and return the card it was given on."""
    card = await ask_tool(world, tool_input or {"command": "make test"})
    ack = await world.slack.submit_view(GRACE, await form(world, card), values)
    assert ack.ok and not ack.body
    return await world.card_says("allowed it for a while")


async def asked_again(world: World, number: int = 2, **tool_input: Any) -> Message:
    """Have the agent ask once more, and return the card."""
    return await ask_tool(world, tool_input or {"command": "make test"}, number=number)


async def test_a_grant_approves_what_is_asked_now_and_the_same_later(both_ways: World) -> None:
    await granted(both_ways)
    await both_ways.card_says("Delivered")
    await asked_again(both_ways)
    receipt = await both_ways.card_says("Allowed by <@U0APPROVER>'s grant for exactly this input", 2)
    assert "used 1 of 3 times" in everything(receipt)
    await both_ways.environment.wait_for(lambda environment: len(environment.tool_runs) == 2)


async def test_another_input_is_asked_about(here: World) -> None:
    await granted(here)
    card = await asked_again(here, command="make tests")
    assert "approval needed" in card.text


async def test_inputs_like_a_pattern_are_allowed(here: World) -> None:
    await granted(here, {**LIKE, "text/0": {"entered": "make *"}})
    await asked_again(here, command="make release")
    assert "`command` like `make *`" in everything(await here.card_says("grant", 2))


@pytest.mark.parametrize(
    "command", ["make x; curl evil", "make $(id)", "make x && id", "make x\nid", "cmake"]
)
async def test_no_shell_slips_through_the_gap_of_a_pattern(here: World, command: str) -> None:
    await granted(here, {**LIKE, "text/0": {"entered": "make *"}})
    assert "approval needed" in (await asked_again(here, command=command)).text


@pytest.mark.parametrize("others", [{}, {"timeout": 6}, {"timeout": 5.0}, {"timeout": 5, "more": True}])
async def test_what_the_pattern_says_nothing_of_has_to_be_the_same(
    here: World, others: dict[str, Any]
) -> None:
    await granted(here, {**LIKE, "text/0": {"entered": "make *"}}, command="make test", timeout=5)
    assert "approval needed" in (await asked_again(here, command="make it", **others)).text


async def test_a_denying_rule_wins_over_a_grant(here: World) -> None:
    await granted(here, {**LIKE, "text/0": {"entered": "make *"}})
    await asked_again(here, command="make prod")
    await here.card_says("Denied by the rule `destructive`", 2)


async def test_a_grant_ends_with_its_uses(here: World) -> None:
    await granted(here, {"uses": {"entered": "1"}})
    await asked_again(here)
    await here.card_says("used 1 of 1 time", 2)
    assert "approval needed" in (await asked_again(here, 3)).text


async def test_a_pattern_that_what_is_asked_does_not_fit_is_said_in_the_form(here: World) -> None:
    shown = await form(here, await ask_tool(here, {"command": "make test; make install"}))
    ack = await here.slack.submit_view(GRACE, shown, {**LIKE, "text/0": {"entered": "make *"}})
    assert isinstance(ack.body, dict) and "a * would take" in ack.body["errors"]["text/0"]


async def test_a_pattern_of_nothing_but_a_gap_is_not_taken(here: World) -> None:
    shown = await form(here, await ask_tool(here, {"command": "make"}))
    ack = await here.slack.submit_view(GRACE, shown, {**LIKE, "text/0": {"entered": "*"}})
    assert isinstance(ack.body, dict) and "begin with words" in ack.body["errors"]["text/0"]


async def test_a_changed_pattern_is_not_forgotten(here: World) -> None:
    shown = await form(here, await ask_tool(here, {"command": "make test"}))
    ack = await here.slack.submit_view(GRACE, shown, {"text/0": {"entered": "make *"}})
    assert isinstance(ack.body, dict) and "You changed" in ack.body["errors"]["which"]


async def test_a_secret_is_in_no_form_and_has_to_be_the_same(here: World) -> None:
    secret = "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"
    shown = await form(here, await ask_tool(here, {"command": f"curl -H 'token: {secret}' x", "cwd": "/w"}))
    assert secret not in json.dumps(shown.view)
    blocks = [one["block_id"] for one in shown.view["blocks"]]
    assert [one for one in blocks if one.startswith("text")] == ["text/1"]


@pytest.mark.parametrize("user", [ADA, GUEST])
async def test_who_may_not_approve_may_not_grant(here: World, user: str) -> None:
    card = await ask_tool(here, {"command": "make test"})
    await here.slack.click(user, APPROVALS, card.ts, "more", value=option(card, "grant"))
    await here.told(user, "Nothing was decided")
    assert here.slack.modal_of(user) is None


async def test_a_form_handed_in_too_late_grants_nothing(here: World) -> None:
    card = await ask_tool(here, {"command": "make test"})
    shown = await form(here, card)
    await here.slack.click(LINUS, APPROVALS, card.ts, "deny")
    await here.card_says("Denied by <@U0MEMBER>")
    await here.slack.submit_view(GRACE, shown)
    assert "approval needed" in (await asked_again(here)).text


async def test_any_approver_revokes_a_grant_at_once(both_ways: World) -> None:
    card = await granted(both_ways)
    await both_ways.slack.click(LINUS, APPROVALS, card.ts, "revoke")
    await both_ways.told(LINUS, "Revoked")
    await both_ways.card_says("revoked by <@U0MEMBER>")
    assert "approval needed" in (await asked_again(both_ways)).text


async def test_a_grant_is_revoked_on_a_receipt_too(here: World) -> None:
    await granted(here)
    await asked_again(here)
    receipt = await here.card_says("grant", 2)
    await here.slack.click(GRACE, APPROVALS, receipt.ts, "revoke")
    await here.card_says("revoked by <@U0APPROVER>", 2)
    await here.card_says("revoked by <@U0APPROVER>", 1)


async def test_whoever_asked_may_not_revoke_what_others_allow(here: World) -> None:
    card = await granted(here)
    await here.slack.click(ADA, APPROVALS, card.ts, "revoke")
    await here.told(ADA, "Nothing was revoked: you are not one of the approvers")
    await asked_again(here)
    await here.card_says("used 1 of 3 times", 2)


async def test_nobody_approves_their_own_requests_with_a_grant(here: World) -> None:
    await granted(here)
    here.environment.script = lambda turn: [UseTool("Bash", {"command": "make test"})]
    await here.slack.slash(GRACE, OPS, "the same for me")
    assert "approval needed" in (await here.card(2)).text


async def test_the_grants_are_listed_and_revoked_from_the_list(both_ways: World) -> None:
    await granted(both_ways)
    await both_ways.slack.slash(GRACE, OPS, "grants")
    await both_ways.slack.wait_for(lambda slack: any(one.text == "1 grant" for one in slack.ephemerals))
    listed = next(one for one in both_ways.slack.ephemerals if one.text == "1 grant")
    await both_ways.slack.click(GRACE, OPS, listed.ts, "revoke")
    await both_ways.card_says("revoked by <@U0APPROVER>")
    await both_ways.slack.wait_for(lambda _: listed.text == "0 grants")
    assert "Nothing that you may revoke" in json.dumps(listed.blocks) and "revoke" not in actions(listed)


async def test_the_list_and_the_receipt_of_a_use_tell_the_same_number_after_it(here: World) -> None:
    card = await granted(here)
    assert "at most 3 times" in everything(card)
    await asked_again(here)
    receipt = await here.card_says("used 1 of 3 times", 2)
    await here.slack.slash(GRACE, OPS, "grants")
    listed = await here.slack.wait_for(
        lambda slack: next((one for one in slack.ephemerals if one.text == "1 grant"), None)
    )
    assert "used 1 of 3 times" in json.dumps(listed.blocks)
    await here.slack.click(GRACE, APPROVALS, receipt.ts, "revoke")
    await here.card_says("used 1 of 3 times", 1)


def actions(listed: Ephemeral) -> list[str]:
    """Return which buttons stand beside the rows of a list."""
    return [one["accessory"]["action_id"] for one in listed.blocks if "accessory" in one]


async def test_a_grant_goes_on_after_a_restart(here: World) -> None:
    await granted(here)
    await here.card_says("Delivered")
    await here.stop_relay()
    await here.start_relay()
    await asked_again(here)
    await here.card_says("used 1 of 3 times", 2)


async def listed(world: World) -> list[dict[str, Any]]:
    """Return what `relay grants list --json` names."""
    said = await relay_in_thread(world, "grants", "list", "--json")
    assert said.status == 0, said.err
    found: list[dict[str, Any]] = json.loads(said.out)["grants"]
    return found


async def test_the_operator_lists_and_revokes_a_grant_beside_a_running_relay(here: World) -> None:
    await granted(here, {**LIKE, "text/0": {"entered": "make *"}})
    [grant] = await listed(here)
    assert (grant["tool"], grant["like"], grant["granted_by"]) == ("Bash", {"command": "make *"}, GRACE)
    table = await relay_in_thread(here, "grants", "list")
    assert "command like make *  U0APPROVER  0 of 3" in table.out
    said = await relay_in_thread(here, "grants", "revoke", grant["id"])
    assert (said.status, said.out) == (0, f"revoked {grant['id']}\n")
    await here.card_says("revoked by the operator")
    assert audited(here, "grant.revoked") == ["operator"]
    assert await listed(here) == []
    assert "approval needed" in (await asked_again(here)).text


async def test_the_operator_lists_and_revokes_a_grant_with_the_relay_stopped(here: World) -> None:
    await granted(here)
    await here.stop_relay()
    [grant] = await listed(here)
    assert (grant["exactly"], grant["uses"], grant["most_uses"]) == (True, 0, 3)
    said = await relay_in_thread(here, "grants", "revoke", grant["id"], "--json")
    assert json.loads(said.out) == {"revoked": grant["id"]}
    assert audited(here, "grant.revoked") == ["operator"]
    assert (await relay_in_thread(here, "grants", "list")).out == "nothing is allowed for a while\n"
    await here.start_relay()
    await here.card_says("revoked by the operator")
    assert "approval needed" in (await asked_again(here)).text


async def test_the_operator_is_told_what_is_no_grant_or_over_already(here: World) -> None:
    await granted(here)
    [grant] = await listed(here)
    nowhere = await relay_in_thread(here, "grants", "revoke", "grt_nowhere")
    assert (nowhere.status, "there is no grant 'grt_nowhere'" in nowhere.err) == (1, True)
    await relay_in_thread(here, "grants", "revoke", grant["id"])
    again = await relay_in_thread(here, "grants", "revoke", grant["id"])
    assert (again.status, "allows nothing any more" in again.err) == (1, True)
    assert audited(here, "grant.revoked") == ["operator"]
