"""What a card shows to decide on: the rule, the facts, the votes, the change; and no secret in any state."""

import re
from dataclasses import replace
from typing import Any

import pytest

from relay.domain.approvals import Approval, State
from relay.domain.rules import Ask, Circle, Fact, Risk
from relay.domain.votes import Vote
from relay.sandbox.slack import problems
from relay.sandbox.slack.limits import characters
from relay.slack import cards, modals
from relay.slack.arguments import is_large
from relay.slack.wire import ButtonValue, MoreValue
from tests.slack.asked import APPROVED, NOON, approval
from tests.slack.printed import DEPLOY, DIFF, SHOWN, TWO, VOTES, every_state, lines
from tests.witnesses import slack as witness

CARDS = list(every_state())
SECRETS = {"command": "PGPASSWORD=hunter22 ./run", "token": "open sesame", "argv": ["--password", "hunter22"]}


def pending(**changed: Any) -> Approval:
    return approval(**{"tool_input": DEPLOY, "ask": TWO, "code": "K7QF", "shown_hash": SHOWN, **changed})


def told(asked: Approval, votes: tuple[Vote, ...] = (), **more: Any) -> str:
    return "\n".join(lines(cards.card(asked, votes, **more).blocks))


def elements(asked: Approval) -> dict[str, dict[str, Any]]:
    [row] = [block for block in cards.card(asked).blocks if block["type"] == "actions"]
    return {one["action_id"]: one for one in row["elements"]}


def options(asked: Approval) -> list[str]:
    read = [MoreValue.read(one["value"]) for one in elements(asked)["more"]["options"]]
    return [one.do for one in read if one is not None]


@pytest.mark.parametrize(("name", "asked", "votes"), CARDS)
@pytest.mark.parametrize("scale", [1.0, 0.1])
def test_every_state_keeps_every_limit(
    name: str, asked: Approval, votes: tuple[Vote, ...], scale: float
) -> None:
    post = cards.card(asked, votes, scale=scale, nobody_left=True)
    assert (problems("message", post.blocks), witness.problems(post.blocks)) == ([], [])
    assert characters(post.blocks) < 13_000


@pytest.mark.parametrize(
    ("state", "number"),
    [*((state, 13) for state in State), *((State.PENDING, number) for number in (1, 12, 400))],
)
def test_the_largest_of_everything_keeps_every_limit(state: State, number: int) -> None:
    long = {f"{n:<10}" * 12: "&" * 9_000 for n in range(number)}
    many = frozenset(f"U{n:010}" for n in range(500))
    ask = replace(
        TWO, reason="&" * 9_000, rule="&" * 900, approvers=Circle(many, many, many), facts=TWO.facts * 9
    )
    votes = tuple(Vote(user, approve=True, reason="", shown_hash=SHOWN, voted_at=NOON) for user in many)
    diff = {"fileName": "&" * 900, "hunks": [{"lines": [{"type": "add", "content": "&" * 900}] * 900}]}
    asked = pending(
        state=state, tool_input=long, ask=ask, diffs=(diff,) * 30, words="&" * 9_000, tool_name="&" * 900,
        edited_input={name: "changed" + text for name, text in long.items()}, environment="&" * 900,
        edited_by="U0GRACE", decision=None if state is State.PENDING else APPROVED,
        note="&" * 9_000, code="&" * 90,
    )  # fmt: skip
    post = cards.card(asked, votes, nobody_left=True)
    assert (problems("message", post.blocks), witness.problems(post.blocks)) == ([], [])
    assert characters(post.blocks) < 13_000


@pytest.mark.parametrize("state", State)
def test_no_state_of_the_card_nor_its_details_show_a_secret(state: State) -> None:
    decision = None if state is State.PENDING else APPROVED
    edited = {**SECRETS, "command": "PGPASSWORD=hunter22 ./other"}
    for asked in (
        approval(state, decision, tool_input=SECRETS, words="use TOKEN=abcdef1", diffs=(DIFF,)),
        approval(state, decision, tool_input=SECRETS, edited_input=edited),
    ):
        shown = str(cards.card(asked)) + str(modals.details(asked))
        hidden = ("hunter22", "open sesame", "abcdef1", "correct horse")
        assert [secret for secret in hidden if secret in shown] == []


KEY = "ghp_" + "a1B2" * 9


@pytest.mark.parametrize("state", [State.DECIDED, State.DELIVERED, State.FAILED, State.UNCONFIRMED])
def test_no_words_nor_suggestions_with_an_answer_show_a_secret(state: State) -> None:
    suggested = ("Bash(curl -H 'Authorization: Bearer very-secret-0123456789')", f"Bash(echo {KEY})")
    decision = replace(APPROVED, reason=f"use {KEY} instead", suggestions=suggested)
    shown = told(approval(state, decision, note=f"refused: {KEY}"))
    assert "‹secret 1: GitHub token›" in shown
    assert [secret for secret in (KEY, "very-secret") if secret in shown] == []


@pytest.mark.parametrize("tool", ["Bash", "shell", "shell_command", "run_shell_command", "exec_command"])
def test_a_shell_s_description_is_the_agent_s_claim(tool: str) -> None:
    shown = told(approval(tool_name=tool))
    assert "Builds the release" in shown[shown.index("unchecked") :]


def test_any_other_tool_s_description_is_an_argument() -> None:
    shown = told(approval(tool_name="create_ticket"))
    assert "description\n  Builds the release" in shown
    assert "Builds the release" not in shown[shown.index("unchecked") :]


@pytest.mark.parametrize("now", [{"description": "Wipes the disk"}, {}])
def test_a_description_that_somebody_changed_is_an_argument(now: dict[str, str]) -> None:
    shown = told(approval(edited_input={"command": "make release", **now}, edited_by="U0GRACE"))
    said = "description\n  - Builds the release\n  + Wipes the disk"
    assert (said if now else "description\n (taken out)\n  - Builds the release") in shown


def test_what_is_left_out_of_a_claim_is_counted() -> None:
    asked = approval(tool_input={"command": "make", "description": "a" * 9_000}, words="")
    shown = told(asked)
    missing = 9_000 - shown.count("a" * 100) * 100
    [count] = re.findall(r":scissors: ([\d,]+) characters are left out", shown)
    assert abs(int(count.replace(",", "")) - missing) < 300


def test_a_request_is_large_when_all_of_it_together_is() -> None:
    assert not is_large(approval(tool_input=SECRETS))
    assert is_large(approval(tool_input={"edits": [{"new": "a" * 60_000}, {"new": "b" * 60_000}]}))


@pytest.mark.parametrize("call", ["c" * 2_100, "\x01" * 400])
def test_a_tool_call_s_id_that_is_too_long_is_left_out_of_the_buttons(call: str) -> None:
    written = elements(pending(tool_call_id=call))["approve"]["value"]
    value = ButtonValue.read(written)
    assert value is not None and (value.approval_id, value.tool_call_id) == ("apr_0190", "")
    assert len(written) < 2_000


def test_the_marks_have_the_numbers_they_have_in_the_input_alone() -> None:
    told_first = told(approval(tool_input={"token": "open sesame"}, words="TOKEN=abcdef1"))
    assert "‹secret 1: token›" in told_first
    assert "TOKEN=‹secret 2: token›" in told_first


def test_the_rule_says_its_name_and_reason_and_high_risk_is_marked() -> None:
    shown = told(pending())
    assert "*Rule:* `production` — Production needs two people." in shown
    assert ":rotating_light: *High risk*" in shown
    assert "High risk" not in told(approval())


def test_approving_a_high_risk_is_confirmed_and_nothing_else_is() -> None:
    asked_once_more = [name for name, one in elements(pending()).items() if "confirm" in one]
    assert asked_once_more == ["approve"]
    assert "confirm" not in elements(pending(ask=replace(TWO, risk=Risk.NORMAL)))["approve"]


def test_it_says_who_can_decide_and_calls_no_user_group() -> None:
    shown = told(pending())
    people = "<@U0GRACE>, <@U0LINUS>, members of `S0LEADS`, members of <#C0OPS>"
    assert f"{people}; 2 must approve, not whoever asked\n" in shown
    one = told(pending(ask=replace(TWO, quorum=1)))
    assert "members of <#C0OPS>; not whoever asked\n" in one
    assert "<!subteam" not in shown
    assert "*Can decide:* any full member" in told(approval())


def test_votes_are_counted_and_those_on_an_older_input_are_named_as_such() -> None:
    shown = told(pending(), VOTES)
    assert "*1 of 2:* <@U0GRACE>" in shown
    assert "No longer counted, for the input was changed since: <@U0LINUS>" in shown


def test_nobody_left_is_said() -> None:
    assert "*Nobody who may decide this can be reached:*" in told(pending(), nobody_left=True)


def test_expiry_reminders_and_escalation_are_said() -> None:
    shown = told(pending(expires_at=NOON, nudges=2, escalated=True))
    assert ":alarm_clock: Expires <!date^" in shown
    assert "reminded twice; others were asked as well" in shown


def test_the_code_is_shown_with_what_to_type() -> None:
    assert "Code `K7QF`: without a button, type `/ops approve K7QF`" in told(pending(), command="/ops")


def test_the_code_stands_beside_an_expiry_that_is_short() -> None:
    beside = "; reminded twice · Code `K7QF`"
    assert beside in told(pending(expires_at=NOON, nudges=2))
    long = told(pending(expires_at=NOON, nudges=2, escalated=True))
    assert "others were asked as well\nCode `K7QF`" in long


def test_a_change_shows_what_was_and_what_is_now_of_changed_arguments_alone() -> None:
    edited = {**DEPLOY, "amount": 900}
    shown = told(pending(edited_input=edited, edited_by="U0GRACE"))
    assert "*Changed by <@U0GRACE>*" in shown
    assert "amount\n  - 1200\n  + 900" in shown
    assert "- /srv/app" not in shown


@pytest.mark.parametrize(
    ("was", "now", "said"),
    [
        ({"n": 1200}, {"n": "1200"}, 'n\n  - 1200\n  + "1200"'),
        ({"n": "a"}, {"n": "(not given)"}, "n\n  - a\n  + (not given)"),
        ({"n": "a"}, {}, "n\n (taken out)\n  - a"),
        ({}, {"n": False}, "n\n (added)\n  + false"),
        ({"n": "a"}, {"n": "a\u200b"}, "n\n  - a\n  + a\\u200b"),
        ({"n": "a\u200b"}, {"n": "a\\u200b"}, 'n\n  - "a\\u200b"\n  + "a\\\\u200b"'),
        ({"n": "a"}, {"n": "a\n+ b"}, "n\n was\n  a\nn\n is now\n  a\n  + b"),
        ({"n": "a"}, {"n": "b" * 201}, f"n\n was\n  a\nn\n is now\n  {'b' * 201}"),
        ({"n": "a"}, {"n": "b" * 200}, f"n\n  - a\n  + {'b' * 200}"),
    ],
)
def test_a_change_of_short_lines_is_one_box_and_says_exactly_what_is_sent(
    was: dict[str, Any], now: dict[str, Any], said: str
) -> None:
    edited = {**now, "same": 1}
    shown = told(approval(tool_input={**was, "same": 1}, edited_input=edited, tool_name="deploy"))
    assert said in shown
    assert "same\n  1" in shown


@pytest.mark.parametrize(
    ("value", "told_once"),
    [
        (1200, True),
        ("db1", True),
        (False, True),
        ("a  b", False),
        ("two\nlines", False),
        ("`x`", False),
        ("", False),
        ("\u200b", False),
        ("x" * 81, False),
        ("&" * 17, False),
        ("TOKEN=abcdef1", False),
        (["db1"], False),
        ({"host": "db1"}, False),
        (None, False),
    ],
)
def test_an_argument_is_left_to_a_fact_that_shows_all_of_it_and_to_no_other(
    value: Any, told_once: bool
) -> None:
    ask = Ask(rule="r", facts=(Fact("it", "It"),))
    asked = approval(tool_input={"it": value, "mode": "fast"}, ask=ask, tool_name="deploy")
    assert ("\nit\n" not in told(asked)) is told_once
    assert "mode\n  fast" in told(asked)
    assert "\nit\n" in "\n".join(lines(modals.details(asked)["blocks"]))


def test_a_fact_hides_no_change_and_no_other_argument() -> None:
    ask = Ask(rule="r", facts=(Fact("target.host", "Host"), Fact("n", "N")))
    shown = told(approval(tool_input={"target": {"host": "db1"}, "n": 1}, edited_input={"n": 2}, ask=ask))
    assert '"host": "db1"' in shown
    assert "n\n  - 1\n  + 2" in shown


def test_facts_that_show_everything_leave_no_claim_of_no_arguments() -> None:
    shown = told(approval(tool_input={"n": 1}, ask=Ask(rule="r", facts=(Fact("n", "N"),))))
    assert "without arguments" not in shown
    assert "*N*\n`1`" in shown


def test_the_command_comes_first_and_its_directory_next() -> None:
    shown = told(pending())
    assert shown.index("./deploy") < shown.index("cwd\n (working directory)\n  /srv/app")
    assert shown.index("/srv/app") < shown.index('"host": "db1"')


@pytest.mark.parametrize(
    ("changed", "offered"),
    [
        ({}, ["comment", "ran_it", "deny_stop"]),
        ({"expires_at": NOON}, ["comment", "ran_it", "deny_stop", "snooze"]),
        ({"ask": Ask(grant_for=NOON - NOON.replace(hour=11))}, ["comment", "ran_it", "deny_stop", "grant"]),
        ({"ask": replace(TWO, grant_for=NOON - NOON.replace(hour=11))}, ["comment", "ran_it", "deny_stop"]),
    ],
)
def test_the_menu_offers_what_the_rule_lets(changed: dict[str, Any], offered: list[str]) -> None:
    assert options(pending(**{"ask": Ask(), **changed})) == offered


def test_editing_is_offered_where_somebody_may() -> None:
    assert "edit" in elements(pending())
    assert "edit" not in elements(pending(ask=replace(TWO, editors=Circle())))


def test_buttons_are_bound_to_what_is_shown() -> None:
    value = ButtonValue.read(elements(pending())["approve"]["value"])
    more = MoreValue.read(elements(pending())["more"]["options"][0]["value"])
    assert value is not None and value.input_hash == SHOWN
    assert more is not None and SHOWN.startswith(more.h)
