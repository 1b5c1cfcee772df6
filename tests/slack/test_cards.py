"""Cards for any input and every state: within Slack's limits, and true."""

import unicodedata
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.domain.approvals import DROPPED, Approval, Decision, Returned, State
from relay.domain.rules import Ask, Fact, Risk
from relay.sandbox.slack import problems
from relay.sandbox.slack.limits import characters
from relay.slack import arguments, cards, home_blocks, modals, posts, reminders, sentences
from relay.slack.blocks import Post
from relay.slack.home_blocks import Contents, Row
from relay.slack.mrkdwn import visible
from tests.slack.asked import APPROVED, DENIED, NOON, approval, calling, message
from tests.witnesses import slack as witness

LONGEST = 13_000
TEXTS = st.one_of(
    st.text(max_size=60),
    st.text(st.characters(codec=None), max_size=20),
    st.text(alphabet="&<>`*_~@!#\n\t \u202e\u200b\U000e0041\ud83d", max_size=200),
    st.builds(
        lambda text, times: text * times, st.sampled_from(["x", "&", "<@", "\n", "é"]), st.integers(0, 3_000)
    ),
)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), TEXTS),
    lambda inner: st.one_of(st.lists(inner, max_size=5), st.dictionaries(TEXTS, inner, max_size=5)),
    max_leaves=20,
)
INPUTS = st.dictionaries(TEXTS, VALUES, max_size=40)
SEEN = "\n\t\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd"
DECISIONS = st.builds(
    Decision,
    approve=st.booleans(),
    reason=TEXTS,
    user_id=st.sampled_from(["U0GRACE", ""]),
    decided_at=st.just(NOON),
)


def words(value: Any) -> list[str]:
    """Return all texts of blocks, in order."""
    if isinstance(value, list):
        return [text for one in value for text in words(one)]
    if not isinstance(value, dict):
        return []
    own = [value["text"]] if isinstance(value.get("text"), str) else []
    return own + [text for one in value.values() for text in words(one)]


def actions(asked: Approval) -> list[str]:
    """Return the ids of a card's buttons."""
    blocks = cards.card(asked).blocks
    return [one["action_id"] for block in blocks if block["type"] == "actions" for one in block["elements"]]


def assert_slack_takes(post: Post) -> None:
    assert problems("message", post.blocks) == []
    assert witness.problems(post.blocks) == []
    assert characters(post.blocks) < LONGEST
    assert 0 < len(post.text) < 40_000


@given(
    tool_input=INPUTS,
    about=st.fixed_dictionaries({"tool_name": TEXTS.filter(bool), "words": TEXTS, "note": TEXTS}),
    state=st.sampled_from(State),
    decision=DECISIONS,
    scale=st.sampled_from([1.0, 0.4, 0.1]),
)
def test_a_card_of_any_input_and_state_keeps_every_limit(
    tool_input: dict[str, Any], about: dict[str, str], state: State, decision: Decision, scale: float
) -> None:
    asked = approval(state, decision, tool_input=tool_input, requesters=("U0ADA",) * 30, **about)
    assert_slack_takes(cards.card(asked, scale=scale))


@pytest.mark.parametrize("number", [1, 3, 12, 13, 60, 1_000])
@pytest.mark.parametrize("state", [State.PENDING, State.FAILED])
def test_the_largest_card_of_all_keeps_every_limit(number: int, state: State) -> None:
    tool_input = {f"{n:<10}" * 12: "&" * 10_000 for n in range(number)}
    decision = Decision(approve=False, reason="&" * 5_000, user_id="U0GRACE", decided_at=NOON)
    about = {"tool_name": "&" * 500, "words": "&" * 10_000, "note": "&" * 5_000, "environment": "&" * 500}
    asked = approval(state, decision, tool_input=tool_input, requesters=("U0123456789",) * 30, **about)
    assert_slack_takes(cards.card(asked))


@given(tool_input=INPUTS)
def test_every_argument_is_named_on_the_card(tool_input: dict[str, Any]) -> None:
    shown = "\n".join(words(cards.card(calling(tool_input)).blocks))
    for name in tool_input:
        written = visible(name).replace("\n", "\\n").replace("\t", "\\t")
        assert (written or '""')[:30] in shown


@given(tool_input=INPUTS, diffs=st.lists(VALUES, max_size=3))
def test_the_details_of_any_input_keep_every_limit(tool_input: dict[str, Any], diffs: list[Any]) -> None:
    view = modals.details(calling(tool_input, diffs=tuple(diffs)))
    assert problems("modal", view) == []
    assert witness.view_problems(view) == []


@given(text=TEXTS, status=st.sampled_from(["queued", "away", "retrying", "delivered", "failed", "dropped"]))
def test_the_messages_of_a_thread_keep_every_limit(text: str, status: str) -> None:
    assert_slack_takes(posts.root(message(text=text)))
    assert_slack_takes(posts.status(message(status, note=text)))


@given(text=TEXTS.filter(lambda text: bool(text.strip())))
def test_a_reply_of_any_words_keeps_every_limit(text: str) -> None:
    part = text[: posts.REPLY_LIMIT]
    assert_slack_takes(posts.reply(part))
    assert len(posts.literal(part)) <= 40_000


@given(text=TEXTS)
def test_nothing_unseen_is_left_in_what_is_visible(text: str) -> None:
    shown = visible(text)
    unseen = {"Cc", "Cf", "Cs", "Zl", "Zp"}
    assert {one for one in shown if unicodedata.category(one) in unseen} - set(SEEN) == set()
    assert visible(shown) == shown


def test_a_pending_card_has_a_button_for_every_answer() -> None:
    assert actions(approval()) == ["approve", "deny", "deny_reason", "edit", "details", "more"]


def test_an_expired_card_can_be_asked_again_and_nothing_else() -> None:
    assert actions(approval(State.EXPIRED)) == ["ask_again"]


BUTTONLESS = [state for state in State if state not in (State.PENDING, State.FAILED, State.EXPIRED)]


@pytest.mark.parametrize("state", BUTTONLESS)
def test_no_other_card_has_a_button(state: State) -> None:
    assert actions(approval(state, APPROVED)) == []


def test_a_failed_card_can_be_retried_and_nothing_else() -> None:
    assert actions(approval(State.FAILED, APPROVED, note="refused")) == ["retry"]


SAYS = [
    (State.PENDING, None, ["approval needed"]),
    (State.DECIDED, APPROVED, ["approved, being delivered", "Approved by <@U0GRACE>", "Delivering…"]),
    (State.DELIVERED, APPROVED, ["Approved by <@U0GRACE>", "Delivered."]),
    (State.DELIVERED, DENIED, ["Denied by <@U0GRACE>", "Delivered."]),
    (State.FAILED, APPROVED, ["Approved by <@U0GRACE>", "*not delivered*: the reason why"]),
    (State.WITHDRAWN, None, ["asks no longer", "nothing was decided here"]),
    (State.WITHDRAWN, APPROVED, ["Approved by <@U0GRACE>", "*not delivered*"]),
    (State.SUPERSEDED, None, ["asks anew, on another card", "nothing was decided here"]),
    (State.SUPERSEDED, APPROVED, ["Approved by <@U0GRACE>", "asked anew, on another card"]),
    (State.DECIDED_ELSEWHERE, None, ["Somebody answered outside Slack."]),
    (State.DECIDED_ELSEWHERE, DENIED, ["Denied by <@U0GRACE>", "answered first", "*not delivered*"]),
    (State.EXPIRED, None, ["expired, nobody answered", "Nothing was sent: the agent still waits"]),
    (State.UNCONFIRMED, APPROVED, ["Approved by <@U0GRACE>", "not confirmed", "nothing shows that"]),
]


@pytest.mark.parametrize(("state", "decision", "said"), SAYS)
def test_each_state_is_said_and_the_question_kept(
    state: State, decision: Decision | None, said: list[str]
) -> None:
    note = "the reason why" if state is State.FAILED else ""
    shown = "\n".join(words(cards.card(approval(state, decision, note=note)).blocks))
    assert [sentence for sentence in [*said, "make release"] if sentence not in shown] == []


@pytest.mark.parametrize("state", [state for state in State if state is not State.PENDING])
def test_what_came_of_it_stands_right_below_the_header(state: State) -> None:
    ran = replace(DENIED, returned=Returned(success=True, output="released 1.2"))
    blocks = cards.card(approval(state, ran, note="n", ask=Ask(risk=Risk.HIGH))).blocks
    told = [" ".join(words(block)) for block in blocks]
    assert [block["type"] for block in blocks[:2]] == ["header", "section"]
    assert "released 1.2" in told[2] and "High risk" in told[3]
    assert told.index("command make release") > 3


@pytest.mark.parametrize("state", [state for state in State if state is not State.DELIVERED])
def test_delivered_is_said_of_nothing_else(state: State) -> None:
    decision = None if state is State.PENDING else APPROVED
    shown = "\n".join(words(cards.card(approval(state, decision, note="n")).blocks))
    assert "Delivered" not in shown


def test_a_reason_in_words_is_on_the_card_and_a_wordless_one_is_not() -> None:
    spoken = Decision(approve=False, reason="Not on a <Friday>", user_id="U0GRACE", decided_at=NOON)
    assert "Not on a &lt;Friday&gt;" in words(cards.card(approval(State.DELIVERED, spoken)).blocks)[1]
    assert "grace in Slack" not in str(cards.card(approval(State.DELIVERED, DENIED)).blocks)


def test_one_of_several_calls_says_what_the_agent_goes_on_for() -> None:
    shown = words(cards.card(approval(State.DECIDED, APPROVED), one_of_several=True).blocks)[1]
    assert "Delivering… The agent goes on when all calls of its turn are decided." in shown
    late = approval(State.DECIDED, APPROVED, note="the environment is offline")
    assert "goes on" not in words(cards.card(late, one_of_several=True).blocks)[1]
    alone = cards.card(approval(State.DECIDED, APPROVED)).blocks
    assert "goes on" not in words(alone)[1]


def test_what_a_rule_denied_is_said_in_one_form_wherever_it_is_told() -> None:
    by_rule = replace(DENIED, user_id="", rule="careful", reason="Denied by the rule careful.")
    denied = approval(State.DELIVERED, by_rule)
    on_card = words(cards.card(denied).blocks)[1]
    assert on_card.startswith(":no_entry: Denied by the rule `careful` at <!date^")
    assert on_card.count("Denied by the rule") == 1
    listed = home_blocks.approvals_list(Contents(recent=[Row(denied, "")]))
    assert "Denied by the rule `careful` at <!date^" in str(listed.blocks)
    assert "denied by the rule `careful` at <!date^" in sentences.not_pending(denied)
    assert "Denied by the rule `careful` at <!date^" in reminders.called_off(denied, "").text


def test_one_left_out_is_one() -> None:
    shown = "\n".join(words(list(cards._not_shown(approval(), arguments.shown(approval()), 1, 0))))
    assert "1 character is left out above" in shown


def test_a_decision_on_its_way_says_what_is_in_its_way() -> None:
    shown = words(cards.card(approval(State.DECIDED, APPROVED, note="the environment is offline")).blocks)[1]
    assert "*Not delivered yet:* the environment is offline. I keep trying." in shown


def test_block_ids_are_new_with_every_revision() -> None:
    first, second = (cards.card(approval(revision=number)).blocks for number in (1, 2))
    assert {block["block_id"] for block in first} & {block["block_id"] for block in second} == set()


def test_a_card_without_a_button_promises_no_details() -> None:
    asked = approval(State.DELIVERED, APPROVED, tool_input={"content": "x" * 9_000}, diffs=({"a": 1},))
    assert "Details" not in "\n".join(words(cards.card(asked).blocks))


def test_both_ends_of_a_long_argument_are_shown() -> None:
    [shown] = [
        text
        for text in words(cards.card(calling({"command": "A" + "x" * 9_000 + "Z"})).blocks)
        if "x" in text and len(text) > 100
    ]
    assert shown.startswith("Ax")
    assert shown.endswith("xZ")


def test_arguments_that_differ_in_an_unseen_character_look_different() -> None:
    plain, hidden = (words(cards.card(calling({"command": text})).blocks) for text in ("rm a", "rm\u200b a"))
    assert plain != hidden


def test_a_name_with_a_line_break_cannot_pretend_to_be_two_arguments() -> None:
    shown = words(cards.card(calling({"path\nsafe": "yes"})).blocks)
    assert "path\\nsafe" in shown


def test_too_many_arguments_are_counted() -> None:
    shown = "\n".join(words(cards.card(calling({f"name_{n}" * 5: n for n in range(2_000)})).blocks))
    assert "1,989 more arguments" in shown
    assert "… and 1,9" in shown


def test_the_agent_and_the_conversation_are_in_the_details_and_not_on_the_card() -> None:
    asked = approval(agent_id="agent-7", conversation_id="conv-`3`")
    card, details = str(cards.card(asked).blocks), words(modals.details(asked)["blocks"])[0]
    assert "environment *workshop*" in card
    assert [one for one in ("agent-7", "conv-") if one in card] == []
    assert "environment *workshop* · agent `agent-7` · conversation `conv-'3'`" in details


def test_details_of_many_arguments_still_hold_them_all() -> None:
    given_input = {f"name_{n}": f"value_{n}" for n in range(1_000)}
    shown = "".join(words(modals.details(calling(given_input))["blocks"]))
    assert [name for name in given_input if name not in shown] == []


def test_a_card_whose_texts_were_removed_says_so_and_shows_no_fact_as_not_given() -> None:
    ask = Ask(facts=(Fact("Host", "host"),))
    found = str(cards.card(approval(State.DELIVERED, APPROVED, tool_input={}, removed=True, ask=ask)).blocks)
    assert "no longer kept" in found
    assert "not given" not in found


@pytest.mark.parametrize("sent", [True, False])
def test_a_decision_that_was_given_up_is_not_said_to_be_delivered_nor_withdrawn_by_the_agent(
    *, sent: bool
) -> None:
    state = State.UNCONFIRMED if sent else State.WITHDRAWN
    found = cards.card(approval(state, APPROVED, note=DROPPED, sent=sent))
    said = str(found.blocks)
    assert "given up by the operator of relay" in said
    assert "Delivered." not in said and "stopped asking" not in said and "asks no longer" not in said
    assert ("not confirmed" if sent else "not delivered") in found.text
