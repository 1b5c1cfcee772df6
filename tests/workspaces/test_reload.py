"""What the operator changes or gives up while relay runs, where it serves many workspaces."""

import json
from pathlib import Path

import aiohttp

from relay.config import load
from tests.crash.relay_process import relay_in_thread
from tests.scenarios.acts import ask_tool
from tests.scenarios.test_dropped import GAVE_UP
from tests.workspaces.building import ALPHA, BETA, Building, building
from tests.world import ADA, APPROVALS, GRACE, LINUS, OPS, everything

RULE = f"""
[[policies]]
team = "{ALPHA}"
name = "linus"
tools = ["*"]
approvers = {{ users = ["{LINUS}"] }}
requester_may_approve = true

[[policies]]
name = "others"
tools = ["*"]
requester_may_approve = true
"""


async def reload(made: Building, toml: str) -> None:
    """Have the running relay take up another file."""
    (made.alpha.folder / "relay.toml").write_text(toml, encoding="utf-8")
    assert made.alpha.app is not None
    await made.alpha.app.reload(lambda: load(made.alpha.variables, made.alpha.folder))


def written(made: Building) -> str:
    return (made.alpha.folder / "relay.toml").read_text(encoding="utf-8")


async def test_a_rule_counts_at_once_in_the_workspace_that_it_is_for_and_in_no_other(both: Building) -> None:
    in_alpha, in_beta = await ask_tool(both.alpha, {"of": "alpha"}), await ask_tool(both.beta, {"of": "beta"})
    await reload(both, written(both) + RULE)
    await both.alpha.slack.click(GRACE, APPROVALS, in_alpha.ts, "approve")
    await both.alpha.told(GRACE, "not one of the approvers")
    await both.beta.slack.click(GRACE, APPROVALS, in_beta.ts, "approve")
    await both.beta.card_says("Delivered.")
    assert both.alpha.environment.decisions == []
    await both.alpha.slack.click(LINUS, APPROVALS, in_alpha.ts, "approve")
    await both.alpha.card_says("Delivered.")


async def test_a_route_counts_at_once_and_its_place_is_told_and_a_shared_one_keeps_nobody_from_it(
    both: Building,
) -> None:
    for world in (both.alpha, both.beta):
        await ask_tool(world, {"of": "before"})
    before = 'environment = "beta"\napprovals = ["C0APPROVALS"]'
    assert before in written(both)
    await reload(both, written(both).replace(before, before.replace("APPROVALS", "SHARED")))
    async with aiohttp.ClientSession() as session, session.get(f"{both.alpha.url}/readyz") as answer:
        told = json.loads(await answer.text())
    places = {name for name in told if name.startswith("place")}
    assert places == {f"place {ALPHA} C0APPROVALS", f"place {BETA} C0SHARED"}
    assert "config.reloaded" in both.log


async def test_a_message_that_is_dropped_is_told_in_its_own_workspace_alone(tmp_path: Path) -> None:
    async with building(tmp_path) as made:
        await made.start_relay()
        for team_id, world in ((ALPHA, made.alpha), (BETA, made.beta)):
            await made.install(team_id)
            await world.environment.go_offline()
            await world.slack.slash(ADA, OPS, "for whom")
            await world.thread_says("has been offline since")
        while True:
            chosen = ("--team", ALPHA, "--kind", "message", "--yes", "--json")
            said = await relay_in_thread(made.alpha, "deliveries", "drop", *chosen)
            if json.loads(said.out)["dropped_count"]:
                break
        await made.alpha.thread_says(GAVE_UP)
        await made.beta.environment.come_back()
        await made.beta.thread_says("echo: for whom")
        channels = made.beta.slack.channels.values()
        assert not any(GAVE_UP in everything(one) for channel in channels for one in channel.messages)
        assert made.alpha.environment.received == []
