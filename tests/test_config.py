"""relay.config.load: every row of the table of settings, and every way a value can be wrong."""

from pathlib import Path

import pytest

from relay.config import ConfigError, load, store_url
from tests.settings import HTTP, SOCKET_MODE, config_of, problems_of


def test_the_needed_settings_alone_serve_one_environment_named_default(tmp_path: Path) -> None:
    config = config_of(tmp_path)
    [environment] = config.environments.values()
    assert (environment.name, environment.agent_id, environment.device_id) == (
        "default",
        "agent-1",
        "device-1",
    )
    route = config.route("C0ANYTHING")
    assert route is not None
    assert route.runtime.environment == "default"
    assert route.runtime.conversation_id == "default"
    assert route.places == ("C0APPROVALS",)


def test_what_is_not_set_has_the_default_of_the_table(tmp_path: Path) -> None:
    config = config_of(tmp_path)
    assert config.slack.api_url == "https://slack.com/api/"
    assert config.slack.command == "/letta"
    assert config.environments["default"].base_url == "https://api.letta.com"
    assert config.store_url == "sqlite:///relay.db"
    assert (config.host, config.port) == ("127.0.0.1", 3000)
    assert config.approvers == config.allowed_workspaces == frozenset()


def test_what_is_set_is_taken(tmp_path: Path) -> None:
    config = config_of(
        tmp_path, SLACK_API_URL="http://127.0.0.1:9/api/", LETTA_BASE_URL="http://127.0.0.1:8/",
        LETTA_CONVERSATION_ID="conv-1", RELAY_APPROVERS="U0ONE, U0TWO,", RELAY_HOST="0.0.0.0",
        RELAY_PORT="0", RELAY_STORE_URL="sqlite:////var/relay.db",
    )  # fmt: skip
    assert config.slack.api_url == "http://127.0.0.1:9/api/"
    assert config.environments["default"].base_url == "http://127.0.0.1:8"
    assert config.routes[0].runtime.conversation_id == "conv-1"
    assert config.approvers == {"U0ONE", "U0TWO"}
    assert (config.host, config.port, config.store_url) == ("0.0.0.0", 0, "sqlite:////var/relay.db")


def test_an_app_token_means_socket_mode_and_needs_no_signing_secret(tmp_path: Path) -> None:
    config = config_of(tmp_path, SOCKET_MODE)
    assert config.slack.app_token is not None
    assert config.slack.signing_secret is None


def test_a_connection_id_does_in_place_of_a_device_id(tmp_path: Path) -> None:
    environment = config_of(tmp_path, LETTA_DEVICE_ID="", LETTA_CONNECTION_ID="conn-1").environments[
        "default"
    ]
    assert (environment.device_id, environment.connection_id) == (None, "conn-1")


@pytest.mark.parametrize("name", HTTP)
def test_a_needed_setting_that_is_missing_is_named(tmp_path: Path, name: str) -> None:
    [problem] = problems_of(tmp_path, HTTP, **{name: ""})
    assert problem.startswith(f"{name} is missing: ")


def test_blank_is_missing(tmp_path: Path) -> None:
    [problem] = problems_of(tmp_path, SLACK_BOT_TOKEN="  \n")
    assert problem.startswith("SLACK_BOT_TOKEN is missing: ")


def test_space_around_a_value_is_no_part_of_it(tmp_path: Path) -> None:
    assert config_of(tmp_path, SLACK_BOT_TOKEN=" xoxb-1\n").slack.bot_token.get_secret_value() == "xoxb-1"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SLACK_BOT_TOKEN", "xoxp-1"),
        ("SLACK_BOT_TOKEN", "xoxb-"),
        ("SLACK_BOT_TOKEN", "xoxb-é"),
        ("SLACK_APP_TOKEN", "xoxb-1"),
        ("SLACK_SIGNING_SECRET", "short"),
        ("SLACK_API_URL", "slack.com"),
        ("SLACK_API_URL", "https://slack.com"),
        ("SLACK_API_URL", "https://[::/api/"),
        ("LETTA_API_KEY", "sk-é"),
        ("LETTA_BASE_URL", "api.letta.com"),
        ("LETTA_BASE_URL", "ftp://api.letta.com"),
        ("RELAY_APPROVALS_CHANNEL", "#approvals"),
        ("RELAY_APPROVERS", "U0ONE,ada"),
        ("RELAY_STORE_URL", "relay.db"),
        ("RELAY_STORE_URL", "sqlite://"),
        ("RELAY_STORE_URL", "sqlite:///:memory:"),
        ("RELAY_STORE_URL", "mysql://localhost/relay"),
        ("RELAY_PORT", "seventy"),
        ("RELAY_PORT", "-1"),
        ("RELAY_PORT", "65536"),
        ("RELAY_PORT", "٣٠"),
    ],
)
def test_a_malformed_value_is_named_with_a_hint(tmp_path: Path, name: str, value: str) -> None:
    [problem] = problems_of(tmp_path, HTTP, **{name: value})
    assert problem.startswith(f"{name} is malformed")
    assert ": " in problem


@pytest.mark.parametrize(
    "name", ["SLACK_BOT_TOKEN", "SLACK_SIGNING_SECRET", "LETTA_API_KEY", "SLACK_APP_TOKEN"]
)
def test_the_value_of_a_secret_is_in_no_message(tmp_path: Path, name: str) -> None:
    assert "hush" not in "\n".join(problems_of(tmp_path, HTTP, **{name: "é-hush"}))


def test_every_problem_is_in_one_message(tmp_path: Path) -> None:
    problems = problems_of(tmp_path, {}, RELAY_PORT="x", RELAY_STORE_URL="y")
    names = [problem.split()[0] for problem in problems]
    assert sorted(names) == sorted([*HTTP, "RELAY_PORT", "RELAY_STORE_URL"])
    with pytest.raises(ConfigError, match=r"SLACK_BOT_TOKEN(.|\n)*RELAY_PORT"):
        config_of(tmp_path, {}, RELAY_PORT="x")


def test_a_device_and_a_connection_at_once_are_one_too_many(tmp_path: Path) -> None:
    [problem] = problems_of(tmp_path, LETTA_CONNECTION_ID="conn-1")
    assert "LETTA_DEVICE_ID and LETTA_CONNECTION_ID are both set" in problem


@pytest.mark.parametrize("name", [*HTTP, "SLACK_API_URL", "RELAY_APPROVERS", "RELAY_PORT", "RELAY_STORE_URL"])
def test_every_setting_can_stand_in_a_file(tmp_path: Path, name: str) -> None:
    values = {
        **HTTP, "SLACK_API_URL": "http://localhost/api/", "RELAY_APPROVERS": "U0ONE", "RELAY_PORT": "1",
        "RELAY_STORE_URL": "sqlite:///x.db",
    }  # fmt: skip
    path = tmp_path / "value"
    path.write_text(values[name] + "\n", encoding="utf-8")
    named = {**values, name: "", f"{name}_FILE": str(path)}
    assert load(named, tmp_path) == load(values, tmp_path)


def test_a_name_and_its_file_at_once_are_one_too_many(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("xoxb-2", encoding="utf-8")
    [problem] = problems_of(tmp_path, SLACK_BOT_TOKEN_FILE=str(path))
    assert "SLACK_BOT_TOKEN and SLACK_BOT_TOKEN_FILE are both set" in problem


@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00"])
def test_a_file_that_cannot_be_read_is_named_once(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "token"
    if content is not None:
        path.write_bytes(content)
    [problem] = problems_of(tmp_path, SLACK_BOT_TOKEN="", SLACK_BOT_TOKEN_FILE=str(path))
    assert problem.startswith(f"SLACK_BOT_TOKEN_FILE: cannot read {path}: ")


def test_a_file_that_is_empty_is_named(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("\n", encoding="utf-8")
    [problem] = problems_of(tmp_path, SLACK_BOT_TOKEN="", SLACK_BOT_TOKEN_FILE=str(path))
    assert (
        problem
        == f"SLACK_BOT_TOKEN_FILE: {path} is empty: write the value into it, or unset SLACK_BOT_TOKEN_FILE"
    )


def test_approvers_are_the_last_place_for_a_card(tmp_path: Path) -> None:
    assert config_of(tmp_path, RELAY_APPROVERS="U0ONE").routes[0].places == ("C0APPROVALS", "U0ONE")


def test_no_secret_is_in_what_a_configuration_prints_of_itself(tmp_path: Path) -> None:
    printed = repr(config_of(tmp_path, SOCKET_MODE, SLACK_SIGNING_SECRET="0123456789abcdef"))
    assert not any(secret in printed for secret in ("xoxb-1", "xapp-1", "0123456789abcdef", "sk-letta"))


def test_commands_that_need_the_store_alone_need_no_other_setting(tmp_path: Path) -> None:
    path = tmp_path / "url"
    path.write_text("sqlite:///of-a-file.db\n", encoding="utf-8")
    assert store_url({}) == "sqlite:///relay.db"
    assert store_url({"RELAY_STORE_URL_FILE": str(path)}) == "sqlite:///of-a-file.db"
