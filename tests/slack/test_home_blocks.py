"""The Home tab, the lists and the help as a person reads them: within Slack's limits, in clear parts."""

from dataclasses import replace
from datetime import timedelta

import pytest

from relay.domain.grants import Grant
from relay.domain.policy import Reason
from relay.sandbox.slack.limits import characters
from relay.slack import grant_blocks, home_blocks, sentences
from relay.slack.home_blocks import HOME, LIST, Contents, Held, Room, Row
from relay.use_cases.whisper import Sentence
from tests.slack.asked import NOON, approval
from tests.witnesses import slack as witness

SOON = NOON + timedelta(hours=1)
GRANT = Grant(
    *("grt_1", "T0HOME", "workshop", "agent-1", "default", "Bash", "0123", {}, "build", "apr_0190"),
    *("U0GRACE", NOON, SOON, 3, 20),
)


def full(room: Room) -> Contents:
    """Return as much as there is room for, and more."""
    row = Row(approval(code="K7QF", tool_input={"command": "&" * 900}, tool_name="&" * 90), "https://s/p1")
    return Contents(
        yours=[row] * room.yours, yours_more=3, others=[row] * room.others, others_more=3, unsure=1,
        recent=[row] * room.recent, grants=[Held(GRANT, approval())] * (room.grants + 1),
    )  # fmt: skip


def test_a_full_tab_keeps_slacks_limits() -> None:
    view = home_blocks.home(full(HOME), "U0GRACE")
    assert witness.view_problems(view) == []
    assert len(view["blocks"]) == 98


def test_a_full_list_keeps_slacks_limits() -> None:
    blocks = home_blocks.approvals_list(full(LIST)).blocks
    assert witness.problems(blocks) == []
    assert characters(blocks) < 13_000


@pytest.mark.parametrize("contents", [Contents(), full(LIST)])
def test_lines_stand_between_the_parts_and_nowhere_else(contents: Contents) -> None:
    kinds = [one["type"] for one in home_blocks.home(contents, "U0GRACE")["blocks"]]
    assert (kinds.count("divider"), kinds.count("header")) == (3, 4)
    assert all(kinds[at + 1] == "header" for at, kind in enumerate(kinds) if kind == "divider")


@pytest.mark.parametrize(
    ("tool", "shown"),
    [("Bash", "*Bash*"), ("a`b\n*c", "*a'b \N{ASTERISK OPERATOR}c*"), ("<!here>", "*&lt;!here&gt;*")],
)
def test_a_row_has_its_tool_in_bold_and_its_code_as_code(tool: str, shown: str) -> None:
    row = Row(approval(tool_name=tool, code="K7QF"), "")
    text = home_blocks.approvals_list(Contents(yours=[row])).blocks[1]["text"]["text"]
    assert text.startswith(f"{shown} `K7QF` · asked for by <@U0ADA>")
    assert text.endswith("\n`make release`")


def test_an_empty_command_is_said_to_be_empty() -> None:
    row = Row(approval(tool_input={"command": " "}), "")
    text = home_blocks.approvals_list(Contents(yours=[row])).blocks[1]["text"]["text"]
    assert text.endswith("\n(empty)")


def test_one_grant_is_one_and_a_guest_sees_nothing() -> None:
    assert home_blocks.grants_list(Contents(grants=[Held(GRANT, None)])).text == "1 grant"
    assert home_blocks.grants_list(Contents()).text == "0 grants"
    assert "used 3 of 20 times" in grant_blocks.terms(GRANT)
    view = home_blocks.home(Contents(refused=Reason.GUEST), "U0GUEST")
    assert view["blocks"][0]["text"]["text"] == "Guests see nothing here."


def test_a_day_has_no_at_before_it() -> None:
    revoked = grant_blocks.terms(replace(GRANT, revoked_at=NOON, revoked_by="U0GRACE"))
    assert "revoked by <@U0GRACE> <!date^" in revoked
    snoozed = approval(snoozed_until=NOON, snoozed_by="U0GRACE", expires_at=SOON)
    assert "It ends <!date^" in sentences.whispered(Sentence.SNOOZED, {}, snoozed)


def test_the_help_begins_with_the_card_and_has_a_line_for_each_command() -> None:
    first, *rest = sentences.help_text("/ops", "a<b").split("\n")
    assert "*Approve* and *Deny*" in first
    assert rest[0].startswith("`/ops your message` sends it to the agent in *a&lt;b*")
    assert [one for one in rest if not one.startswith("`/ops ") or len(one) > 110] == []
    named = ("approve CODE", "deny CODE why", "stop", "approvals", "grants", "status", "help")
    assert [one for one in named if not any(line.startswith(f"`/ops {one}` ") for line in rest)] == []
