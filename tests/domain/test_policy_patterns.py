"""Globs and paths: what a rule takes for like its pattern, and what never slips through a gap."""

import functools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.domain.patterns import SHELL_CHARACTERS, glob, safely_matches, texts_at

LETTERS = "ab.;$*[] /"
TEXTS = st.text(alphabet=LETTERS, max_size=10)
# Pieces of globs with what each spells: a wildcard spells nothing.
PIECES = st.one_of(
    st.sampled_from(["*", "?", "[ab;]", "[!a]"]).map(lambda one: (one, None)),
    st.sampled_from("ab./; $").map(lambda one: (one, one)),
    st.sampled_from("*[?").map(lambda one: (f"[{one}]", one)),
)
GLOBS = st.lists(PIECES, max_size=6)


def _spelt(pieces: list[tuple[str, str | None]]) -> str:
    return "".join(written for written, _ in pieces)


def _slow_match(pieces: list[tuple[str, str | None]], text: str, *, safe: bool) -> bool:
    """Return the same by trying everything."""

    def takes(written: str, letter: str) -> bool:
        if safe and (letter in SHELL_CHARACTERS or not letter.isprintable()):
            return False
        return {"[ab;]": letter in "ab;", "[!a]": letter != "a"}.get(written, True)

    @functools.cache
    def fits(place: int, at: int) -> bool:
        if place == len(pieces):
            return at == len(text)
        written, spelt = pieces[place]
        if spelt is not None:
            return text.startswith(spelt, at) and fits(place + 1, at + 1)
        if written == "*" and fits(place + 1, at):
            return True
        more = at < len(text) and takes(written, text[at])
        return more and fits(place if written == "*" else place + 1, at + 1)

    return fits(0, 0)


@given(GLOBS, TEXTS)
def test_a_glob_matches_what_a_search_of_all_ways_matches(
    pieces: list[tuple[str, str | None]], text: str
) -> None:
    assert glob(_spelt(pieces)).matches(text) == _slow_match(pieces, text, safe=False)


@given(GLOBS, TEXTS.filter(lambda text: ".." not in text))
def test_a_safe_match_is_one_whose_gaps_are_all_safe(pieces: list[tuple[str, str | None]], text: str) -> None:
    assert safely_matches(_spelt(pieces), text) == _slow_match(pieces, text, safe=True)


@given(GLOBS, st.text(alphabet=LETTERS + SHELL_CHARACTERS + "\x00\x1b\u2028", max_size=10))
def test_every_shell_character_of_a_safe_match_is_spelt_by_the_glob(
    pieces: list[tuple[str, str | None]], text: str
) -> None:
    if safely_matches(_spelt(pieces), text):
        strange = [one for one in text if one in SHELL_CHARACTERS or not one.isprintable()]
        assert strange == [spelt for _, spelt in pieces if spelt is not None and spelt in SHELL_CHARACTERS]


@given(GLOBS, TEXTS)
def test_a_safe_match_is_a_match(pieces: list[tuple[str, str | None]], text: str) -> None:
    assert glob(_spelt(pieces)).matches(text) or not safely_matches(_spelt(pieces), text)


@given(GLOBS, st.data())
def test_any_text_put_into_the_gaps_matches(
    pieces: list[tuple[str, str | None]], data: st.DataObject
) -> None:
    gaps = {
        "*": st.text("xyz .-", max_size=5),
        "?": st.just("x"),
        "[ab;]": st.just("b"),
        "[!a]": st.just("x"),
    }
    text = "".join(data.draw(gaps[written]) if spelt is None else spelt for written, spelt in pieces)
    assert glob(_spelt(pieces)).matches(text)


@given(GLOBS, GLOBS, TEXTS)
def test_a_glob_that_covers_another_matches_all_it_does(
    wide: list[tuple[str, str | None]], narrow: list[tuple[str, str | None]], text: str
) -> None:
    one, other = glob(_spelt(wide)), glob(_spelt(narrow))
    if one.covers(other) and other.matches(text):
        assert one.matches(text)


@pytest.mark.parametrize(
    ("wide", "narrow", "covered"),
    [
        ("*", "a?[bc]", True),
        ("a*", "ab*", True),
        ("ab*", "a*", False),
        ("a?", "a*", False),
        ("a?", "a[bc]", True),
        ("a[bc]", "ab", True),
        ("a[bc]", "a?", False),
        ("a*c", "a*b*c", True),
        ("\ue000", "*", False),
    ],
)
def test_one_glob_covers_another(wide: str, narrow: str, covered: bool) -> None:
    assert glob(wide).covers(glob(narrow)) is covered


@pytest.mark.parametrize(
    "text",
    [
        "git status; rm -rf /",
        "git status && x",
        "git status | sh",
        "git status > f",
        "git status `x`",
        "git status $X",
        "git status $(x)",
        "git status {a,b}",
        "git status\nrm",
        "git status\rrm",
        "git status \\x",
        'git status "x"',
        "git status 'x'",
        "git status *",
        "git status ?",
        "git status #x",
        "git status !x",
        "git status ~",
        "git status [a]",
        "git status <f",
        "git status\x00",
        "git status\x1b[2J",
        "git status\u2028rm",
        "git status \ud800",
        "git status ../x",
        "git status ..",
        "git status a/../../b",
    ],
)
def test_nothing_but_words_slips_through_a_gap(text: str) -> None:
    assert glob("git status*").matches(text)
    assert not safely_matches("git status*", text)


@pytest.mark.parametrize(
    "letter", ";&|<>`$(){}[]\\'\"*?#!~\n\r\t\x00\x1f\x7f\x80\x9f\u2028\u2029\ud800\udfff"
)
def test_each_character_that_is_more_than_a_letter_stays_out_of_gaps(letter: str) -> None:
    assert safely_matches("git status*", "git status x")
    assert not safely_matches("git status*", f"git status {letter}x")


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("git status*", "git status --short -- a/b.py"),
        ("git diff *", "git diff main..HEAD"),
        ("ls | wc*", "ls | wc -l"),
        ("ls [*].py", "ls *.py"),
        ("?[*]", "a*"),
        ("git [ds]*", "git status"),
        ("git [!a]*", "git status"),
        ("cat ../*", "cat ../notes"),
        ("rm -rf /tmp/x; ls", "rm -rf /tmp/x; ls"),
        ("größe *", "größe ändern"),
    ],
)
def test_words_and_what_the_pattern_spells_go_through(pattern: str, text: str) -> None:
    assert safely_matches(pattern, text)


@pytest.mark.parametrize(
    ("pattern", "text"), [("/srv/*", "/srv/../etc"), ("/srv/.*", "/srv/../x"), ("../*", "../../x")]
)
def test_no_gap_leads_to_a_parent_folder(pattern: str, text: str) -> None:
    assert not safely_matches(pattern, text)


@pytest.mark.parametrize("pattern", ["ls [!a]", "ls [;-~]", "ls [$;]"])
def test_a_set_lets_no_shell_character_through_a_gap(pattern: str) -> None:
    assert glob(pattern).matches("ls ;")
    assert not safely_matches(pattern, "ls ;")


@pytest.mark.parametrize(
    ("pattern", "literal"), [("", ""), ("a b", "a b"), ("a[*][?]b", "a*?b"), ("a*", None), ("a[bc]", None)]
)
def test_a_glob_without_a_wildcard_is_the_one_text_it_matches(pattern: str, literal: str | None) -> None:
    assert glob(pattern).literal == literal


def test_case_is_told_apart() -> None:
    assert not glob("Bash").matches("bash")


@pytest.mark.parametrize(
    ("pattern", "text"),
    [("[", "["), ("a[b", "a[b"), ("[]]", "]"), ("[]a]", "a"), ("[!]", "!"), ("[z-a]x", "")],
)
def test_brackets_that_are_no_set_are_letters(pattern: str, text: str) -> None:
    assert glob(pattern).matches(text) is bool(text)


@pytest.mark.parametrize(
    ("pattern", "inside", "outside"),
    [
        ("[a-c]", "abc", "dX-"),
        ("[!a-c]", "dX-!", "abc"),
        ("[a!]", "a!", "b"),
        ("[ab]", "ab", "X-c"),
        ("[a-a]", "a", "bX-"),
        ("[ -,]", " +,", "-a"),
        ("[a-]", "a-", "b"),
        ("[a\n]", "a\n", "b"),
        ("[!a\n]", "b", "a\n"),
        ("[c-az]", "z", "abc-"),
        ("[z-a]", "", "amz-"),
        ("[!z-a]", "amz-", ""),
    ],
)
def test_a_set_takes_its_letters_and_spans_and_a_span_of_nothing_none(
    pattern: str, inside: str, outside: str
) -> None:
    assert [letter for letter in inside + outside if glob(pattern).matches(letter)] == list(inside)


@pytest.mark.parametrize(
    ("text", "like"), [("xaxbxcx", True), ("abc", True), ("xaxbx", False), ("xa", False), ("cba", False)]
)
def test_what_stands_between_stars_is_there_in_order_and_nothing_is_left_out(text: str, like: bool) -> None:
    assert glob("*a*b*c*").matches(text) is like
    assert safely_matches("*a*b*c*", text) is like


def test_a_glob_of_many_stars_takes_time_in_proportion_to_the_text() -> None:
    assert not glob("*a" * 30 + "b").matches("a" * 20_000)
    assert not safely_matches("*a" * 30 + "b", "a" * 20_000)


@pytest.mark.parametrize(
    ("path", "texts"),
    [
        ("command", ["ls"]),
        ("options.dry", ["true"]),
        ("options", ['{"count":2,"dry":true}']),
        ("options.*", ["true", "2"]),
        ("none", ["null"]),
        ("files", ["a", "b"]),
        ("files.1", ["b"]),
        ("files.2", [None]),
        ("files.000000001", [None]),
        ("empty", ["[]"]),
        ("edits.0.path", ["x"]),
        ("edits.*.path", ["x", None]),
        ("missing", [None]),
        ("command.x", [None]),
        ("empty.*", []),
        ("files.²", [None]),
    ],
)
def test_a_path_leads_to_the_texts_of_what_stands_there(path: str, texts: list[str | None]) -> None:
    tool_input: dict[str, Any] = {
        "command": "ls",
        "options": {"dry": True, "count": 2},
        "none": None,
        "files": ["a", "b"],
        "empty": [],
        "edits": [{"path": "x"}, {"other": 1}],
    }
    assert texts_at(tool_input, path) == texts
