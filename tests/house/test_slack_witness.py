"""The witness of Slack bodies passes what Slack takes and names what Slack refuses."""

from typing import Any

import pytest

from tests.witnesses.slack import problems, view_problems

Body = dict[str, Any]


def plain(text: str) -> Body:
    return {"type": "plain_text", "text": text}


def button(**changes: object) -> Body:
    return {"type": "button", "action_id": "approve", "text": plain("Approve"), "value": "{}", **changes}


def actions(*elements: Body) -> Body:
    return {"type": "actions", "block_id": "decide", "elements": list(elements)}


def section(text: str) -> Body:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}


def modal(**changes: object) -> Body:
    return {
        "type": "modal",
        "callback_id": "details",
        "title": plain("Details"),
        "blocks": [section("all")],
        **changes,
    }


GOOD_BLOCKS = [
    {"type": "header", "text": plain("Run Bash?")},
    section("*Bash* wants to run"),
    {"type": "section", "fields": [{"type": "mrkdwn", "text": "*Who*"}, plain("Ada")]},
    {"type": "context", "elements": [{"type": "mrkdwn", "text": "asked by <@U1>"}]},
    {"type": "divider"},
    {"type": "markdown", "text": "# words"},
    {
        "type": "rich_text",
        "elements": [{"type": "rich_text_preformatted", "elements": [{"type": "text", "text": "rm -rf /"}]}],
    },
    actions(button(style="primary"), button(action_id="deny", style="danger", text=plain("Deny"))),
    actions(
        button(
            confirm={
                "title": plain("Sure?"),
                "text": plain("It runs."),
                "confirm": plain("Yes"),
                "deny": plain("No"),
            }
        )
    ),
    {"type": "alert", "text": plain("offline"), "level": "warning"},
    {"type": "image", "image_url": "https://example.com/a.png", "alt_text": "a"},
]

BAD_BLOCKS: dict[str, tuple[Body, str]] = {
    "unknown type": ({"type": "shout", "text": "x"}, "shout"),
    "no type": ({"text": "x"}, "None"),
    "unknown key": ({**section("x"), "colour": "red"}, "colour"),
    "section over 3000": (section("x" * 3001), "3000"),
    "empty text": (section(""), "text: "),
    "no text": ({"type": "section"}, "text or field"),
    "field over 2000": ({"type": "section", "fields": [plain("x" * 2001)]}, "fields"),
    "eleven fields": ({"type": "section", "fields": [plain("x")] * 11}, "fields"),
    "header over 150": ({"type": "header", "text": plain("x" * 151)}, "150"),
    "header in mrkdwn": ({"type": "header", "text": {"type": "mrkdwn", "text": "x"}}, "plain_text"),
    "markdown over 12000": ({"type": "markdown", "text": "x" * 12_001}, "too long"),
    "button text over 75": (actions(button(text=plain("x" * 76))), "75"),
    "button value over 2000": (actions(button(value="x" * 2001)), "2000"),
    "button value no string": (actions(button(value={"approval_id": "apr_1"})), "elements.0.value"),
    "action id over 255": (actions(button(action_id="x" * 256)), "255"),
    "unknown style": (actions(button(style="warning")), "style"),
    "26 buttons": (actions(*[button(action_id=f"a{n}") for n in range(26)]), "25"),
    "11 in context": ({"type": "context", "elements": [plain("x")] * 11}, "10"),
    "block id over 255": ({**section("x"), "block_id": "x" * 256}, "255"),
}


@pytest.mark.parametrize("block", GOOD_BLOCKS, ids=lambda block: str(block["type"]))
def test_a_block_slack_takes_has_no_problem(block: Body) -> None:
    assert problems([block]) == []


@pytest.mark.parametrize("name", BAD_BLOCKS)
def test_a_block_slack_refuses_has_a_problem(name: str) -> None:
    block, reason = BAD_BLOCKS[name]
    said = problems([section("good"), block])
    assert any(reason in words for words in said), said
    assert all(words.startswith("block 1: ") for words in said)


def test_a_message_has_at_most_50_blocks() -> None:
    assert problems([{"type": "divider"}] * 50) == []
    assert problems([{"type": "divider"}] * 51) == ["51 blocks, at most 50"]


def test_a_body_is_left_as_it_was() -> None:
    block = actions(button())
    problems([block])
    assert block == actions(button())


def test_a_modal_slack_takes_has_no_problem() -> None:
    asked = {
        "type": "input",
        "block_id": "reason",
        "label": plain("Reason"),
        "element": {"type": "plain_text_input", "action_id": "reason", "multiline": True, "max_length": 3000},
    }
    assert (
        view_problems(modal(blocks=[asked], submit=plain("Deny"), close=plain("Back"), private_metadata="{}"))
        == []
    )


def test_a_home_tab_slack_takes_has_no_problem() -> None:
    assert view_problems({"type": "home", "blocks": [section("Nothing waits.")]}) == []


@pytest.mark.parametrize(
    "view",
    [
        modal(title=plain("x" * 25)),
        modal(submit=plain("x" * 25)),
        modal(private_metadata="x" * 3001),
        modal(callback_id="x" * 256),
        modal(blocks=[section("x")] * 101),
        modal(blocks=[{"type": "shout"}]),
        modal(blocks=None),
        modal(colour="red"),
        {"type": "modal", "blocks": [section("no title")]},
        {"type": "page", "blocks": []},
        {"type": "home", "title": plain("x"), "blocks": [section("x")]},
    ],
    ids=lambda view: "-".join(view),
)
def test_a_view_slack_refuses_has_a_problem(view: Body) -> None:
    assert view_problems(view)
