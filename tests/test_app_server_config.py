"""What has to be said of an App Server, and what need not be."""

from pathlib import Path

import pytest

from tests.settings import HTTP, SLACK, config_of, problems_of

SERVER = {
    **SLACK,
    "LETTA_BASE_URL": "ws://127.0.0.1:4500",
    "LETTA_AGENT_ID": "agent-1",
    "RELAY_APPROVALS_CHANNEL": "C0APPROVALS",
}
BESIDE = """
[environments.server]
agent_id = "agent-2"
base_url = "wss://letta.example/ws"

[[routes]]
environment = "server"
"""


def test_an_app_server_needs_no_device_and_no_key(tmp_path: Path) -> None:
    environment = config_of(tmp_path, SERVER).environments["default"]
    assert environment.is_app_server
    assert environment.approvals_via == "socket"
    assert environment.api_key.get_secret_value() == ""


def test_a_key_is_its_bearer_token(tmp_path: Path) -> None:
    environment = config_of(tmp_path, SERVER, LETTA_API_KEY="token-1").environments["default"]
    assert environment.api_key.get_secret_value() == "token-1"


@pytest.mark.parametrize("url", ["https://api.letta.com", "http://127.0.0.1:8283"])
def test_an_environment_behind_the_api_is_none(tmp_path: Path, url: str) -> None:
    assert not config_of(tmp_path, LETTA_BASE_URL=url).environments["default"].is_app_server


def test_an_app_server_of_the_file_needs_none_either(tmp_path: Path) -> None:
    variables = {**SLACK, "RELAY_APPROVALS_CHANNEL": "C0APPROVALS"}
    environment = config_of(tmp_path, variables, BESIDE).environments["server"]
    assert environment.base_url == "wss://letta.example/ws"
    assert environment.api_key.get_secret_value() == ""


def test_it_is_not_shown_the_key_of_the_account(tmp_path: Path) -> None:
    environment = config_of(tmp_path, HTTP, BESIDE).environments["server"]
    assert environment.api_key.get_secret_value() == ""


def test_it_is_shown_a_key_of_its_own(tmp_path: Path) -> None:
    toml = BESIDE.replace("[[routes]]", 'api_key = { env = "SERVER_TOKEN" }\n\n[[routes]]')
    environment = config_of(tmp_path, HTTP, toml, SERVER_TOKEN="token-2").environments["server"]
    assert environment.api_key.get_secret_value() == "token-2"


def test_behind_the_api_a_device_is_still_asked_for(tmp_path: Path) -> None:
    [problem] = problems_of(tmp_path, HTTP, BESIDE.replace("wss", "https"))
    assert "one of device_id, connection_id and name" in problem


def test_an_app_server_cannot_be_posted_to(tmp_path: Path) -> None:
    toml = BESIDE.replace("[[routes]]", 'approvals_via = "rest"\n\n[[routes]]')
    [problem] = problems_of(tmp_path, HTTP, toml)
    assert "approvals_via" in problem


@pytest.mark.parametrize("url", ["ws://", "ws://host:99999", "ws://host/?channel=control", "wsx://host"])
def test_an_address_that_is_none_is_said(tmp_path: Path, url: str) -> None:
    problems = problems_of(tmp_path, SERVER, LETTA_BASE_URL=url)
    assert any("LETTA_BASE_URL is malformed" in problem for problem in problems)


def test_a_device_beside_an_app_server_is_unused(tmp_path: Path) -> None:
    [said] = config_of(tmp_path, SERVER, LETTA_DEVICE_ID="device-1").unused
    assert said.startswith("LETTA_DEVICE_ID: ")
