"""Edits of files as unified diffs: exact, counted, cut with the truth about it, and without secrets."""

import json
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from relay.slack import cards, diffs
from tests.slack.asked import approval, calling
from tests.slack.printed import DIFF, lines

RECORDED = Path(__file__).parents[1] / "recorded" / "write_with_diff.jsonl"
LINES = st.lists(
    st.fixed_dictionaries(
        {"type": st.sampled_from(["add", "remove", "context"]), "content": st.text(max_size=40)}
    ),
    max_size=60,
)


def hunk(*contents: str, kind: str = "add") -> dict[str, Any]:
    return {"fileName": "a.txt", "hunks": [{"lines": [{"type": kind, "content": one} for one in contents]}]}


def shown(*found: Any, tool_input: dict[str, Any] | None = None, **changed: Any) -> str:
    asked = calling(tool_input or {"file_path": "a.txt"}, diffs=found, **changed)
    return "\n".join(lines(cards.card(asked).blocks))


def test_a_recorded_edit_is_shown_with_its_file_and_counts() -> None:
    frames = (json.loads(line) for line in RECORDED.read_text(encoding="utf-8").splitlines())
    [asked] = [frame["request"] for frame in frames if frame["type"] == "control_request"]
    [change] = diffs.changes(asked["diffs"])
    assert (change.name, change.counts, change.text) == ("new.txt", "+1 −0", "@@ -1,0 +1,1 @@\n+hello world")


def test_added_removed_and_kept_lines_have_their_signs() -> None:
    [change] = diffs.changes([DIFF])
    signs = [line[0] for line in change.text.split("\n")]
    assert (signs, change.counts) == (["@", " ", "-", "+", "+"], "+2 −1")


def test_the_arguments_that_a_diff_repeats_are_named_and_not_shown_twice() -> None:
    told = shown(hunk("new words"), tool_input={"file_path": "a.txt", "content": "new words"})
    assert told.count("new words") == 1
    assert told.count("a.txt") == 1
    assert "`content`: see the diff" in told


def test_a_path_is_shown_where_the_heading_of_the_diff_is_another() -> None:
    for path in ("/etc/a.txt", "a.txt\u200b", "TOKEN=abcdef1", "a" * 300):
        told = shown(hunk("x"), tool_input={"file_path": path})
        assert "file_path" in told
    assert "file_path" in shown(hunk("x"), hunk("y"))
    assert "file_path" in shown(hunk("x"), edited_input={"file_path": "a.txt", "force": True})
    assert "without arguments" not in shown(hunk("x"))


def test_the_arguments_are_shown_when_a_diff_shows_no_line_or_is_of_a_shape_unknown() -> None:
    for odd in ({"mode": "unpreviewable", "reason": "binary"}, {"fileName": "a", "hunks": []}, 7, None):
        assert "the new words" in shown(odd, tool_input={"content": "the new words"})


def test_an_unknown_shape_is_shown_as_it_came() -> None:
    assert '{"mode": "odd", "n": [1]}' in shown({"mode": "odd", "n": [1]})


def test_a_changed_input_is_not_hidden_behind_the_diff_of_the_old_one() -> None:
    told = shown(
        hunk("new words"), tool_input={"content": "new words"}, edited_input={"content": "other words"}
    )
    assert "other words" in told
    assert "not the changed one" in told


def test_the_secrets_of_a_diff_are_masked_though_they_stand_over_several_lines() -> None:
    key = ["-----BEGIN PRIVATE KEY-----", *["Ab3" * 21] * 5, "-----END PRIVATE KEY-----"]
    told = shown(hunk("begin", *key, "TOKEN=abcdef1", "end"))
    assert "+begin\n  +‹secret 1: private key, 379 characters›\n  +TOKEN=‹secret 2: token›\n  +end" in told
    assert "2 secrets are masked" in told


def test_a_line_break_within_a_line_makes_no_line_of_another_kind() -> None:
    [change] = diffs.changes([hunk("a\n-b")])
    assert change.text == "+a\n+-b"


def test_a_long_diff_says_how_many_lines_it_leaves_out() -> None:
    told = shown(hunk(*(f"line {number}" for number in range(5_000))))
    [said] = [line for line in told.split("\n") if line.startswith(":scissors:")]
    kept = sum(line.strip().startswith("+line ") for line in told.split("\n"))
    assert f"{5_000 - kept:,} lines of the diff are left out above; *Details* shows everything" in said
    assert ("+line 0\n" in told, "+line 4999" in told) == (True, True)


@given(found=LINES, room=st.integers(200, 3_000))
def test_what_is_cut_fits_and_counts_what_is_missing(found: list[dict[str, str]], room: int) -> None:
    text = "\n".join(one["content"].replace("\n", "") for one in found)
    short, left_out = diffs.cut(text, room)
    marks = [line for line in short.split("\n") if "lines left out" in line]
    assert len(short) <= room
    assert len(short.split("\n")) - len(marks) == len(text.split("\n")) - left_out


def test_many_files_share_the_room_and_the_rest_are_counted() -> None:
    many = [{**hunk("x" * 30, "y"), "fileName": f"file_{number}.txt"} for number in range(20)]
    told = "\n".join(lines(cards.card(approval(diffs=tuple(many))).blocks))
    assert "file_7.txt" in told
    assert "12 more files change" in told
