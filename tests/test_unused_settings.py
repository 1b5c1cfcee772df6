"""Config.unused: what is configured and changes nothing is said, and nothing else is."""

from pathlib import Path

import pytest

from tests.settings import HTTP, ROUTE, SLACK, SOCKET_MODE, WORKSHOP, config_of
from tests.workspaces.test_settings import MANY

ANOTHER = """
[environments.attic]
name = "attic"
agent_id = "agent-3"
base_url = "https://letta.example"
api_key = { env = "WORKSHOP_KEY" }
"""
KEY = {"WORKSHOP_KEY": "sk-2"}


def _unused(tmp_path: Path, toml: str = "", **variables: str) -> list[str]:
    return list(config_of(tmp_path, {**SLACK, **KEY}, toml, **variables).unused)


@pytest.mark.parametrize("variables", [HTTP, SOCKET_MODE])
def test_of_the_needed_settings_alone_none_is_unused(tmp_path: Path, variables: dict[str, str]) -> None:
    assert config_of(tmp_path, variables).unused == ()


def test_of_a_file_whose_every_word_counts_nothing_is_unused(tmp_path: Path) -> None:
    assert _unused(tmp_path, WORKSHOP + ROUTE) == []


def test_a_signing_secret_beside_an_app_token_is_unused(tmp_path: Path) -> None:
    [said] = config_of(tmp_path, HTTP, SLACK_APP_TOKEN="xapp-1").unused
    assert said.startswith("SLACK_SIGNING_SECRET: ")


def test_a_setting_that_stands_in_a_file_is_unused_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("0123456789abcdef")
    [said] = config_of(
        tmp_path, SOCKET_MODE, SLACK_SIGNING_SECRET="", SLACK_SIGNING_SECRET_FILE=str(tmp_path / "secret")
    ).unused
    assert said.startswith("SLACK_SIGNING_SECRET: ")


def test_an_environment_that_no_route_names_is_unused(tmp_path: Path) -> None:
    assert _unused(tmp_path, WORKSHOP + ANOTHER + ROUTE) == ["environments.attic: no route leads to it"]


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        (
            {"LETTA_AGENT_ID": "a", "LETTA_DEVICE_ID": "d", "LETTA_API_KEY": "k"},
            "LETTA_AGENT_ID, LETTA_DEVICE_ID",
        ),
        ({"LETTA_DEVICE_ID": "d"}, "LETTA_DEVICE_ID"),
        ({"LETTA_CONVERSATION_ID": "conv-1"}, "LETTA_CONVERSATION_ID"),
        ({"RELAY_APPROVALS_CHANNEL": "C0CARDS"}, "RELAY_APPROVALS_CHANNEL"),
        ({"LETTA_API_KEY": "k"}, "LETTA_API_KEY"),
    ],
)
def test_variables_that_the_file_overrides_are_unused(
    tmp_path: Path, variables: dict[str, str], named: str
) -> None:
    [said] = _unused(tmp_path, WORKSHOP + ROUTE, **variables)
    assert said.startswith(f"{named}: ")


def test_variables_of_an_environment_that_the_file_has_itself_are_unused(tmp_path: Path) -> None:
    toml = WORKSHOP.replace("workshop", "default") + ROUTE.replace("workshop", "default")
    [said] = _unused(tmp_path, toml, LETTA_AGENT_ID="agent-1")
    assert said == "LETTA_AGENT_ID: relay.toml says itself what environments.default is"


def test_a_key_that_the_file_names_is_used(tmp_path: Path) -> None:
    toml = WORKSHOP.replace("WORKSHOP_KEY", "LETTA_API_KEY") + ROUTE
    assert _unused(tmp_path, toml, LETTA_API_KEY="k") == []


def test_an_address_of_all_is_unused_where_each_environment_has_its_own(tmp_path: Path) -> None:
    toml = ANOTHER + ROUTE.replace("workshop", "attic")
    [said] = _unused(tmp_path, toml, LETTA_BASE_URL="https://letta.example")
    assert said.startswith("LETTA_BASE_URL: ")


@pytest.mark.parametrize(
    ("teams", "hidden"),
    [
        (("T0ALPHA", "T0BETA"), False),
        (("T0ALPHA", "*"), False),
        (("*", "T0ALPHA"), True),
        (("T0ALPHA", "T0ALPHA"), True),
    ],
)
def test_a_route_of_one_workspace_hides_none_of_another(
    tmp_path: Path, teams: tuple[str, str], hidden: bool
) -> None:
    route = '[[routes]]\nenvironment = "workshop"\nconversation = "thread"\napprovals = ["thread"]\n'
    toml = WORKSHOP + "".join(f'{route}team = "{team}"\n' for team in teams)
    found = config_of(tmp_path, {**MANY, **KEY}, toml).unused
    assert any("a route above it" in one for one in found) is hidden


def test_a_route_behind_one_that_takes_the_same_is_unused(tmp_path: Path) -> None:
    everything = ROUTE.replace("C0OPS", "*")
    assert _unused(tmp_path, WORKSHOP + everything + ROUTE) == [
        'route 2: a route above it takes what comes from "C0OPS"'
    ]
