"""Which rule takes a request, and what it makes of it."""

from dataclasses import replace
from datetime import time, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.domain.foresight import foresee_edit, foresee_vote
from relay.domain.matching import NO_RULE, Policy, Rule, evaluate
from relay.domain.policy import Reason
from relay.domain.rules import EVERYBODY, Action, Ask, Circle, Fact, Hours, Request, Risk, Ruling, Silence
from relay.domain.shadows import covers, shadowed

ANYTHING = Request("Bash", {"command": "ls"}, "workshop", ("C1",), ("U1",))
NAMES = st.frozensets(st.sampled_from(["U1", "U2", "U3"]))
CIRCLES = st.builds(Circle, NAMES, NAMES, NAMES, st.booleans())
SPANS = st.integers(1, 1_000_000).map(lambda seconds: timedelta(seconds=seconds))
HOURS = st.builds(
    Hours,
    st.sampled_from(["UTC", "Europe/Berlin"]),
    st.frozensets(st.integers(0, 6)),
    st.builds(time, st.integers(0, 23), st.integers(0, 59)),
    st.builds(time, st.integers(0, 23), st.integers(0, 59)),
)
TEXTS = st.lists(st.text(max_size=5), max_size=3).map(tuple)
ASKS = st.builds(
    Ask,
    rule=st.text(max_size=5),
    reason=st.text(max_size=5),
    approvers=CIRCLES,
    editors=CIRCLES,
    quorum=st.integers(1, 10),
    requester_may_approve=st.booleans(),
    edit_needs_another=st.booleans(),
    risk=st.sampled_from(Risk),
    expires_after=st.none() | SPANS,
    on_silence=st.sampled_from(Silence),
    remind_after=st.lists(SPANS, max_size=3).map(tuple),
    escalate_to=CIRCLES,
    hours=st.none() | HOURS,
    cards=TEXTS,
    quick_reasons=TEXTS,
    facts=st.lists(st.builds(Fact, st.text(), st.text(), st.none() | st.floats(allow_nan=False))).map(tuple),
    grant_for=st.none() | SPANS,
    grant_uses=st.integers(1, 50),
    suggestions=st.booleans(),
)
RULES = st.builds(
    Rule,
    name=st.sampled_from(["one", "two", "three"]),
    tools=st.lists(st.sampled_from(["Bash", "B*", "*", "Read", "R?ad", "[BR]*"]), min_size=1, max_size=2).map(
        tuple
    ),
    action=st.sampled_from(Action),
    channels=st.frozensets(st.sampled_from(["C1", "C2", "dm"]), max_size=2),
    environments=st.frozensets(st.sampled_from(["workshop", "attic"]), max_size=1),
    requesters=st.frozensets(st.sampled_from(["U1", "U2"]), max_size=2),
    input=st.dictionaries(
        st.sampled_from(["command", "files"]),
        st.sampled_from(["*", "git *", "git*", "a?", "ls", "*;*"]),
        max_size=2,
    ),
    ask=st.just(Ask()),
)
VALUES = st.sampled_from(["git push", "git", "ls", "ab", "git ;", "a;", "git ../x"])
REQUESTS = st.builds(
    Request,
    st.sampled_from(["Bash", "Read", "Write"]),
    st.fixed_dictionaries({}, optional={"command": VALUES, "files": st.lists(VALUES, max_size=2)}),
    st.sampled_from(["workshop", "attic"]),
    st.sampled_from(["", "C1", "D1"]),
    st.lists(st.sampled_from(["U1", "U2"]), max_size=2).map(tuple),
)


def _rule(**changed: Any) -> Rule:
    given: dict[str, Any] = {"name": "r", "tools": ("Bash",), "action": Action.ASK, "ask": Ask(rule="r")}
    return Rule(**{**given, **changed})


@given(st.lists(RULES, max_size=5), REQUESTS)
def test_the_first_rule_in_order_that_fits_is_taken(rules: list[Rule], request_: Request) -> None:
    expected = next((rule for rule in rules if not rule.misses(request_)), None)
    assert Policy(tuple(rules)).first(request_) is expected


@given(RULES, st.lists(RULES, max_size=4), REQUESTS)
def test_a_rule_before_the_others_that_does_not_fit_changes_nothing(
    before: Rule, rules: list[Rule], request_: Request
) -> None:
    if before.misses(request_):
        assert evaluate(Policy((before, *rules)), request_) == evaluate(Policy(tuple(rules)), request_)


@given(st.lists(RULES, max_size=4), st.lists(RULES, max_size=4), REQUESTS)
def test_rules_behind_the_one_that_fits_change_nothing(
    rules: list[Rule], behind: list[Rule], request_: Request
) -> None:
    if Policy(tuple(rules)).first(request_) is not None:
        assert evaluate(Policy((*rules, *behind)), request_) == evaluate(Policy(tuple(rules)), request_)


@given(RULES, RULES, REQUESTS)
def test_what_a_rule_covers_never_fits_where_it_does_not(
    earlier: Rule, later: Rule, request_: Request
) -> None:
    if covers(earlier, later) and not later.misses(request_):
        assert not earlier.misses(request_)


@given(ASKS)
def test_what_is_kept_of_an_ask_is_the_whole_of_it(ask: Ask) -> None:
    assert Ask.read(ask.written()) == ask


@given(ASKS, st.sampled_from(["U1", "U2", "U3"]), st.sampled_from(["U1", "U2", "U3"]), st.booleans())
def test_another_approver_takes_nobodys_right_away(ask: Ask, user_id: str, added: str, approve: bool) -> None:
    more = replace(ask, approvers=ask.approvers | Circle(users=frozenset({added})))
    before = foresee_vote(ask, ("U1",), user_id, approve=approve)
    after = foresee_vote(more, ("U1",), user_id, approve=approve)
    assert before.reason is not Reason.ALLOWED or after.reason is Reason.ALLOWED
    assert not before.certain or before.reason is not Reason.ALLOWED or after.certain


def test_without_any_rule_people_are_asked_by_default() -> None:
    assert evaluate(Policy((), Ask(quorum=2)), ANYTHING) == Ruling(Action.ASK, ask=Ask(quorum=2))


def test_where_no_rule_fits_and_nobody_is_named_it_is_denied() -> None:
    assert evaluate(Policy((_rule(tools=("x",)),), None), ANYTHING) == Ruling(Action.DENY, reason=NO_RULE)


@pytest.mark.parametrize("action", [Action.ALLOW, Action.DENY])
def test_a_rule_that_asks_nobody_decides_and_says_why(action: Action) -> None:
    policy = Policy((_rule(action=action, ask=None, reason="because"),))
    assert evaluate(policy, ANYTHING) == Ruling(action, "r", "because")


def test_the_members_of_the_channel_that_asks_become_approvers() -> None:
    policy = Policy((_rule(ask=Ask(approvers=Circle(users=frozenset({"U9"}))), channel_members=True),))
    ask = evaluate(policy, ANYTHING).ask
    assert ask is not None
    assert ask.approvers == Circle(users=frozenset({"U9"}), channels=frozenset({"C1"}))
    assert ask.editors == EVERYBODY


def test_the_members_of_the_channel_that_asks_become_editors() -> None:
    policy = Policy((_rule(ask=Ask(editors=Circle(users=frozenset({"U9"}))), channel_edits=True),))
    ask = evaluate(policy, ANYTHING).ask
    assert ask is not None
    assert ask.editors == Circle(users=frozenset({"U9"}), channels=frozenset({"C1"}))
    assert ask.approvers == EVERYBODY


def test_outside_a_channel_its_members_are_nobody() -> None:
    policy = Policy((_rule(ask=Ask(approvers=Circle()), channel_members=True),))
    ask = evaluate(policy, replace(ANYTHING, channels=())).ask
    assert ask is not None
    assert not ask.approvers


def test_of_several_channels_the_members_are_nobody() -> None:
    policy = Policy((_rule(ask=Ask(approvers=Circle()), channel_members=True),))
    ask = evaluate(policy, replace(ANYTHING, channels=("C1", "C2"))).ask
    assert ask is not None
    assert not ask.approvers


def test_of_several_channels_one_is_enough_to_ask_and_all_are_needed_to_allow() -> None:
    mixed = replace(ANYTHING, channels=("C1", "C2"))
    for action, missed in ((Action.ASK, ""), (Action.DENY, ""), (Action.ALLOW, "channel")):
        assert _rule(channels=frozenset({"C1"}), action=action).misses(mixed) == missed
    assert not _rule(channels=frozenset({"C1", "C2"}), action=Action.ALLOW).misses(mixed)


@pytest.mark.parametrize(
    ("changed", "missed"),
    [
        ({"tools": ("bash", "Read")}, "tools"),
        ({"environments": frozenset({"attic"})}, "environment"),
        ({"channels": frozenset({"C2"})}, "channel"),
        ({"requesters": frozenset({"U2"})}, "requester"),
        ({"input": {"command": "*prod*"}}, "input.command"),
        ({"input": {"other": "*"}}, "input.other"),
        ({}, ""),
        ({"channels": frozenset({"C1", "C2"}), "input": {"command": "l?"}}, ""),
    ],
)
def test_a_rule_says_which_condition_does_not_hold(changed: dict[str, Any], missed: str) -> None:
    assert _rule(**changed).misses(ANYTHING) == missed


@pytest.mark.parametrize("action", list(Action))
def test_a_direct_conversation_is_a_channel_of_its_own_kind(action: Action) -> None:
    rule = _rule(channels=frozenset({"dm"}), action=action)
    assert not rule.misses(replace(ANYTHING, channels=("D1",)))
    assert rule.misses(ANYTHING) == "channel"


@pytest.mark.parametrize(
    ("requesters", "asked", "allowed"),
    [(("U1",), True, True), (("U1", "U2"), True, False), (("U2",), False, False), ((), False, False)],
)
def test_one_requester_is_enough_to_ask_and_all_are_needed_to_allow(
    requesters: tuple[str, ...], asked: bool, allowed: bool
) -> None:
    request = replace(ANYTHING, requesters=requesters)
    for action, fits in ((Action.ASK, asked), (Action.DENY, asked), (Action.ALLOW, allowed)):
        assert (not _rule(requesters=frozenset({"U1"}), action=action).misses(request)) is fits


@pytest.mark.parametrize(
    ("files", "asked", "allowed"),
    [
        (["a/x"], True, True),
        (["a/x", "b"], True, False),
        (["b", "a/x"], True, False),
        (["b", "b", "a/x"], True, False),
        (["b"], False, False),
        ([], False, False),
        ("a/x", True, True),
    ],
)
def test_one_item_of_a_list_is_enough_to_ask_and_all_are_needed_to_allow(
    files: Any, asked: bool, allowed: bool
) -> None:
    request = replace(ANYTHING, tool_input={"files": files})
    for action, fits in ((Action.ASK, asked), (Action.ALLOW, allowed)):
        assert (not _rule(input={"files": "a/*"}, action=action).misses(request)) is fits


def test_what_one_of_many_lacks_is_never_allowed() -> None:
    request = replace(ANYTHING, tool_input={"edits": [{"path": "a"}, {"file": "b"}]})
    assert not _rule(input={"edits.*.path": "a"}).misses(request)
    assert _rule(input={"edits.*.path": "a"}, action=Action.ALLOW).misses(request)


def test_a_shell_character_in_a_gap_is_asked_about_and_never_allowed() -> None:
    request = replace(ANYTHING, tool_input={"command": "git log; rm -rf /"})
    assert not _rule(input={"command": "git *"}).misses(request)
    assert _rule(input={"command": "git *"}, action=Action.ALLOW).misses(request) == "input.command"


def test_tools_that_the_agent_makes_up_do_not_pile_up() -> None:
    policy = Policy((_rule(tools=("known*",)),), None)
    for number in range(1_000):
        evaluate(policy, replace(ANYTHING, tool_name=f"known{number}"))
        assert len(policy._by_tool) <= 256


def test_a_rule_that_a_wider_one_stands_before_is_told_with_it() -> None:
    wide, other = _rule(name="wide", tools=("B*",)), _rule(name="other", tools=("Read",))
    narrow = _rule(name="narrow", channels=frozenset({"C1"}), input={"command": "x"})
    assert list(shadowed(Policy((wide, other, narrow)))) == [(narrow, wide)]
    assert list(shadowed(Policy((narrow, other, wide)))) == []
    again = _rule(name="again", tools=("Bash",))
    assert list(shadowed(Policy((wide, narrow, other, again)))) == [(narrow, wide), (again, wide)]


@pytest.mark.parametrize(
    ("earlier", "later", "covered"),
    [
        ({"input": {"command": "git*"}}, {"input": {"command": "git log*"}}, True),
        ({"input": {"command": "git*"}}, {"input": {"other": "git"}}, False),
        ({"input": {"command": "git*"}, "action": Action.ALLOW}, {"input": {"command": "git*"}}, False),
        (
            {"input": {"command": "git*"}, "action": Action.ALLOW},
            {"input": {"command": "git*"}, "action": Action.ALLOW},
            True,
        ),
        ({"requesters": frozenset({"U1"}), "action": Action.ALLOW}, {"requesters": frozenset({"U1"})}, False),
        ({"requesters": frozenset({"U1", "U2"})}, {"requesters": frozenset({"U1"})}, True),
        ({"environments": frozenset({"attic"})}, {}, False),
        ({"environments": frozenset({"a", "b"})}, {"environments": frozenset({"a"})}, True),
        ({"environments": frozenset({"a"})}, {"environments": frozenset({"a"})}, True),
        ({"environments": frozenset({"a"})}, {"environments": frozenset({"a", "b"})}, False),
        ({"channels": frozenset({"C1"})}, {"channels": frozenset({"C1"})}, True),
        ({"channels": frozenset({"C1"})}, {"channels": frozenset({"C2"})}, False),
        ({"requesters": frozenset({"U1"})}, {"requesters": frozenset({"U2"})}, False),
        ({}, {"tools": ("Bash", "Read")}, False),
    ],
)
def test_a_rule_covers_another_only_where_that_is_certain(
    earlier: dict[str, Any], later: dict[str, Any], covered: bool
) -> None:
    assert covers(_rule(**earlier), _rule(**later)) is covered


GROUPED = Ask(
    approvers=Circle(users=frozenset({"U1"}), groups=frozenset({"S1"})),
    editors=Circle(users=frozenset({"U3"})),
    requester_may_approve=False,
)


@pytest.mark.parametrize(
    ("user_id", "approve", "reason", "groups"),
    [
        ("U1", True, Reason.ALLOWED, ()),
        ("U9", True, Reason.ALLOWED, ("S1",)),
        ("U2", True, Reason.REQUESTER, ()),
        ("U2", False, Reason.ALLOWED, ("S1",)),
    ],
)
def test_who_might_vote_is_told_before_anybody_is_looked_up(
    user_id: str, approve: bool, reason: Reason, groups: tuple[str, ...]
) -> None:
    found = foresee_vote(GROUPED, ("U2",), user_id, approve=approve)
    assert (found.reason, found.groups, found.channels) == (reason, groups, ())
    assert found.certain is not bool(groups)


def test_where_a_channel_s_members_may_vote_nothing_is_certain_before_it_was_looked_up() -> None:
    found = foresee_vote(Ask(approvers=Circle(channels=frozenset({"C1"}))), (), "U9", approve=True)
    assert (found.reason, found.groups, found.channels) == (Reason.ALLOWED, (), ("C1",))
    assert not found.certain


@pytest.mark.parametrize(("user_id", "reason"), [("U3", Reason.ALLOWED), ("U1", Reason.NOT_EDITOR)])
def test_who_might_edit_is_told_before_anybody_is_looked_up(user_id: str, reason: Reason) -> None:
    assert foresee_edit(GROUPED, ("U2",), user_id).reason is reason


def test_a_requester_who_may_not_approve_may_not_edit_either_and_others_are_told_why() -> None:
    assert foresee_edit(GROUPED, ("U3",), "U3").reason is Reason.REQUESTER
    assert foresee_edit(replace(GROUPED, requester_may_approve=True), ("U3",), "U3").reason is Reason.ALLOWED
    closed = Ask(approvers=Circle(users=frozenset({"U1"})))
    assert foresee_vote(closed, (), "U9", approve=True).reason is Reason.NOT_APPROVER
