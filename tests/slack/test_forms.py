"""Forms as pure views: within Slack's limits for every input, every type kept, no secret in them."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.domain.approvals import Approval
from relay.domain.rules import Ask, Risk
from relay.slack.forms import over
from relay.slack.forms.fields import Meant, UnfitError
from relay.slack.forms.kinds import FORMS
from relay.slack.forms.values import Kind, entries, read
from tests.slack.asked import calling
from tests.witnesses import slack as witness

MEANT = Meant(approval_id="apr_1", tool_call_id="call_1", shown_hash="h" * 32, channel_id="C0OPS")
ODD: dict[str, dict[str, Any]] = {
    "nothing": {},
    "a name of nothing": {"": {"a": 1}},
    "a name of blanks": {"  ": "x", "\n": "y"},
    "characters not seen": {"command": "rm \u202egnp.exe\u200b \x00 \U000e0041"},
    "half a character": {"command": "a \ud800 b"},
    "carriage returns": {"text": "one\r\ntwo"},
    "numbers of all sizes": {"big": 10**30, "tiny": 1e-300, "half": 0.5, "whole": 7, "minus": -3},
    "nested and nothing": {"list": [1, {"a": None}], "none": None, "text": ""},
    "3000 characters": {"content": "z" * 3000},
    "3001 characters": {"content": "z" * 3001},
    "sixty long ones": {f"a{number}": "\u4e00" * 2900 for number in range(60)},
    "sixty short ones": {f"a{number}": number for number in range(60)},
    "secrets": {"token": "ghp_16C7e42F292c6912E7710c838347Ae178B4a", "pin": 1, "password": 123456},
}


def of(tool_input: dict[str, Any], **ask: Any) -> Approval:
    """Return a request for a tool with this input."""
    return calling(tool_input, ask=Ask(**ask))


def begun_with(view: dict[str, Any]) -> dict[str, str]:
    """Return what a view's inputs begin with, as Slack hands it in when nobody changes anything."""
    found = {}
    for block in view["blocks"]:
        element = block.get("element", {})
        first = element.get("initial_option") or {}
        if block["type"] == "input":
            found[block["block_id"]] = element.get("initial_value") or first.get("value") or ""
    return found


@pytest.mark.parametrize("which", ODD)
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("votes", [True, False])
def test_a_form_is_within_slacks_limits_whatever_the_input(form: str, which: str, votes: bool) -> None:
    view = FORMS[form].view(of(ODD[which], risk=Risk.HIGH, quick_reasons=("x" * 75,) * 5), MEANT, votes)
    assert witness.view_problems(view) == []
    assert len(view.get("private_metadata", "")) <= 3000
    assert len(json.dumps(view)) <= 250_000


@pytest.mark.parametrize("which", ODD)
def test_an_untouched_edit_changes_nothing(which: str) -> None:
    approval = of(ODD[which])
    filled = begun_with(FORMS["edit"].view(approval, MEANT, True))
    if filled.keys() - {"words"}:
        with pytest.raises(UnfitError, match="value-"):
            FORMS["edit"].read(approval, filled)


def test_a_command_is_no_field_to_leave_out_and_another_text_may_be_empty() -> None:
    view = FORMS["edit"].view(of({"command": "make", "title": "x", "n": 1, "script": ""}), MEANT, True)
    fields = {one["label"]["text"]: one for one in view["blocks"] if one["type"] == "input"}
    optional = [name for name, one in fields.items() if one.get("optional")]
    hinted = [name for name, one in fields.items() if "empty text" in str(one.get("hint"))]
    assert optional == ["title", "script", "Comment"]
    assert hinted == ["title", "script"]


def test_no_empty_text_is_promised_where_a_number_belongs() -> None:
    view = FORMS["edit"].view(of({"password": 123456}), MEANT, False)
    assert "empty text" not in str(view)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=8), json_values, max_size=5))
def test_what_a_field_begins_with_stands_for_the_value_itself(tool_input: dict[str, Any]) -> None:
    for entry in entries(tool_input):
        if entry.kind is not Kind.FIXED:
            assert read(entry, entry.shown, tool_input) is entry.original


@given(st.dictionaries(st.text(max_size=8), json_values, min_size=1, max_size=5), st.text(max_size=30))
def test_whatever_is_entered_the_type_stays(tool_input: dict[str, Any], typed: str) -> None:
    for entry in entries(tool_input):
        try:
            value = read(entry, typed, tool_input)
        except ValueError:
            continue
        assert entry.original is None or type(value) is type(entry.original)


@pytest.mark.parametrize(
    ("original", "typed", "words"),
    [
        ([1], '{"a": 1}', "has to stay a list"),
        ({"a": 1}, '{"a": 1, "a": 2}', "stands there twice"),
        ({"a": 1}, '{"a": NaN}', "no number in JSON"),
        ({"a": 1}, '{\n"a" 1}', "Line 2, column 5"),
        ({"a": 1}, "[" * 2999, "Line 1|nested too deep"),
        (10**30, "1.5", "whole number"),
        (3, "three", "has to be a number"),
    ],
)
def test_what_makes_no_value_is_refused_in_words(original: Any, typed: str, words: str) -> None:
    [entry] = entries({"value": original})
    with pytest.raises(ValueError, match=words):
        read(entry, typed, {"value": original})


def test_a_number_that_is_a_secret_stays_a_number() -> None:
    tool_input = {"password": 123456}
    [entry] = entries(tool_input)
    assert "123456" not in entry.shown
    assert read(entry, "654321", tool_input) == 654321


def test_what_was_typed_into_a_whole_form_is_shown_within_slacks_limits() -> None:
    view = FORMS["edit"].view(of({f"a{number}": "x" for number in range(40)}), MEANT, True)
    typed = over.typed(view["blocks"], dict.fromkeys(begun_with(view), "\u4e00" * 3000))
    refused = over.view("Too late.", typed)
    assert witness.view_problems(refused) == []
    assert len(json.dumps(refused)) <= 250_000
