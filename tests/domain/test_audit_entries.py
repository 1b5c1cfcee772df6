"""Entries and anchors as they are written elsewhere and read again, and what is wrong in words."""

import hmac
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from relay.domain.audit import (
    PRUNED,
    Anchor,
    Entry,
    Keys,
    anchors_in,
    derived_key,
    is_right,
    is_same,
    key_id,
    signed_text,
)
from relay.domain.canonical import canonical_json
from relay.domain.verification import Problem, Wrong

AT = datetime(2026, 11, 21, 12, 0, 0, 7, tzinfo=UTC)
ENTRY = Entry("chn_1", 2, AT, "T0", "vote.given", "U1", "apr_1", {"approve": True}, "00ff")
WRITTEN = {
    "chain": "chn_1",
    "number": 2,
    "at": "2026-11-21T12:00:00.000007+00:00",
    "team_id": "T0",
    "action": "vote.given",
    "actor": "U1",
    "subject_id": "apr_1",
    "facts": {"approve": True},
    "mac": "00ff",
}


def keys() -> Keys:
    """Keys that are made within a test, where a mutant is under way."""
    return Keys((b"first", b"between", b"last"))


def test_an_entry_is_written_and_read_again_whole() -> None:
    assert ENTRY.written() == WRITTEN
    assert Entry.read(WRITTEN) == ENTRY


def test_a_base_stands_where_what_it_replaced_stood() -> None:
    assert ENTRY.anchor == Anchor("chn_1", 2, "00ff")
    assert replace(ENTRY, action=PRUNED, facts={"mac": "77"}).anchor == Anchor("chn_1", 2, "77")


ANCHOR = {"chain": "chn_1", "number": 2, "mac": "00ff"}


@pytest.mark.parametrize("name", ["event", "action"])
def test_anchors_are_read_from_a_log_and_from_an_export(name: str) -> None:
    lines = [{name: "audit.anchor", **ANCHOR}, {name: "other", **ANCHOR}, {"level": "audit.anchor", **ANCHOR}]
    assert list(anchors_in(lines)) == [Anchor("chn_1", 2, "00ff")]


@pytest.mark.parametrize(
    "broken", [{"chain": "chn_1"}, {**ANCHOR, "number": "two"}, {**ANCHOR, "number": None}]
)
def test_what_is_no_anchor_is_passed_over(broken: dict[str, object]) -> None:
    lines = [{"event": "audit.anchor", **one} for one in (broken, ANCHOR)]
    assert list(anchors_in(lines)) == [Anchor("chn_1", 2, "00ff")]


def test_an_entry_is_right_behind_the_one_it_was_signed_behind_with_the_key_that_signed_it() -> None:
    text = signed_text(
        ENTRY.anchor, AT, "T0", ("vote.given", "U1", "apr_1"), canonical_json({"approve": True})
    )
    assert text == (
        '["chn_1",2,"2026-11-21T12:00:00.000007+00:00","T0","vote.given","U1","apr_1",{"approve":true}]'
    )
    signed = replace(ENTRY, mac=keys().sign("before", text))
    assert signed.mac == hmac.digest(b"first", f"before{text}".encode(), "sha256").hex()[:32]
    assert is_right(signed, "before", b"first")
    assert not is_right(signed, "other", b"first")
    assert not is_right(signed, "before", b"last")
    assert not is_right(replace(signed, actor="U2"), "before", b"first")


def test_the_first_key_signs_and_the_last_is_the_weak_one() -> None:
    known = keys()
    assert (known.id, known.weak_id) == (key_id(b"first"), key_id(b"last"))
    assert known.by_id == {key_id(one): one for one in (b"first", b"between", b"last")}
    assert key_id(b"first") == "daa885fe"


def test_half_a_letter_is_signed_and_compared_like_any_other() -> None:
    text = signed_text(ENTRY.anchor, AT, "T0", ("vote.given", "U1", "apr_1"), canonical_json({"a": "\ud83d"}))
    signed = replace(ENTRY, facts={"a": "\ud83d"}, mac=keys().sign("\ud83d", text))
    assert is_right(signed, "\ud83d", b"first")
    assert is_same("\ud83d", "\ud83d")
    assert not is_same("\ud83d", "a")
    assert not is_same("a", "\ud83d")


def test_an_anchor_is_written_and_read_again() -> None:
    anchor = Anchor("chn_1", 2, "00ff")
    assert anchor.written() == ANCHOR
    assert Anchor.read(ANCHOR) == anchor


def test_the_store_s_own_key_is_made_of_the_one_that_stands_in_it() -> None:
    assert derived_key(b"kept") == hmac.digest(b"kept", b"audit", "sha256")


@pytest.mark.parametrize(
    ("problem", "words"),
    [
        (Problem("chn_1", Wrong.EDITED, 3, 3), "chn_1: number 3 was changed afterwards"),
        (Problem("chn_1", Wrong.REMOVED, 3, 5), "chn_1: numbers 3 to 5 were removed"),
        (Problem("", Wrong.ADDED, 1, 2), "entries without a chain: numbers 1 to 2 were added"),
        (
            Problem("chn_1", Wrong.CUT, 9, 9),
            "chn_1: its end was cut off: number 9 is known, and it is not there",
        ),
        (Problem("chn_1", Wrong.REPLACED, 4, 4), "chn_1: number 4 is another than the one that is known"),
    ],
)
def test_what_is_wrong_is_said_in_words(problem: Problem, words: str) -> None:
    assert str(problem) == words


def test_a_chain_of_the_store_s_own_key_is_told_with_what_to_type() -> None:
    assert "`relay audit accept chn_1`" in str(Problem("chn_1", Wrong.WEAK_KEY, 1, 1))
