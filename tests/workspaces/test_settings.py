"""The settings of many workspaces: what is needed, what does not go together, and whose ids are whose."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from relay.cli import main
from relay.config import Config
from tests.settings import config_of, problems_of

KEY = f"{'relay-' * 7}r="  # 32 bytes in base64, the same for every worker
MANY = {
    "SLACK_CLIENT_ID": "1.2",
    "SLACK_CLIENT_SECRET": "0123456789abcdef",
    "SLACK_SIGNING_SECRET": "0123456789abcdef",
    "RELAY_TOKEN_KEYS": KEY,
    "RELAY_PUBLIC_URL": "https://relay.example.com",
    "LETTA_API_KEY": "sk-letta",
    "LETTA_AGENT_ID": "agent-1",
    "LETTA_DEVICE_ID": "device-1",
}
ROUTES = """
[[routes]]
team = "T0ALPHA"
channel = "C0OPS"
conversation = "alphas"
approvals = ["C0CARDS"]

[[routes]]
team = "T0BETA"
conversation = "thread"
approvals = ["thread"]
"""
ANY = """
[[routes]]
team = "*"
conversation = "thread"
approvals = ["thread"]
"""


def test_they_are_enough(tmp_path: Path) -> None:
    config = config_of(tmp_path, MANY, ROUTES)
    oauth = config.slack.oauth
    assert oauth is not None
    assert oauth.redirect_uri == "https://relay.example.com/slack/oauth_redirect"
    assert oauth.install_url == "https://relay.example.com/slack/install"
    assert config.slack.bot_token.get_secret_value() == ""
    assert config.unused == ()
    for secret in (KEY, MANY["SLACK_CLIENT_SECRET"]):
        assert secret not in repr(config)


def test_the_guides_key_is_the_same_in_every_shell_and_its_owners_alone(tmp_path: Path) -> None:
    guide = (Path(__file__).parents[2] / "docs" / "workspaces.md").read_text(encoding="utf-8")
    [making, naming, *_] = re.findall(r"```sh\n(.*?)```", guide, re.DOTALL)
    openssl = tmp_path / "openssl"  # says another one each time
    openssl.write_text("#!/bin/sh\nhead -c 32 /dev/urandom | base64\n", encoding="utf-8")
    openssl.chmod(0o700)
    variables = {"HOME": str(tmp_path), "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    settings = {name: value for name, value in MANY.items() if name != "RELAY_TOKEN_KEYS"}

    def followed() -> tuple[str, object]:
        script = f'{making}{naming}printf %s "$RELAY_TOKEN_KEYS_FILE"'
        shell = ["/bin/sh", "-c", script]
        path = subprocess.run(shell, env=variables, capture_output=True, text=True, check=True).stdout
        oauth = config_of(tmp_path, settings | {"RELAY_TOKEN_KEYS_FILE": path}, ROUTES).slack.oauth
        assert oauth is not None
        return path, oauth.keys

    assert followed() == followed()
    path, _ = followed()
    assert Path(path).stat().st_mode & 0o777 == 0o600


def test_each_workspace_has_its_own_routes_and_those_for_all(tmp_path: Path) -> None:
    config = config_of(tmp_path, MANY, ROUTES + ANY)
    assert channels(config, "T0ALPHA") == ["C0OPS", "*"]
    assert channels(config, "T0BETA") == ["*", "*"]
    assert channels(config, "T0OTHER") == ["*"]
    assert channels(config_of(tmp_path, MANY, ROUTES), "T0OTHER") == []  # who is not named reaches nothing


def channels(config: Config, team_id: str) -> list[str]:
    return [route.channel for route in config.of_team(team_id).routes]


def test_each_workspace_has_its_own_rules_and_those_for_all(tmp_path: Path) -> None:
    rules = """
[[policies]]
name = "alphas"
team = "T0ALPHA"
tools = ["*"]
approvers = { users = ["U0ADA"] }

[[policies]]
name = "everybody's"
tools = ["*"]
"""
    config = config_of(tmp_path, MANY, ROUTES + rules)
    names = {team: [one.name for one in config.of_team(team).policy.rules] for team in ("T0ALPHA", "T0BETA")}
    assert names == {"T0ALPHA": ["alphas", "everybody's"], "T0BETA": ["everybody's"]}


MISSING = {
    "SLACK_CLIENT_SECRET": "SLACK_CLIENT_SECRET is missing",
    "RELAY_TOKEN_KEYS": "RELAY_TOKEN_KEYS is missing",
    "RELAY_PUBLIC_URL": "RELAY_PUBLIC_URL is missing",
    "SLACK_CLIENT_ID": "SLACK_CLIENT_ID is missing",
}


@pytest.mark.parametrize("name", MISSING)
def test_what_is_missing_is_said(tmp_path: Path, name: str) -> None:
    problems = problems_of(tmp_path, MANY, ROUTES, **{name: ""})
    assert any(one.startswith(MISSING[name]) for one in problems)


def test_all_of_it_is_said_at_once(tmp_path: Path) -> None:
    bad = {"SLACK_CLIENT_SECRET": "", "RELAY_TOKEN_KEYS": "short", "RELAY_PUBLIC_URL": "relay.example.com"}
    problems = problems_of(tmp_path, MANY, ROUTES.replace('team = "T0BETA"', ""), **bad)
    assert len(problems) == 4
    assert KEY not in str(problems)


@pytest.mark.parametrize(
    "url", ["http://relay.example.com", "https://relay.example.com/path", "https://x?y", "ftp://x", "relay"]
)
def test_the_public_address_is_where_a_browser_can_go_safely(tmp_path: Path, url: str) -> None:
    [problem] = problems_of(tmp_path, MANY, ROUTES, RELAY_PUBLIC_URL=url)
    assert problem.startswith("RELAY_PUBLIC_URL is malformed")


@pytest.mark.parametrize("keys", ["x", KEY[:-4], f"{KEY},short", KEY.replace("=", "!")])
def test_a_key_has_the_form_of_one_and_is_not_told(tmp_path: Path, keys: str) -> None:
    [problem] = problems_of(tmp_path, MANY, ROUTES, RELAY_TOKEN_KEYS=keys)
    assert problem.startswith("RELAY_TOKEN_KEYS is malformed")
    assert keys not in problem


def test_several_keys_stand_in_one_setting(tmp_path: Path) -> None:
    config = config_of(tmp_path, MANY, ROUTES, RELAY_TOKEN_KEYS=f"{KEY}, {Fernet.generate_key().decode()}")
    assert config.slack.oauth is not None
    assert len(config.slack.oauth.keys) == 2


def test_a_bot_token_beside_it_is_refused(tmp_path: Path) -> None:
    [problem] = problems_of(tmp_path, MANY, ROUTES, SLACK_BOT_TOKEN="xoxb-1")
    assert problem.startswith("SLACK_BOT_TOKEN and SLACK_CLIENT_ID are both set")


UNCLEAR = {
    "RELAY_APPROVERS": ({"RELAY_APPROVERS": "U0ADA"}, ROUTES, "RELAY_APPROVERS does not say"),
    "RELAY_APPROVALS_CHANNEL": ({"RELAY_APPROVALS_CHANNEL": "C0X"}, ROUTES, "RELAY_APPROVALS_CHANNEL"),
    "no routes": ({}, "", "nobody reaches an environment without a route"),
    "a route without a team": ({}, '[[routes]]\napprovals = ["C0X"]\n', "team is missing"),
    "a route without places": ({}, '[[routes]]\nteam = "T0X"\n', "approvals is missing"),
    "one conversation for all": (
        {}, '[[routes]]\nteam = "*"\napprovals = ["thread"]\n', "would share a conversation"),
    "a place of one for all": (
        {}, '[[routes]]\nteam = "*"\nconversation = "thread"\napprovals = ["C0X"]\n', "C0X can be of one"),
    "a channel of one for all": (
        {}, ANY.replace('team = "*"', 'team = "*"\nchannel = "C0X"'), "C0X can be of one workspace alone"),
    "one conversation for two": (
        {}, ROUTES.replace('"thread"\napprovals', '"alphas"\napprovals'), "leads to the same conversation"),
    "people of a rule": (
        {}, ROUTES + '[[policies]]\nname = "x"\ntools = ["*"]\napprovers = { users = ["U0ADA"] }\n',
        "team is missing: it names U0ADA"),
    "a channel of a rule": (
        {}, ROUTES + '[[policies]]\nname = "x"\ntools = ["*"]\nwhen = { channel = "C0OPS" }\n',
        "team is missing: it names C0OPS"),
    "a place of a rule": (
        {}, ROUTES + '[[policies]]\nname = "x"\ntools = ["*"]\ncards = ["C0CARDS"]\n',
        "team is missing: it names C0CARDS"),
    "other workspaces' people": (
        {}, '[slack]\nallowed_workspaces = ["T0X"]\n' + ROUTES, "act in their own alone"),
    "no team's id": ({}, ROUTES.replace('"T0BETA"', '"beta"'), "say the team id of a workspace"),
}  # fmt: skip


@pytest.mark.parametrize("what", UNCLEAR)
def test_what_does_not_say_whose_it_is_is_refused(tmp_path: Path, what: str) -> None:
    variables, toml, words = UNCLEAR[what]
    problems = problems_of(tmp_path, MANY, toml, **variables)
    assert any(words in one for one in problems)


def test_where_one_workspace_is_served_a_team_says_nothing(tmp_path: Path) -> None:
    one = {name: value for name, value in MANY.items() if not name.startswith(("SLACK_CLIENT", "RELAY_"))}
    problems = problems_of(tmp_path, one, ROUTES, SLACK_BOT_TOKEN="xoxb-1")
    assert len([one for one in problems if "team is for many workspaces" in one]) == 2


def test_beside_a_bot_token_what_is_for_many_is_said_to_change_nothing(tmp_path: Path) -> None:
    config = config_of(tmp_path, RELAY_PUBLIC_URL="https://relay.example.com", RELAY_TOKEN_KEYS=KEY)
    assert config.slack.oauth is None
    assert config.unused == (
        "RELAY_TOKEN_KEYS, RELAY_PUBLIC_URL: for many workspaces alone, with SLACK_CLIENT_ID",
    )


def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *arguments: str, toml: str = ROUTES) -> int:
    """Run a command in this process, with the settings of many workspaces."""
    (tmp_path / "relay.toml").write_text(toml, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    for name in os.environ:
        if name.startswith(("SLACK_", "RELAY_", "LETTA_")):
            monkeypatch.delenv(name)
    for name, value in MANY.items():
        monkeypatch.setenv(name, value)
    return main(list(arguments))


def test_check_says_which_workspace_each_route_is_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path, monkeypatch, "check") == 0
    said = capsys.readouterr().out
    assert "workspace T0ALPHA, channel C0OPS -> default, conversation alphas; cards: C0CARDS" in said
    assert "every one that installs the app at https://relay.example.com/slack/install" in said
    assert KEY not in said


def test_a_rule_is_explained_for_the_workspace_that_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rules = ROUTES + '[[policies]]\nname = "alphas"\nteam = "T0ALPHA"\ntools = ["*"]\naction = "deny"\n'
    for team, action in (("T0ALPHA", "deny"), ("T0BETA", "deny")):
        assert (
            run(
                tmp_path,
                monkeypatch,
                "policy",
                "explain",
                "--tool",
                "Bash",
                "--json",
                "--team",
                team,
                toml=rules,
            )
            == 0
        )
        told = json.loads(capsys.readouterr().out)
        assert (told["action"], told["rule"]) == (action, "alphas" if team == "T0ALPHA" else None)
    assert run(tmp_path, monkeypatch, "policy", "explain", "--tool", "Bash", toml=rules) == 2
    assert "--team" in capsys.readouterr().err
