"""What a grant takes and what it does not, for inputs of any kind."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.domain.grants import (
    Flaw,
    Grant,
    Wish,
    by_grant,
    flaw,
    grant_of,
    may_be_granted,
    offers,
    patterns_of,
    spelled,
    takes,
    takes_suggestions,
)
from relay.domain.patterns import SHELL_CHARACTERS, safely_matches
from relay.domain.rules import Ask, Circle, Risk
from tests.slack.asked import NOON, approval

HOUR = timedelta(hours=1)
ASK = Ask(rule="builds", grant_for=HOUR, requester_may_approve=False)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
INPUTS = st.dictionaries(st.text(max_size=8), VALUES, max_size=4)


def grant(patterns: dict[str, Any], **changed: Any) -> Grant:
    """Return a grant for an hour, given under the rule."""
    whole = Grant(
        "grt_1", "T0HOME", "workshop", "agent-1", "default", "Bash", "hash", patterns, "builds", "apr_1",
        "U0GRACE", NOON, NOON + HOUR, 0, 3,
    )  # fmt: skip
    return replace(whole, **changed)


def took(one: Grant, tool_input: dict[str, Any], ask: Ask = ASK, digest: str = "other") -> bool:
    return takes(one, ask, ("U0ADA",), tool_input, digest)


@given(st.text())
def test_a_text_that_is_spelled_out_is_itself_and_nothing_else(text: str) -> None:
    assert safely_matches(spelled(text), text)
    assert not safely_matches(spelled(text), f"{text}x")


def test_only_what_would_be_a_wildcard_is_spelled_in_brackets() -> None:
    assert spelled("Xmake [a]*?") == "Xmake [[]a][*][?]"


@given(INPUTS, st.text(max_size=5), VALUES)
def test_a_grant_like_something_takes_no_key_more_and_none_less(
    tool_input: dict[str, Any], key: str, value: Any
) -> None:
    given_for = {**tool_input, "command": "make it"}
    one = grant(patterns_of(given_for, {"command": "make *"}))
    assert took(one, {**given_for, "command": "make that"})
    assert not took(one, {**given_for, f"more {key}": value})
    assert not took(one, tool_input if "command" not in tool_input else {})


@given(INPUTS, VALUES)
def test_what_is_not_like_something_has_to_be_the_same_in_type_too(
    tool_input: dict[str, Any], value: Any
) -> None:
    given_for = {**tool_input, "command": "make it", "n": 1}
    one = grant(patterns_of(given_for, {"command": "make *"}))
    assert took(one, {**given_for, "n": value}) == (type(value) is int and value == 1)


@given(st.text(), st.sampled_from(SHELL_CHARACTERS), st.text())
def test_nothing_of_a_shells_is_let_through_a_gap(before: str, letter: str, after: str) -> None:
    one = grant(patterns_of({"command": "make it"}, {"command": "make *"}))
    assert not took(one, {"command": f"make {before}{letter}{after}"})


def test_an_exact_grant_goes_by_the_hash_alone() -> None:
    assert took(grant({}), {"command": "x"}, digest="hash")
    assert not took(grant({}), {"command": "x"}, digest="other")


@pytest.mark.parametrize(
    "ask",
    [
        replace(ASK, rule="another"),
        replace(ASK, grant_for=None),
        replace(ASK, grant_for=HOUR / 2),
        replace(ASK, quorum=2),
        replace(ASK, risk=Risk.HIGH),
    ],
)
def test_a_rule_that_changed_takes_its_grants_back(ask: Ask) -> None:
    assert not took(grant({}), {}, ask, "hash")


def test_a_rule_that_allows_fewer_uses_ends_what_was_used_that_often() -> None:
    assert not took(grant({}, uses=2), {}, replace(ASK, grant_uses=2), "hash")


def test_ones_own_grant_is_no_second_pair_of_eyes() -> None:
    assert not took(grant({}, granted_by="U0ADA"), {}, digest="hash")
    assert took(grant({}, granted_by="U0ADA"), {}, replace(ASK, requester_may_approve=True), "hash")


@pytest.mark.parametrize(
    "over", [{"expires_at": NOON}, {"uses": 3}, {"revoked_at": NOON}, {"uses": 4}, {"most_uses": 0}]
)
def test_a_grant_that_is_over_does_not_live(over: dict[str, Any]) -> None:
    assert grant({}).lives(NOON)
    assert not grant({}, **over).lives(NOON)


@pytest.mark.parametrize(
    ("wish", "what"),
    [
        (Wish(HOUR * 2, 1, {}), Flaw.TOO_LONG),
        (Wish(timedelta(0), 1, {}), Flaw.TOO_LONG),
        (Wish(HOUR, 0, {}), Flaw.TOO_OFTEN),
        (Wish(HOUR, 21, {}), Flaw.TOO_OFTEN),
        (Wish(HOUR, 1, {"command": "cmake *"}), Flaw.MISSES),
        (Wish(HOUR, 1, {"nothing": "*"}), Flaw.MISSES),
        (Wish(HOUR, 1, {"command": "*"}), Flaw.BEGINS_WITH_GAP),
        (Wish(HOUR, 1, {"command": "?ake *"}), Flaw.BEGINS_WITH_GAP),
    ],
)
def test_what_is_wider_than_the_rule_or_misses_is_found(wish: Wish, what: Flaw) -> None:
    assert flaw(approval(ask=ASK), wish) == (what, next(iter(wish.globs), ""))


def test_what_fits_has_no_flaw() -> None:
    assert flaw(approval(ask=ASK), Wish(HOUR, 20, {"command": "make *"})) is None


def test_what_somebody_changed_is_never_granted() -> None:
    changed = approval(ask=ASK, edited_input={"command": "rm"})
    assert may_be_granted(approval(ask=ASK)) and not may_be_granted(changed)
    assert flaw(changed, Wish(HOUR, 1, {})) == (Flaw.NOT_OFFERED, "")


def test_the_environment_s_suggestions_are_taken_up_where_one_vote_decides_what_was_asked() -> None:
    ask = Ask(suggestions=True)
    assert takes_suggestions(approval(ask=ask))
    for other in (Ask(), replace(ask, quorum=2), replace(ask, risk=Risk.HIGH)):
        assert not takes_suggestions(approval(ask=other))
    assert not takes_suggestions(approval(ask=ask, edited_input={"command": "rm"}))


def test_without_a_time_in_the_rule_none_is_offered() -> None:
    assert offers(ASK) and not offers(Ask(rule="builds"))


def test_the_grant_that_decided_is_known_again_and_a_rules_name_is_no_grant() -> None:
    assert grant_of(by_grant("grt_1")) == "grt_1"
    assert grant_of("grant everything") is None


@pytest.mark.parametrize(
    ("asked", "taken"),
    [
        (Circle(users=frozenset({"U0GRACE"})), True),
        (Circle(users=frozenset({"U0GRACE", "U0LINUS"})), True),
        (Circle(everybody=True), True),
        (Circle(users=frozenset({"U0LINUS"})), False),
        (Circle(channels=frozenset({"C0PAYROLL"})), False),
    ],
)
def test_a_grant_holds_only_where_those_who_could_give_it_may_approve(asked: Circle, taken: bool) -> None:
    one = grant({}, approvers=Circle(users=frozenset({"U0GRACE"})))
    assert took(one, {}, replace(ASK, approvers=asked), "hash") is taken
