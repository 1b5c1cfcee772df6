"""The limits of modals, as the stand-in Slack keeps them."""

from typing import Any

import pytest

from relay.sandbox.slack import problems
from tests.sandbox.test_fake_slack_views import AB, Json, actions, asks, modal, option, words

CONFIRM = {"title": words("t"), "text": words("x"), "confirm": words("y"), "deny": words("n")}


def confirmed(**more: Any) -> Json:
    return actions("button", text=words("Go"), confirm=CONFIRM | more)


@pytest.mark.parametrize(
    ("view", "problem"),
    [
        (modal(title=words("t" * 25)), "less than 25"),
        (modal(submit=words("t" * 25)), "less than 25"),
        (modal(close=words("t" * 25)), "less than 25"),
        (modal(private_metadata="m" * 3001), "less than 3001"),
        (modal(callback_id="m" * 256), "less than 256"),
        (modal(*[{"type": "divider"}] * 101), "no more than 100"),
        (modal(asks(), submit=None), "missing required field: submit"),
        (modal(asks() | {"label": words("l" * 2001)}), "less than 2001"),
        (modal(asks() | {"label": {"type": "mrkdwn", "text": "l"}}), "plain_text"),
        (modal(asks() | {"hint": words("l" * 2001)}), "less than 2001"),
        (modal(asks(placeholder=words("p" * 151))), "less than 151"),
        (modal(asks(initial_value="v" * 3001)), "less than 3001"),
        (modal(asks(max_length=3001)), "less than 3001"),
        (modal(asks(min_length=6, max_length=5)), "max_length"),
        (modal(asks("number_input")), "is_decimal_allowed"),
        (modal(asks("static_select")), "missing required field: options"),
        (modal(asks("static_select", options=[])), "no fewer than 1"),
        (modal(asks("static_select", options=[option(str(n)) for n in range(101)])), "no more than 100"),
        (modal(asks("static_select", options=[option("v" * 151)])), "less than 151"),
        (modal(asks("static_select", options=[option("v") | {"text": words("t" * 76)}])), "less than 76"),
        (modal(asks("static_select", **AB, initial_option=option("c"))), "one of the provided"),
        (modal(asks("checkboxes", **AB, initial_options=[option("c")])), "one of the provided"),
        (modal(asks("radio_buttons", options=[option(str(n)) for n in range(11)])), "no more than 10"),
        (modal(actions("overflow", options=[])), "no fewer than 1"),
        (modal(actions("overflow", options=[option(str(n)) for n in range(6)])), "no more than 5"),
        (modal(actions("number_input", is_decimal_allowed=True)), "unsupported type"),
        (modal(confirmed(title=words("t" * 101))), "less than 101"),
        (modal(confirmed(text=words("t" * 301))), "less than 301"),
        (modal(confirmed(confirm=words("t" * 31))), "less than 31"),
        (modal(confirmed(deny=words("t" * 31))), "less than 31"),
        (modal({"type": "markdown", "text": "m"}), "unsupported type: markdown"),
    ],
)
def test_a_limit_of_modals_is_named(view: Json, problem: str) -> None:
    assert any(problem in found for found in problems("modal", view))


@pytest.mark.parametrize(
    "view",
    [
        modal(title=words("t" * 24), private_metadata="m" * 3000, callback_id="m" * 255),
        modal(asks(initial_value="v" * 3000, placeholder=words("p" * 150), max_length=3000)),
        modal(
            asks("static_select", options=[option(f"{n:0150}") | {"text": words("t")} for n in range(100)])
        ),
        modal(asks("static_select", option_groups=[{"label": words("g"), **AB}], initial_option=option("a"))),
        modal(asks("checkboxes", options=[option("a") | {"text": {"type": "mrkdwn", "text": "*a*"}}])),
        modal(
            actions("overflow", options=[option("a")]), confirmed(text=words("t" * 300)) | {"block_id": "c"}
        ),
        modal(asks("number_input", is_decimal_allowed=False), asks("datetimepicker", "c")),
    ],
)
def test_what_is_within_the_limits_is_taken(view: Json) -> None:
    assert problems("modal", view) == []
