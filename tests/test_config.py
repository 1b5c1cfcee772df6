"""relay.config.load: every row of the table of settings, and every way a value can be wrong."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from relay.config import Config, ConfigError, load, store_url

HTTP = {
    "SLACK_BOT_TOKEN": "xoxb-1",
    "SLACK_SIGNING_SECRET": "0123456789abcdef",
    "LETTA_API_KEY": "sk-letta",
    "LETTA_AGENT_ID": "agent-1",
    "LETTA_DEVICE_ID": "device-1",
    "RELAY_APPROVALS_CHANNEL": "C0APPROVALS",
}
SOCKET_MODE = {**HTTP, "SLACK_SIGNING_SECRET": "", "SLACK_APP_TOKEN": "xapp-1"}
WORKSHOP = """
[environments.workshop]
device_id = "device-2"
agent_id = "agent-2"
api_key = { env = "WORKSHOP_KEY" }
"""
ROUTE = """
[[routes]]
channel = "C0OPS"
environment = "workshop"
conversation = "conv-7"
approvals = ["C0CARDS", "U0LEAD"]
"""


def _load(tmp_path: Path, variables: Mapping[str, str] = HTTP, toml: str = "", **changed: str) -> Config:
    if toml:
        (tmp_path / "relay.toml").write_text(toml, encoding="utf-8")
    return load({**variables, **changed}, tmp_path)


def _problems(
    tmp_path: Path, variables: Mapping[str, str] = HTTP, toml: str = "", **changed: str
) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        _load(tmp_path, variables, toml, **changed)
    return caught.value.problems


def test_the_needed_settings_alone_serve_one_environment_named_default(tmp_path: Path) -> None:
    config = _load(tmp_path)
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
    config = _load(tmp_path)
    assert config.slack.api_url == "https://slack.com/api/"
    assert config.slack.command == "/letta"
    assert config.environments["default"].base_url == "https://api.letta.com"
    assert config.store_url == "sqlite:///relay.db"
    assert (config.host, config.port) == ("127.0.0.1", 3000)
    assert config.approvers == config.allowed_workspaces == frozenset()


def test_what_is_set_is_taken(tmp_path: Path) -> None:
    config = _load(
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
    config = _load(tmp_path, SOCKET_MODE)
    assert config.slack.app_token is not None
    assert config.slack.signing_secret is None


def test_a_connection_id_does_in_place_of_a_device_id(tmp_path: Path) -> None:
    environment = _load(tmp_path, LETTA_DEVICE_ID="", LETTA_CONNECTION_ID="conn-1").environments["default"]
    assert (environment.device_id, environment.connection_id) == (None, "conn-1")


@pytest.mark.parametrize("name", HTTP)
def test_a_needed_setting_that_is_missing_is_named(tmp_path: Path, name: str) -> None:
    [problem] = _problems(tmp_path, HTTP, **{name: ""})
    assert problem.startswith(f"{name} is missing: ")


def test_blank_is_missing(tmp_path: Path) -> None:
    [problem] = _problems(tmp_path, SLACK_BOT_TOKEN="  \n")
    assert problem.startswith("SLACK_BOT_TOKEN is missing: ")


def test_space_around_a_value_is_no_part_of_it(tmp_path: Path) -> None:
    assert _load(tmp_path, SLACK_BOT_TOKEN=" xoxb-1\n").slack.bot_token.get_secret_value() == "xoxb-1"


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
    [problem] = _problems(tmp_path, HTTP, **{name: value})
    assert problem.startswith(f"{name} is malformed")
    assert ": " in problem


@pytest.mark.parametrize(
    "name", ["SLACK_BOT_TOKEN", "SLACK_SIGNING_SECRET", "LETTA_API_KEY", "SLACK_APP_TOKEN"]
)
def test_the_value_of_a_secret_is_in_no_message(tmp_path: Path, name: str) -> None:
    assert "hush" not in "\n".join(_problems(tmp_path, HTTP, **{name: "é-hush"}))


def test_every_problem_is_in_one_message(tmp_path: Path) -> None:
    problems = _problems(tmp_path, {}, RELAY_PORT="x", RELAY_STORE_URL="y")
    names = [problem.split()[0] for problem in problems]
    assert sorted(names) == sorted([*HTTP, "RELAY_PORT", "RELAY_STORE_URL"])
    with pytest.raises(ConfigError, match=r"SLACK_BOT_TOKEN(.|\n)*RELAY_PORT"):
        _load(tmp_path, {}, RELAY_PORT="x")


def test_a_device_and_a_connection_at_once_are_one_too_many(tmp_path: Path) -> None:
    [problem] = _problems(tmp_path, LETTA_CONNECTION_ID="conn-1")
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
    [problem] = _problems(tmp_path, SLACK_BOT_TOKEN_FILE=str(path))
    assert "SLACK_BOT_TOKEN and SLACK_BOT_TOKEN_FILE are both set" in problem


@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00"])
def test_a_file_that_cannot_be_read_is_named_once(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "token"
    if content is not None:
        path.write_bytes(content)
    [problem] = _problems(tmp_path, SLACK_BOT_TOKEN="", SLACK_BOT_TOKEN_FILE=str(path))
    assert problem.startswith(f"SLACK_BOT_TOKEN_FILE: cannot read {path}: ")


def test_an_empty_file_is_a_missing_value(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("\n", encoding="utf-8")
    [problem] = _problems(tmp_path, SLACK_BOT_TOKEN="", SLACK_BOT_TOKEN_FILE=str(path))
    assert problem.startswith("SLACK_BOT_TOKEN is missing: ")


def test_the_file_that_relay_config_names_is_read(tmp_path: Path) -> None:
    path = tmp_path / "elsewhere.toml"
    path.write_text('[slack]\ncommand = "/agent"\n', encoding="utf-8")
    assert _load(tmp_path, RELAY_CONFIG=str(path)).slack.command == "/agent"


def test_a_file_that_relay_config_names_must_be_there(tmp_path: Path) -> None:
    [problem] = _problems(tmp_path, RELAY_CONFIG=str(tmp_path / "nowhere.toml"))
    assert problem.startswith("RELAY_CONFIG: cannot read ")


@pytest.mark.parametrize(
    ("toml", "words"),
    [
        ("[slack", "no valid TOML"),
        ('[slack]\ncommand = "letta"', "slack.command"),
        ("[slak]", "slak"),
        ("[slack]\ncomand = 1", "slack.comand"),
        ('[environments.x]\nagent_id = "a"', "environments.x"),
        ('[environments.x]\nagent_id = "a"\nname = "n"\ndevice_id = "d"', "environments.x"),
        ('[environments.x]\nagent_id = "a"\nname = "n"\napi_key = "sk"', "environments.x.api_key"),
        ('[environments.x]\nagent_id = "a"\nname = "n"\napi_key = {}', "environments.x.api_key"),
        ('[environments.x]\nagent_id = "a"\nname = "n"\nbase_url = "x"', "environments.x.base_url"),
        ('[[routes]]\nenvironment = "nowhere"', "no environment 'nowhere'"),
        ('[[routes]]\nchannel = "ops"', "route 1: channel"),
        ('[[routes]]\napprovals = ["ops"]', "route 1: approvals"),
    ],
)
def test_a_problem_of_the_file_says_where_it_is(tmp_path: Path, toml: str, words: str) -> None:
    assert words in "\n".join(_problems(tmp_path, toml=toml))


def test_a_file_with_environments_and_routes_needs_neither_letta_nor_approvals_settings(
    tmp_path: Path,
) -> None:
    variables = {name: HTTP[name] for name in ("SLACK_BOT_TOKEN", "SLACK_SIGNING_SECRET")}
    config = _load(tmp_path, variables, WORKSHOP + ROUTE, WORKSHOP_KEY="sk-2")
    assert list(config.environments) == ["workshop"]
    assert config.environments["workshop"].api_key.get_secret_value() == "sk-2"
    assert config.routes[0].runtime.conversation_id == "conv-7"
    assert config.routes[0].places == ("C0CARDS", "U0LEAD")


def test_an_environment_without_a_key_of_its_own_uses_letta_api_key(tmp_path: Path) -> None:
    toml = '[environments.x]\nagent_id = "a"\nname = "n"\n'
    assert _load(tmp_path, toml=toml).environments["x"].api_key.get_secret_value() == "sk-letta"


def test_a_key_that_is_named_and_holds_nothing_is_a_problem(tmp_path: Path) -> None:
    [problem] = _problems(tmp_path, toml=WORKSHOP + ROUTE)
    assert "environments.workshop.api_key" in problem
    assert "WORKSHOP_KEY" in problem


def test_the_files_routes_win_over_the_process_environment(tmp_path: Path) -> None:
    config = _load(tmp_path, toml=WORKSHOP + ROUTE, WORKSHOP_KEY="sk-2", LETTA_CONVERSATION_ID="conv-1")
    assert set(config.environments) == {"workshop", "default"}
    assert config.route("C0OTHER") is None
    routed = config.route("C0OPS")
    assert routed is not None
    assert (routed.runtime.environment, routed.runtime.conversation_id) == ("workshop", "conv-7")
    assert "C0APPROVALS" not in routed.places


def test_a_route_for_direct_messages_takes_no_channel(tmp_path: Path) -> None:
    config = _load(tmp_path, toml='[[routes]]\nchannel = "dm"\n')
    assert config.route("D0ADA") is not None
    assert config.route("C0OPS") is None


def test_approvers_are_the_last_place_for_a_card(tmp_path: Path) -> None:
    assert _load(tmp_path, RELAY_APPROVERS="U0ONE").routes[0].places == ("C0APPROVALS", "U0ONE")


def test_no_secret_is_in_what_a_configuration_prints_of_itself(tmp_path: Path) -> None:
    printed = repr(_load(tmp_path, SOCKET_MODE, SLACK_SIGNING_SECRET="0123456789abcdef"))
    assert not any(secret in printed for secret in ("xoxb-1", "xapp-1", "0123456789abcdef", "sk-letta"))


def test_commands_that_need_the_store_alone_need_no_other_setting(tmp_path: Path) -> None:
    path = tmp_path / "url"
    path.write_text("sqlite:///of-a-file.db\n", encoding="utf-8")
    assert store_url({}) == "sqlite:///relay.db"
    assert store_url({"RELAY_STORE_URL_FILE": str(path)}) == "sqlite:///of-a-file.db"
