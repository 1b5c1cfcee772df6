"""How the environments are: `relay environments` for the operator, `/letta status` for people in Slack."""

import json
from typing import Any

import pytest

from relay.config import load
from tests.crash.relay_process import relay_in_thread
from tests.scenarios.acts import ask_tool
from tests.world import ADA, GUEST, OPS, World


async def told(world: World) -> dict[str, Any]:
    """Return what `relay environments --json` says of the one environment."""
    said = await relay_in_thread(world, "environments", "--json")
    assert said.status == 0, said.err
    [only] = json.loads(said.out)["environments"]
    found: dict[str, Any] = only
    return found


async def listening(world: World) -> World:
    """Return the world once its environment is listened to."""
    await world.environment.wait_for(lambda seen: len(seen.sockets) == 2 and seen.acked)
    return world


async def ask(world: World) -> None:
    """Have the agent ask for a tool."""
    await ask_tool(world, {"command": "touch x"})


async def test_an_environment_that_is_online_is_listed_with_all_that_is_known(here: World) -> None:
    await ask(here)
    found = await told(here)
    assert (found["name"], found["online"], found["reason"]) == ("default", True, "")
    assert (found["device_id"], found["agent_id"]) == (here.environment.device_id, here.environment.agent_id)
    assert found["mode"] == here.environment.current_mode
    assert found["since"] is not None
    assert found["pending"] == 1
    [conversation] = found["conversations"]
    assert (conversation["conversation_id"], conversation["listening"]) == ("default", True)


async def test_an_environment_that_is_away_says_since_when_and_why(here: World) -> None:
    await listening(here)
    await here.environment.go_offline()
    found = await told(here)
    assert (found["online"], found["reason"]) == (False, "the device is not connected")
    assert found["since"] is not None


async def test_with_the_relay_stopped_the_api_itself_is_asked(here: World) -> None:
    await ask(here)
    await here.stop_relay()
    found = await told(here)
    assert (found["online"], found["pending"], found["conversations"]) == (True, 1, [])


async def test_before_the_first_start_it_is_told_all_the_same(idle: World) -> None:
    found = await told(idle)
    assert (found["online"], found["pending"]) == (True, 0)
    assert not (idle.folder / "relay.db").exists()


async def test_a_key_that_is_refused_is_said_and_not_shown(idle: World) -> None:
    idle.variables["LETTA_API_KEY"] = "sk-of-somebody-else"
    found = await told(idle)
    assert (found["online"], found["mode"]) == (False, "")
    assert "refused the key" in found["reason"]
    assert "sk-of-somebody-else" not in json.dumps(found)


async def test_people_read_a_row_with_the_same_facts(here: World) -> None:
    await ask(here)
    said = await relay_in_thread(here, "environments")
    heads, row = said.out.splitlines()
    assert heads.split()[:2] == ["NAME", "STATE"]
    for fact in ("default", "online", here.environment.device_id, here.environment.agent_id, "standard"):
        assert fact in row
    assert row.split()[-2:] == ["1", "-"]


async def test_without_a_relay_a_wrong_setting_is_one_line_and_status_2(idle: World) -> None:
    idle.variables["RELAY_APPROVALS_CHANNEL"] = "#approvals"
    said = await relay_in_thread(idle, "environments")
    assert said.status == 2
    assert "RELAY_APPROVALS_CHANNEL" in said.err


async def test_the_status_command_says_it_in_words_to_the_one_who_asks(here: World) -> None:
    await ask(here)
    await here.slack.slash(ADA, OPS, "status")
    said = await here.told(ADA, "has been online since")
    assert "*default*" in said
    assert here.environment.device_id in said and here.environment.agent_id in said
    assert "`standard`" in said
    assert "I listen to 1 of its conversations." in said
    assert "1 request waits for a decision." in said
    assert not any(one.last_line == "status" for one in here.environment.received)


async def test_the_status_of_an_environment_that_is_away_says_so(here: World) -> None:
    await listening(here)
    await here.environment.go_offline()
    await here.slack.slash(ADA, OPS, "Status")
    said = await here.told(ADA, "has been offline since")
    assert "What is sent waits until it is back." in said
    assert "Nothing waits for a decision." in said


async def test_a_status_warns_of_a_mode_in_which_nobody_is_asked(idle: World) -> None:
    idle.environment.current_mode = "unrestricted"
    await idle.start_relay()
    await idle.slack.slash(ADA, OPS, "status")
    await idle.told(ADA, "it runs every tool without asking anybody")


async def test_who_may_not_send_is_not_told_the_status(here: World) -> None:
    await here.slack.slash(GUEST, OPS, "status")
    said = await here.told(GUEST, "Not shown")
    assert here.environment.device_id not in said


@pytest.mark.parametrize("text", ["help", ""])
async def test_the_help_names_the_status(here: World, text: str) -> None:
    command = load(here.variables, here.folder).slack.command
    await here.slack.slash(ADA, OPS, text)
    await here.told(ADA, f"{command} status")
