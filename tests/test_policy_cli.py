"""`relay policy`: what it says of a tool call, and of past requests under other rules."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from relay.cli import main
from relay.domain.approvals import Approval, Asked, Decision, State
from relay.domain.rules import Ask
from relay.store import Store, Transaction
from tests.settings import HTTP

RULES = """
[[policies]]
name = "status"
tools = ["Bash"]
action = "allow"
when = { input = { command = "git status*" } }

[[policies]]
name = "never"
tools = ["Delete"]
action = "deny"
reason = "Nothing is deleted here."

[[policies]]
name = "production"
tools = ["Bash"]
when = { channel = "C0OPS" }
approvers = { users = ["U0LEAD"], groups = ["S0LEADS"] }
quorum = 2
reason = "Production needs two people."
"""
NOW = datetime.now(UTC)
Said = Callable[..., str]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with rules, in which commands run."""
    (tmp_path / "relay.toml").write_text(RULES, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    for name, value in HTTP.items():
        monkeypatch.setenv(name, value)
    return tmp_path


@pytest.fixture
def said(folder: Path, capsys: pytest.CaptureFixture[str]) -> Said:
    """What a command says, with a status of 0 unless another is told."""

    def run(*arguments: str, status: int = 0) -> str:
        assert main(["policy", *arguments]) == status
        found = capsys.readouterr()
        return found.err if status else found.out

    return run


def _input(command: str) -> str:
    return json.dumps({"command": command})


def test_it_names_the_rule_its_line_and_who_may_decide(said: Said) -> None:
    found = said("explain", "--tool", "Bash", "--input", _input("git push"), "--channel", "C0OPS")
    assert '  passed over: policy "status" (line 2): input.command does not match\n' in found
    assert '  rule: policy "production" (line 14) of relay.toml\n' in found
    assert "  asked: 2 people must approve: Production needs two people.\n" in found
    assert "approve and deny: U0LEAD, members of user group S0LEADS; requesters may only deny\n" in found
    assert "Slack was not asked: only full members may act" in found


@pytest.mark.parametrize(
    ("user", "approve", "deny"),
    [
        ("U0LEAD", "yes", "yes"),
        ("U0ADA", "no, they are a requester, and the rule keeps requesters out", "if a member of"),
        ("U0EVE", "if a member of user group S0LEADS", "if a member of user group S0LEADS"),
    ],
)
def test_it_says_whether_somebody_may_decide_and_why(said: Said, user: str, approve: str, deny: str) -> None:
    of = ["--tool", "Bash", "--channel", "C0OPS", "--requester", "U0ADA", "--user", user]
    found = said("explain", *of)
    assert f"  {user} may approve: {approve}" in found
    assert f"  {user} may deny: {deny}" in found


def test_scripts_get_the_same_as_json(said: Said) -> None:
    of = ["--tool", "Bash", "--channel", "C0OPS", "--user", "U0LEAD", "--json"]
    found = json.loads(said("explain", *of))
    assert (found["rule"], found["line"], found["action"]) == ("production", 14, "ask")
    words = 'the input has no "command"'
    assert found["passed_over"] == [
        {"rule": "status", "line": 2, "does_not_match": "input.command", "words": words}
    ]
    assert found["too_few"] is None
    assert Ask.read(found["ask"]).quorum == 2
    assert found["user"] == {"id": "U0LEAD", "approve": "yes", "deny": "yes", "edit": "yes"}
    assert found["slack_asked"] is False


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ({}, 'the input has no "command"'),
        ({"commands": "ls"}, 'the input has no "command"'),
        ({"command": "ls"}, "input.command does not match"),
        ({"command": None}, "input.command does not match"),
        ({"command": []}, "input.command does not match"),
    ],
)
def test_a_rule_for_a_value_that_is_not_there_says_so(
    said: Said, written: dict[str, Any], words: str
) -> None:
    found = said("explain", "--tool", "Bash", "--input", json.dumps(written))
    assert f'  passed over: policy "status" (line 2): {words}\n' in found


@pytest.mark.parametrize(
    ("of", "words"),
    [
        (["--user", "U0A"], "when U0A asks, nobody is left to make up 2"),
        (
            ["--user", "U0A", "--requester", "U0A"],
            "requesters may not approve, and nobody is left to make up 2",
        ),
        (["--requester", "U0B"], "requesters may not approve, and nobody is left to make up 2"),
        (["--user", "U0EVE"], ""),
        (["--requester", "U0EVE"], ""),
        ([], ""),
    ],
)
def test_a_rule_that_nobody_is_left_to_approve_says_so(
    said: Said, folder: Path, of: list[str], words: str
) -> None:
    rule = '[[policies]]\nname = "p"\ntools = ["Bash"]\nquorum = 2\napprovers.users = ["U0A", "U0B"]\n'
    (folder / "relay.toml").write_text(rule, encoding="utf-8")
    found = said("explain", "--tool", "Bash", *of)
    assert ("nobody is left" in found, f"  {words}\n" in found) == (bool(words), bool(words))
    assert json.loads(said("explain", "--tool", "Bash", "--json", *of))["too_few"] == (words or None)


def test_hours_that_go_over_midnight_are_said_to(said: Said, folder: Path) -> None:
    rule = '[[policies]]\nname = "p"\ntools = ["Bash"]\nexpires_after = "2h"\n'
    for hours, words in (
        ('{ from = "22:00", to = "06:00" }', "from 22:00 to 06:00 of the next day, UTC\n"),
        ('{ from = "09:00", to = "17:00" }', "from 09:00 to 17:00, UTC\n"),
    ):
        (folder / "relay.toml").write_text(f"{rule}hours = {hours}\n", encoding="utf-8")
        assert words in said("explain", "--tool", "Bash")


ROUTED = """
[environments.workshop]
device_id = "device-2"
agent_id = "agent-2"
api_key = { env = "WORKSHOP_KEY" }

[environments.attic]
name = "attic"
agent_id = "agent-3"
api_key = { file = "/nowhere/key" }

[[routes]]
channel = "C0ATTIC"
environment = "attic"
"""


@pytest.fixture
def bare(folder: Path, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A process environment without any of the settings that a relay needs to run."""
    for name in HTTP:
        monkeypatch.delenv(name)
    return monkeypatch


@pytest.mark.parametrize(
    "settings", [{}, {"SLACK_BOT_TOKEN": "no token"}, {"LETTA_API_KEY_FILE": "/nowhere"}]
)
def test_neither_needs_a_secret(
    said: Said, folder: Path, bare: pytest.MonkeyPatch, settings: dict[str, str]
) -> None:
    for name, value in settings.items():
        bare.setenv(name, value)
    _store(folder, _approval(1))
    assert '  rule: policy "production"' in said("explain", "--tool", "Bash", "--channel", "C0OPS")
    assert _replayed(said, "--policy", "relay.toml")["requests"] == 1


@pytest.mark.usefixtures("bare")
def test_environments_and_routes_are_known_without_their_keys(said: Said, folder: Path) -> None:
    (folder / "relay.toml").write_text(ROUTED + RULES, encoding="utf-8")
    assert "Bash in environment attic" in said("explain", "--tool", "Bash", "--channel", "C0ATTIC")
    assert "known: workshop, attic" in said("explain", "--tool", "Bash", "--environment", "x", status=2)
    (folder / "relay.toml").write_text(f"{ROUTED}[[routes]]\n{RULES}", encoding="utf-8")  # to "default"
    assert "Bash in environment default" in said("explain", "--tool", "Bash", "--channel", "C0OPS")
    assert "asked for outside Slack\n" in said("explain", "--tool", "Bash")


def test_what_is_wrong_with_more_than_the_secrets_is_said_all_the_same(
    said: Said, folder: Path, bare: pytest.MonkeyPatch
) -> None:
    bare.setenv("RELAY_APPROVERS", "ada")
    (folder / "relay.toml").write_text(RULES + "qorum = 1\n", encoding="utf-8")
    found = said("explain", "--tool", "Bash", status=2)
    assert "RELAY_APPROVERS is malformed" in found
    assert "relay.toml: line 21: policy 3: qorum is no setting" in found
    assert len(found.splitlines()) == 3


@pytest.mark.usefixtures("folder", "bare")
def test_a_relay_itself_needs_all(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check"]) == 2
    found = capsys.readouterr().err
    assert [name for name in HTTP if f"{name} is missing" not in found] == []


@pytest.mark.parametrize(
    ("of", "words"),
    [
        (["--tool", "Delete"], "denied, and nobody is asked: Nothing is deleted here."),
        (["--tool", "Bash", "--input", _input("git status -s")], "allowed, and nobody is asked\n"),
        (
            ["--tool", "Bash", "--input", _input("git status; rm")],
            "denied, and nobody is asked: no rule allows",
        ),
    ],
)
def test_it_says_what_is_decided_without_people(said: Said, of: list[str], words: str) -> None:
    assert words in said("explain", *of)


def test_an_input_may_stand_in_a_file(said: Said, folder: Path) -> None:
    (folder / "input.json").write_text(_input("git status"), encoding="utf-8")
    assert '  rule: policy "status"' in said("explain", "--tool", "Bash", "--input", "@input.json")


@pytest.mark.parametrize(
    ("of", "words"),
    [
        (["--input", "{"], "--input is no JSON: "),
        (["--input", "[]"], "--input must be a JSON object"),
        (["--input", "@nowhere"], "--input: cannot read nowhere: No such file or directory"),
        (["--environment", "attic"], "no environment 'attic' (known: default)"),
    ],
)
def test_what_cannot_be_explained_is_misuse(said: Said, of: list[str], words: str) -> None:
    assert said("explain", "--tool", "Bash", *of, status=2).startswith(f"relay: {words}")


def _approval(number: int, **changed: Any) -> Approval:
    asked = Asked("default", "agent-1", "default", f"call-{number}", "Bash", {"command": "ls"}, (), "")
    made = NOW - timedelta(hours=1) + timedelta(seconds=number)
    first = Approval(
        id=f"apr_{number:05}",
        team_id="T0",
        asked=asked,
        input_hash="h",
        occurrence=1,
        state=State.PENDING,
        decision=None,
        requesters=("U0ADA",),
        message_id=None,
        epoch="e",
        event_seq=1,
        gone_at=None,
        sent=False,
        note="",
        created_at=made,
        revision=1,
        ask=Ask(rule="production"),
        channels=("C0OPS",),
    )
    return replace(first, **changed)


def _decided(approval: Approval, *, approve: bool, rule: str) -> Approval:
    return replace(approval, decision=Decision(approve, "", "", approval.created_at, rule=rule))


def _store(folder: Path, *approvals: Approval) -> None:
    """Keep requests in the store that the commands find."""

    def add(tx: Transaction) -> None:
        for approval in approvals:
            tx.approvals.add(approval)
            if approval.decision is not None:
                assert tx.approvals.decide(approval, approval.decision)

    async def keep() -> None:
        store = Store.open(f"sqlite:///{folder}/relay.db")
        try:
            await store.transact(add)
        finally:
            await store.close()

    asyncio.run(keep())


def _replayed(said: Said, *more: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(said("replay", "--json", *more))
    return found


def test_a_request_that_the_rules_now_allow_or_deny_differs(said: Said, folder: Path) -> None:
    status = replace(_approval(1).asked, tool_input={"command": "git status"})
    deletion = replace(_approval(2).asked, tool_name="Delete")
    _store(folder, _approval(1, asked=status), _approval(2, asked=deletion))
    found = _replayed(said)
    assert [(one["id"], one["would_be"]) for one in found["differing"]] == [
        ("apr_00001", {"action": "allow", "rule": "status"}),
        ("apr_00002", {"action": "deny", "rule": "never"}),
    ]
    assert found["differing"][0]["was"] == {"action": "ask", "rule": "production"}
    assert found["counts"] == {"ask -> allow": 1, "ask -> deny": 1}
    assert found["requests"] == 2


def test_a_request_that_is_asked_of_others_differs_and_says_in_what(said: Said, folder: Path) -> None:
    _store(folder, _approval(1))
    [differs] = _replayed(said)["differing"]
    assert differs["was"] == differs["would_be"] == {"action": "ask", "rule": "production"}
    assert set(differs["settings"]) == {"reason", "approvers", "editors", "quorum", "requester_may_approve"}


@pytest.mark.parametrize(("rule", "approve", "was"), [("old", True, "allow"), ("old", False, "deny")])
def test_what_a_rule_had_decided_is_known_from_what_people_had(
    said: Said, folder: Path, rule: str, approve: bool, was: str
) -> None:
    by_rule = _decided(_approval(1, ask=Ask(rule=rule)), approve=approve, rule=rule)
    by_grant = _decided(_approval(2, ask=Ask(rule=rule)), approve=approve, rule="grt_1")
    _store(folder, by_rule, by_grant)
    found = [one["was"] for one in _replayed(said)["differing"]]
    assert found == [{"action": was, "rule": "old"}, {"action": "ask", "rule": "old"}]


def test_a_request_that_nothing_changes_for_is_only_counted(said: Said, folder: Path) -> None:
    asked = replace(_approval(1).asked, tool_input={"command": "git status"})
    _store(folder, _decided(_approval(1, asked=asked, ask=Ask(rule="status")), approve=True, rule="status"))
    assert _replayed(said) == {"requests": 1, "differing": [], "counts": {}, "removed": 0}


def test_people_read_a_line_for_each_and_the_counts_at_the_end(said: Said, folder: Path) -> None:
    _store(folder, _approval(1, channels=()))
    row, total, count = said("replay").splitlines()
    assert row.endswith('apr_00001  Bash  asked by "production" -> denied by no rule')
    assert total.startswith("1 requests since ") and total.endswith(", 1 would differ")
    assert count == "  ask -> deny: 1"


def test_another_file_may_be_tried(said: Said, folder: Path) -> None:
    (folder / "new.toml").write_text(
        '[[policies]]\nname = "all"\ntools = ["*"]\naction = "deny"\n', encoding="utf-8"
    )
    _store(folder, _approval(1))
    [differs] = _replayed(said, "--policy", "new.toml")["differing"]
    assert differs["would_be"] == {"action": "deny", "rule": "all"}


def test_every_request_of_many_pages_is_looked_at_once(said: Said, folder: Path) -> None:
    _store(folder, *(_approval(number, channels=()) for number in range(250)))
    found = _replayed(said)
    assert found["requests"] == 250
    assert len({one["id"] for one in found["differing"]}) == 250


def test_requests_of_before_the_time_asked_for_are_left_out(said: Said, folder: Path) -> None:
    _store(folder, _approval(1, created_at=NOW - timedelta(days=3)), _approval(2))
    assert _replayed(said, "--since", "2d")["requests"] == 1
    assert _replayed(said, "--since", "5d")["requests"] == 2


def test_a_time_that_is_none_is_misuse(said: Said) -> None:
    assert said("replay", "--since", "soon", status=2).startswith(
        "relay: --since: a duration is a number and"
    )


def test_without_a_store_there_is_nothing_to_replay(said: Said) -> None:
    assert "there is no store at relay.db" in said("replay", status=1)
