"""relay.toml: what it may say, and in plain words what is wrong with it."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.config import Config, Listening, Route, load
from relay.domain.runtime import Runtime
from tests.settings import HTTP, ROUTE, SLACK, WORKSHOP, config_of, problems_of

ENVIRONMENT = '[environments.x]\nagent_id = "a"\n'
NAMED = ENVIRONMENT + 'name = "n"\n'
ADDRESSES = "say where the agent works by one of device_id, connection_id and name"
NEVER = 'never the value itself; say { env = "NAME" } or { file = "PATH" }'
DEFAULT = ("LETTA_AGENT_ID", "LETTA_DEVICE_ID")
EMPTY = load(HTTP, Path("/nowhere"))


def test_the_file_that_relay_config_names_is_read(tmp_path: Path) -> None:
    path = tmp_path / "elsewhere.toml"
    path.write_text('[slack]\ncommand = "/agent"\n', encoding="utf-8")
    assert config_of(tmp_path, RELAY_CONFIG=str(path)).slack.command == "/agent"


def test_a_file_that_relay_config_names_must_be_there(tmp_path: Path) -> None:
    [problem] = problems_of(tmp_path, RELAY_CONFIG=str(tmp_path / "nowhere.toml"))
    assert problem.startswith("RELAY_CONFIG: cannot read ")


@pytest.mark.parametrize(
    ("toml", "words"),
    [
        ("[slack", "no valid TOML: "),
        ('slack = "/x"', "slack: write [slack] above its settings"),
        (
            '[slack]\ncommand = "letta"',
            'slack.command: say a slash and then a-z, 0-9, - or _, as in "/letta"',
        ),
        ('[slack]\nquote_commands = "maybe"', "slack.quote_commands: say true or false"),
        (
            "[slack]\nallowed_workspaces = [1, 2]",
            'slack.allowed_workspaces: say a list of team ids, as in ["T0123ABCD"]',
        ),
        ("listening = 7", "listening: write [listening] above its settings"),
        ("[listening]\nmost = 0", "listening.most: say a whole number from 1 to 10000"),
        ("[listening]\nmost = 10001", "listening.most: say a whole number from 1 to 10000"),
        ('[listening]\nmost = "5"', "listening.most: say a whole number from 1 to 10000"),
        ("[listening]\nrest_after = 0", "listening.rest_after: say a whole number of minutes"),
        ("[listening]\nrest_afer = 5", "listening.rest_afer is no setting; did you mean rest_after?"),
        (
            '[listening]\nmost = 1\n[[routes]]\nconversation = "a"\nchannel = "C1ABCDEFG"\n[[routes]]',
            "listening.most is 1, and the routes name 2 conversations, which are always listened to: say 2",
        ),
        ("metrics = 9464", "metrics: write [metrics] above its settings"),
        ("[metrics]\nport = 70000", "metrics.port: say a whole number from 0 to 65535"),
        ('[metrics]\nport = "9464"', "metrics.port: say a whole number from 0 to 65535"),
        ("[metrics]\nhost = 7", "metrics.host: say the address to listen on, in quotes"),
        ("[slak]", "slak is no setting; did you mean slack?"),
        ("[odd]", "odd is no setting; there are slack, listening, audit, metrics,"),
        ("[slack]\ncomand = 1", "slack.comand is no setting; did you mean command?"),
        (
            "[slack]\nicon = 1",
            "slack.icon is no setting; there are command, allowed_workspaces, quote_commands",
        ),
        (
            '[environments]\nagent_id = "a"',
            "environments.agent_id: give each a name: write [environments.NAME] above its settings",
        ),
        (ENVIRONMENT, f"environments.x: {ADDRESSES}"),
        (ENVIRONMENT + 'name = "n"\ndevice_id = "d"', f"environments.x: {ADDRESSES}"),
        (
            '[environments.x]\nname = "n"',
            'environments.x.agent_id is missing: say the id of the agent, as in "agent-…"',
        ),
        (
            '[environments.x]\nname = "n"\nagentid = "a"',
            "environments.x.agentid is no setting; did you mean agent_id?",
        ),
        ('[environments."my shop"]\nname = "n"\nagent_id = 1', "environments.my shop.agent_id: say the id"),
        (NAMED + 'api_key = "hush"', f"environments.x.api_key: {NEVER}"),
        (NAMED + "api_key = {}", f"environments.x.api_key: {NEVER}"),
        (NAMED + 'api_key = { value = "hush" }', f"environments.x.api_key: {NEVER}"),
        (NAMED + 'api_key = { env = "A", file = "B" }', f"environments.x.api_key: {NEVER}"),
        (
            NAMED + 'api_key = { flie = "hush" }',
            "environments.x.api_key.flie is no setting; did you mean file?",
        ),
        (
            NAMED + 'api_key = { file = "/nowhere/key" }',
            "environments.x.api_key: cannot read /nowhere/key: No such file or directory",
        ),
        (
            NAMED + 'base_url = "x"',
            "environments.x.base_url is malformed: an http:// or https:// URL",
        ),
        ("[routes]", "routes: write [[routes]], with two brackets, above the settings of each"),
        ('routes = ["x"]', "route 1: write [[routes]], with two brackets, above the settings of each"),
        ('[[routes]]\nchanel = "C0OPS"', "route 1: chanel is no setting; did you mean channel?"),
        ('[[routes]]\nenvironment = "nowhere"', "route 1: no environment 'nowhere' (known: default)"),
        ('[[routes]]\nchannel = "ops"', 'route 1: channel must be a channel id, "dm" or "*"'),
        (
            '[[routes]]\napprovals = ["ops"]',
            'route 1: approvals takes channel ids, user ids, "thread" and "dm", not \'ops\'',
        ),
        (
            '[[routes]]\napprovals = "C0OPS"',
            'route 1: approvals: say a list of channel ids, user ids, "thread" and "dm", as in',
        ),
        (
            '[[routes]]\napprovals = ["dm"]',
            'route 1: approvals has "dm", and RELAY_APPROVERS names nobody',
        ),
        (
            "[[routes]]\nconversation = 7",
            'route 1: conversation: say "thread", "channel", "default" or a conversation id',
        ),
    ],
)
def test_a_problem_of_the_file_says_where_it_is_and_what_to_write_there(
    tmp_path: Path, toml: str, words: str
) -> None:
    [problem] = problems_of(tmp_path, toml=toml)
    assert re.match(rf"relay\.toml: line [1-9][0-9]*: {re.escape(words)}", problem)
    assert "hush" not in problem


def test_a_file_that_is_named_is_called_by_its_name(tmp_path: Path) -> None:
    path = tmp_path / "elsewhere.toml"
    path.write_text("[slak]", encoding="utf-8")
    [problem] = problems_of(tmp_path, RELAY_CONFIG=str(path))
    assert problem.startswith(f"{path}: line 1: slak is no setting")


def test_how_much_is_listened_to_is_500_conversations_for_half_an_hour_of_rest(tmp_path: Path) -> None:
    assert config_of(tmp_path).listening == Listening(most=500, rest_after=30)


def test_the_file_says_how_much_is_listened_to(tmp_path: Path) -> None:
    toml = '[listening]\nmost = 1\nrest_after = 5\n[[routes]]\nconversation = "thread"\n[[routes]]'
    assert config_of(tmp_path, toml=toml).listening == Listening(most=1, rest_after=5)


@pytest.mark.parametrize(
    "toml", ["[slack", "[slak]", '[environments.x]\ndevice_id = "d"', "[routes]", "[[routes]]\nchannel = 1"]
)
def test_what_a_broken_file_may_have_is_not_said_to_be_missing(tmp_path: Path, toml: str) -> None:
    problems = problems_of(tmp_path, SLACK, toml)
    assert len(problems) == 1
    assert problems[0].startswith("relay.toml: ")


def test_what_no_file_can_have_is_said_to_be_missing_beside_a_broken_file(tmp_path: Path) -> None:
    problems = problems_of(tmp_path, {}, "[slak]", RELAY_PORT="x")
    assert sorted(problem.split()[0] for problem in problems) == [
        "RELAY_PORT", "SLACK_BOT_TOKEN", "SLACK_SIGNING_SECRET", "relay.toml:",
    ]  # fmt: skip


def test_every_problem_of_a_file_is_in_one_message(tmp_path: Path) -> None:
    toml = (
        "[slack]\ncomand = 1\n" + NAMED + 'base_url = "x"\n[[routes]]\nchanel = 1\n[[routes]]\nchannel = "y"'
    )
    problems = problems_of(tmp_path, toml=toml)
    said = "slack.comand", "route 1: chanel", "environments.x.base_url", "route 2: channel"
    assert len(problems) == len(said)
    assert all(words in "\n".join(problems) for words in said)


def test_several_environments_need_routes_that_say_which_is_whose(tmp_path: Path) -> None:
    two = '[environments.x]\nagent_id = "a"\nname = "n"\n[environments.y]\nagent_id = "b"\nname = "m"\n'
    variables = {name: value for name, value in HTTP.items() if name not in DEFAULT}
    [problem] = problems_of(tmp_path, variables, two)
    assert problem == "relay.toml: line 1: write [[routes]] that say which channel leads to which of x, y"


def test_a_file_with_environments_and_routes_needs_neither_letta_nor_approvals_settings(
    tmp_path: Path,
) -> None:
    config = config_of(tmp_path, SLACK, WORKSHOP + ROUTE, WORKSHOP_KEY="sk-2")
    assert list(config.environments) == ["workshop"]
    assert config.environments["workshop"].api_key.get_secret_value() == "sk-2"
    assert config.routes[0].runtime.conversation_id == "conv-7"
    assert config.routes[0].places == ("C0CARDS", "U0LEAD")


@pytest.mark.parametrize("rule", ["thread", "channel"])
def test_a_route_may_give_each_thread_or_channel_a_conversation(tmp_path: Path, rule: str) -> None:
    [route] = config_of(tmp_path, toml=f'[[routes]]\nconversation = "{rule}"\n').routes
    assert (route.per, route.runtime.conversation_id) == (rule, "")
    assert route.conversation == f"one for each {rule}"


def test_an_app_server_makes_conversations_too(tmp_path: Path) -> None:
    toml = '[[routes]]\nconversation = "thread"\n'
    [route] = config_of(tmp_path, toml=toml, LETTA_BASE_URL="ws://127.0.0.1:4500").routes
    assert route.per == "thread"


def test_the_rule_may_stand_in_the_process_environment(tmp_path: Path) -> None:
    [route] = config_of(tmp_path, LETTA_CONVERSATION_ID="thread").routes
    assert route.per == "thread"


def test_routes_with_a_conversation_for_each_thread_may_ask_in_different_places(tmp_path: Path) -> None:
    toml = "".join(
        f'[[routes]]\nchannel = "{channel}"\nconversation = "thread"\napprovals = ["{place}"]\n'
        for channel, place in (("C0A", "C0CARDS"), ("C0B", "thread"))
    )
    assert [route.places for route in config_of(tmp_path, toml=toml).routes] == [("C0CARDS",), ("thread",)]


def test_dm_stands_for_the_approvers_where_it_is_written(tmp_path: Path) -> None:
    toml = '[[routes]]\napprovals = ["dm", "C0CARDS"]\n'
    [route] = config_of(tmp_path, toml=toml, RELAY_APPROVERS="U0GRACE,U0LINUS").routes
    assert route.places == ("U0GRACE", "U0LINUS", "C0CARDS")


def test_an_environment_without_a_key_of_its_own_uses_letta_api_key(tmp_path: Path) -> None:
    toml = '[environments.x]\nagent_id = "a"\nname = "n"\n'
    assert config_of(tmp_path, toml=toml).environments["x"].api_key.get_secret_value() == "sk-letta"


def test_a_key_that_is_named_and_holds_nothing_is_a_problem(tmp_path: Path) -> None:
    [problem] = problems_of(tmp_path, toml=WORKSHOP + ROUTE)
    assert "environments.workshop.api_key" in problem
    assert "WORKSHOP_KEY" in problem


def test_the_files_routes_win_over_the_process_environment(tmp_path: Path) -> None:
    config = config_of(tmp_path, toml=WORKSHOP + ROUTE, WORKSHOP_KEY="sk-2", LETTA_CONVERSATION_ID="conv-1")
    assert set(config.environments) == {"workshop", "default"}
    assert config.route("C0OTHER") is None
    routed = config.route("C0OPS")
    assert routed is not None
    assert (routed.runtime.environment, routed.runtime.conversation_id) == ("workshop", "conv-7")
    assert "C0APPROVALS" not in routed.places


def test_a_route_for_direct_messages_takes_no_channel(tmp_path: Path) -> None:
    config = config_of(tmp_path, toml='[[routes]]\nchannel = "dm"\n')
    assert config.route("D0ADA") is not None
    assert config.route("C0OPS") is None


def test_the_file_says_what_the_default_environment_is_when_both_do(tmp_path: Path) -> None:
    toml = '[environments.default]\nagent_id = "agent-2"\nname = "n"\n'
    assert config_of(tmp_path, toml=toml).environments["default"].agent_id == "agent-2"


def test_variables_of_half_an_environment_that_no_route_names_stop_nobody(tmp_path: Path) -> None:
    config = config_of(tmp_path, toml=WORKSHOP + ROUTE, WORKSHOP_KEY="sk-2", LETTA_DEVICE_ID="")
    assert list(config.environments) == ["workshop"]


def _routed(tmp_path: Path, *channels: str) -> Config:
    """Return a configuration with a route for each of `channels`, to conversations conv-0, conv-1, …"""
    return config_of(
        tmp_path,
        toml="".join(
            f'[[routes]]\nchannel = "{channel}"\nconversation = "conv-{place}"\n'
            for place, channel in enumerate(channels)
        ),
    )


@pytest.mark.parametrize(
    ("channels", "asked", "number"),
    [
        (("C0A", "C0B"), "C0B", 1),
        (("C0A", "C0A"), "C0A", 0),
        (("C0A", "*"), "C0A", 0),
        (("*", "C0A"), "C0A", 0),
        (("C0A", "*", "dm"), "D0ADA", 1),
        (("C0A", "dm", "*"), "D0ADA", 1),
        (("dm", "*"), "C0A", 1),
        (("dm", "*"), "G0A", 1),
    ],
)
def test_the_first_route_in_the_file_that_fits_takes_a_message(
    tmp_path: Path, channels: tuple[str, ...], asked: str, number: int
) -> None:
    config = _routed(tmp_path, *channels)
    assert config.route(asked) is config.routes[number]


@given(st.lists(st.sampled_from(["*", "dm", "C0A", "C0B", "C0C"]), max_size=6))
def test_the_index_of_routes_finds_what_a_search_in_their_order_finds(channels: list[str]) -> None:
    routes = [Route(channel, Runtime("e", "a", str(place)), ()) for place, channel in enumerate(channels)]
    config = replace(EMPTY, routes=tuple(routes))
    for asked in ("C0A", "C0B", "C0C", "C0D", "D0ADA"):
        kind = "dm" if asked.startswith("D") else asked
        assert config.route(asked) is next((one for one in routes if one.channel in ("*", kind)), None)
