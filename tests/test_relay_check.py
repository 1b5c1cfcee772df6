"""`relay check`: the rules as a table, and warnings of rules that nobody can have meant."""

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from relay.cli import main
from relay.config.policies import policy_warnings
from relay.domain.matching import evaluate
from relay.domain.rules import Request
from tests.settings import HTTP, config_of

HEAD = '[[policies]]\nname = "production"\ntools = ["Bash"]\n'
TWO = 'approvers.users = ["U0A", "U0B"]\nquorum = 2\n'
ESCALATES = 'expires_after = "5m"\non_silence = "escalate"\n'
RULES = """
[[policies]]
name = "git"
tools = ["Bash"]
action = "allow"

[[policies]]
name = "a long name that goes on and on and on and on"
tools = ["Bash", "mcp_of_something_write", "deploy_*", "x"]
approvers = { users = ["U0A", "U0B"], groups = ["S0LEADS"], channel_members = true }
quorum = 3
expires_after = "90m"
on_silence = "deny"

[[policies]]
name = "rest"
tools = ["Read", "Grep"]
approvers.users = ["U0A"]
expires_after = "2h"
"""


def _warnings(tmp_path: Path, toml: str) -> list[str]:
    return list(policy_warnings(config_of(tmp_path, toml=toml).policy))


@pytest.fixture
def checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[[str], list[str]]:
    """What `relay check` says of a good relay.toml."""
    monkeypatch.chdir(tmp_path)
    for name, value in HTTP.items():
        monkeypatch.setenv(name, value)

    def check(toml: str) -> list[str]:
        (tmp_path / "relay.toml").write_text(toml, encoding="utf-8")
        assert main(["check"]) == 0
        return capsys.readouterr().out.splitlines()

    return check


def test_the_rules_are_listed_below_one_another(checked: Callable[[str], list[str]]) -> None:
    said = checked(RULES)
    begin = said.index("  rules, of which the first that fits holds:")
    table = said[begin + 1 : begin + 5]
    assert [re.split(r"  +", row)[1:] for row in table] == [
        ["LINE", "RULE", "TOOLS", "ACTION", "QUORUM", "WHO MAY APPROVE", "EXPIRES"],
        ["2", "git", "Bash", "allow", "-", "-", "-"],
        [
            "7", "a long name that goes on and on…", "Bash and 3 more", "ask", "3",
            "2 people, group S0LEADS, who is in the channel", "90m, denied",
        ],
        ["15", "rest", "Read, Grep", "ask", "-", "1 person", "2h"],
    ]  # fmt: skip
    for column in ("TOOLS", "ACTION", "EXPIRES"):
        assert {row[table[0].index(column) - 1] for row in table} == {" "}


def test_it_warns_and_is_content(checked: Callable[[str], list[str]]) -> None:
    said = [one for one in checked(RULES) if one.startswith("  warning: ")]
    assert said[0].startswith('  warning: policy "git" (line 2) allows any input: ')
    assert said[1] == '  warning: policy "rest" (line 15): when U0A asks, nobody is left to approve'


def test_without_rules_none_are_listed(checked: Callable[[str], list[str]]) -> None:
    assert not [one for one in checked("") if "rules" in one]


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (TWO, "when one of them asks, nobody is left to make up 2"),
        ('approvers.users = ["U0A"]', "when U0A asks, nobody is left to approve"),
        (
            TWO + ESCALATES + 'escalate_to.groups = ["S0A"]',
            "when one of them asks, nobody is left to make up 2 until it is escalated",
        ),
        (
            TWO + ESCALATES + 'escalate_to.users = ["U0A"]',
            "when one of them asks, nobody is left to make up 2",
        ),
    ],
)
def test_a_rule_whose_approvers_are_all_needed_is_told(tmp_path: Path, more: str, words: str) -> None:
    assert _warnings(tmp_path, HEAD + more) == [f'policy "production" (line 1): {words}']


@pytest.mark.parametrize(
    "more",
    [
        TWO + "requester_may_approve = true",
        TWO.replace('"U0B"', '"U0B", "U0C"'),
        TWO + 'approvers.groups = ["S0A"]',
        TWO + 'approvers.channels = ["C0A"]',
        TWO + "approvers.channel_members = true",
        "quorum = 2",
    ],
)
def test_a_rule_that_others_may_approve_as_well_is_not_told(tmp_path: Path, more: str) -> None:
    assert _warnings(tmp_path, HEAD + more) == []


def _documented(page: str) -> str:
    text = (Path(__file__).parent.parent / page).read_text(encoding="utf-8")
    [toml] = re.findall(r"^```toml\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return str(toml)


@pytest.mark.parametrize(("page", "environment"), [("README.md", "workshop"), ("docs/policy.md", "default")])
def test_the_rules_of_the_documentation_let_no_deployment_slip_past_them(
    tmp_path: Path, page: str, environment: str
) -> None:
    toml = _documented(page)
    policy = config_of(tmp_path, toml=toml, RELAY_APPROVERS="U0ADA", WORKSHOP_KEY="sk-2").policy
    said = "\n".join(policy_warnings(policy))
    assert ("can never apply" in said, "nobody is left" in said) == (False, False)
    inputs: dict[str, dict[str, Any]] = {"Bash": {"command": "x prod"}}
    inputs["deploy_site"] = {"options": {"target": "live-1"}}
    ruled = [
        evaluate(policy, Request(tool, given, environment, ("C0123ABCD",), ("U0ADA",))).rule
        for tool, given in inputs.items()
    ]
    assert ruled == ["production", "deployments"]


@pytest.mark.parametrize("there", [True, False])
def test_traces_that_nothing_here_can_send_are_a_warning(
    checked: Callable[[str], list[str]], monkeypatch: pytest.MonkeyPatch, *, there: bool
) -> None:
    if not there:
        monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http", None)
    said = checked('[tracing]\nendpoint = "http://collector:4318"\n')
    assert "  traces: to http://collector:4318/v1/traces" in said
    warned = [line for line in said if "what sends them is not installed" in line]
    assert [line.partition(" asks")[0] for line in warned] == (
        [] if there else ["  warning: relay.toml: line 2: tracing.endpoint"]
    )
