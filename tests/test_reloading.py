"""What a running relay takes up of a configuration loaded anew, and what has to wait for a restart."""

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path

import pytest

from relay.config import Config, ConfigError, OAuthConfig, Present, Reload, reloaded
from relay.config.values import SlackConfig
from tests.settings import HTTP, ROUTE, SOCKET_MODE, WORKSHOP, config_of
from tests.workspaces.building import ALPHA, BETA
from tests.workspaces.test_settings import ANY, KEY, MANY, ROUTES

AT_ONCE = {"routes", "approvers", "allowed_workspaces", "listening", "policy", "audit", "retention"}
WAITS = {"slack", "environments", "store_url", "host", "port", "metrics", "tracing", "audit"}
TOLD = {"file", "has_file", "unused"}  # what messages call the file, and what changes nothing
RULE = '[[policies]]\nname = "x"\ntools = ["*"]\n'


def change(
    tmp_path: Path, before: str = "", after: str = "", variables: Mapping[str, str] = HTTP, **changed: str
) -> tuple[Config, Reload]:
    """Return the configuration as it was, and what becomes of it under another file and other variables."""
    file = tmp_path / "relay.toml"
    file.write_text(before, encoding="utf-8")
    present = config_of(tmp_path, variables)
    file.write_text(after, encoding="utf-8")
    return present, reloaded(present, config_of(tmp_path, variables, **changed))


def test_of_every_part_it_is_known_whether_it_may_change_while_relay_runs() -> None:
    assert {one.name for one in fields(Config)} == AT_ONCE | WAITS | TOLD
    names = {"bot_token", "app_token", "signing_secret", "api_url", "command", "quote_commands", "oauth"}
    assert {one.name for one in fields(SlackConfig)} == names
    assert {one.name for one in fields(OAuthConfig)} == {"client_id", "client_secret", "keys", "public_url"}


def test_a_file_that_is_gone_opens_nothing(tmp_path: Path) -> None:
    file = tmp_path / "relay.toml"
    file.write_text(RULE, encoding="utf-8")
    present = config_of(tmp_path, HTTP)
    file.unlink()
    with pytest.raises(ConfigError, match=r"relay\.toml is gone: put it back"):
        reloaded(present, config_of(tmp_path, HTTP))


def test_a_file_that_is_new_is_taken_up(tmp_path: Path) -> None:
    present = config_of(tmp_path, HTTP)
    (tmp_path / "relay.toml").write_text(RULE, encoding="utf-8")
    assert reloaded(present, config_of(tmp_path, HTTP)).changed == ("policies",)


def test_approvers_in_a_file_that_was_emptied_open_nothing(tmp_path: Path) -> None:
    (tmp_path / "approvers").write_text("\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="approvers is empty: write the value into it"):
        config_of(tmp_path, HTTP, RELAY_APPROVERS_FILE=str(tmp_path / "approvers"))


def test_nothing_changes_under_the_same_file(tmp_path: Path) -> None:
    present, reload = change(tmp_path, RULE, RULE)
    assert reload == Reload(present, (), ())


@pytest.mark.parametrize(
    ("after", "name"),
    [
        (RULE, "policies"),
        ("[slack]\nquote_commands = false\n", "slack.quote_commands"),
        ('[slack]\nallowed_workspaces = ["T0OTHER"]\n', "slack.allowed_workspaces"),
        ("[listening]\nmost = 7\n", "listening"),
        ('[audit]\nretention = "30d"\n', "audit.retention"),
        ('[retention]\ntexts = "30d"\n', "retention"),
        ('[[routes]]\nchannel = "*"\nconversation = "thread"\n', "routes"),
    ],
)
def test_these_settings_count_at_once(tmp_path: Path, after: str, name: str) -> None:
    _, reload = change(tmp_path, "", after)
    assert (reload.changed, reload.needs_restart) == ((name,), ())
    assert reload.config == config_of(tmp_path, HTTP, after)


def test_the_approvers_of_a_file_beside_it_count_at_once(tmp_path: Path) -> None:
    _, reload = change(tmp_path, RELAY_APPROVERS="U0LEAD")
    assert "RELAY_APPROVERS" in reload.changed
    assert (reload.needs_restart, reload.config.approvers) == ((), frozenset({"U0LEAD"}))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SLACK_BOT_TOKEN", "xoxb-2"),
        ("SLACK_SIGNING_SECRET", "abcdef0123456789"),
        ("SLACK_API_URL", "https://slack.test/api/"),
        ("RELAY_STORE_URL", "sqlite:///other.db"),
        ("RELAY_HOST", "0.0.0.0"),
        ("RELAY_PORT", "3001"),
        ("RELAY_AUDIT_KEY", "k" * 32),
    ],
)
def test_what_connections_are_built_on_waits_for_a_restart(tmp_path: Path, name: str, value: str) -> None:
    present, reload = change(tmp_path, "", "", HTTP, **{name: value})
    assert reload == Reload(present, (), (name,))


def test_the_app_token_waits_for_a_restart(tmp_path: Path) -> None:
    present, reload = change(tmp_path, variables=SOCKET_MODE, SLACK_APP_TOKEN="xapp-2")
    assert reload == Reload(present, (), ("SLACK_APP_TOKEN",))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SLACK_CLIENT_ID", "3.4"),
        ("SLACK_CLIENT_SECRET", "abcdef0123456789"),
        ("RELAY_TOKEN_KEYS", f"{'other-' * 7}o=,{KEY}"),
        ("RELAY_PUBLIC_URL", "https://other.example.com"),
    ],
)
def test_by_what_workspaces_install_the_app_waits_for_a_restart(
    tmp_path: Path, name: str, value: str
) -> None:
    present, reload = change(tmp_path, ANY, ANY, MANY, **{name: value})
    assert reload == Reload(present, (), (name,))


def test_to_go_from_one_workspace_to_many_waits_for_a_restart_and_so_do_their_routes_and_rules(
    tmp_path: Path,
) -> None:
    one = config_of(tmp_path, HTTP, RULE)
    many = config_of(tmp_path, MANY, ROUTES)
    waits = {"SLACK_CLIENT_ID", "SLACK_BOT_TOKEN", "routes", "policies"}
    for present, wanted in ((one, many), (many, one)):
        reload = reloaded(present, wanted)
        assert reload.config is present
        assert reload.changed == ()
        assert waits <= {*reload.needs_restart}


@pytest.mark.parametrize(
    ("after", "name"),
    [('[slack]\ncommand = "/agent"\n', "slack.command"), ("[metrics]\nport = 1\n", "metrics")],
)
def test_these_settings_of_the_file_wait_for_a_restart(tmp_path: Path, after: str, name: str) -> None:
    present, reload = change(tmp_path, "", after)
    assert reload == Reload(present, (), (name,))


def test_a_route_to_an_environment_that_is_new_waits_with_it_and_the_rules_count(tmp_path: Path) -> None:
    present, reload = change(tmp_path, "", WORKSHOP + ROUTE + RULE, {**HTTP, "WORKSHOP_KEY": "key"})
    assert (reload.changed, reload.needs_restart) == (("policies",), ("environments", "routes"))
    assert (reload.config.routes, reload.config.environments) == (present.routes, present.environments)
    assert reload.config.policy.rules


def test_an_environment_that_is_gone_from_the_file_is_served_until_a_restart(tmp_path: Path) -> None:
    both = WORKSHOP + '[[routes]]\nchannel = "C0OPS"\nenvironment = "workshop"\n[[routes]]\n'
    present, reload = change(tmp_path, both, "", {**HTTP, "WORKSHOP_KEY": "key"})
    assert (reload.changed, reload.needs_restart) == (("routes",), ("environments",))
    assert reload.config.environments == present.environments


def test_once_slack_was_asked_about_people_it_is_for_what_still_waits(tmp_path: Path) -> None:
    groups = f'{RULE}approvers = {{ groups = ["S0LEADS"] }}\n'
    asking, plain = config_of(tmp_path, HTTP, groups), config_of(tmp_path, HTTP, RULE)
    present, seen = Present(plain), []
    for taken in (plain, asking, plain):
        present.take(taken)
        seen.append((present.config is taken, present.asks_slack))
    assert seen == [(True, False), (True, True), (True, True)]


def test_each_workspace_reads_its_own_part_of_what_counts_now(tmp_path: Path) -> None:
    present = Present(config_of(tmp_path, MANY, ROUTES))
    alpha, beta = present.of_team(ALPHA), present.of_team(BETA)
    assert [route.channel for route in alpha.config.routes] == ["C0OPS"]
    assert alpha.config is alpha.config
    groups = f'{RULE}team = "{BETA}"\napprovers = {{ groups = ["S0LEADS"] }}\n'
    present.take(config_of(tmp_path, MANY, ANY + groups))
    assert [route.channel for route in alpha.config.routes] == ["*"]
    assert [rule.team for one in (alpha, beta) for rule in one.config.policy.rules] == [BETA]
    assert (alpha.asks_slack, beta.asks_slack) == (True, True)
    assert present.of_team(ALPHA) is alpha
