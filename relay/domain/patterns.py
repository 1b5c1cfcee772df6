"""Globs: case-sensitive, with `*`, `?` and `[…]`; and paths that name a value of a tool's input.

A wide match is for rules that ask or deny. A safe match is for what lets a tool run unasked: no wildcard
takes a character that means something to a shell, and no wildcard leads to a parent folder.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

from relay.domain.canonical import canonical_json

# What a shell, or whoever shows a text, may take for more than a letter: C0 and C1 controls, line and
# paragraph separators and half characters among them.
SHELL_CHARACTERS = ";&|<>`$(){}[]\\'\"*?#!~\n"
_UNSAFE = re.escape(SHELL_CHARACTERS) + "\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff"
_PARENT = re.compile(r"(?<!\.)\.\.(?![\w.-])")
_PIECE = re.compile(r"(?P<star>\*+)|(?P<one>\?)|\[(?P<kind>!?(?:\][^\]]*|[^\]]+))\]", re.DOTALL)
_MANY, _ONE, _KIND = "\ue000", "\ue001", "\ue002"  # how wildcards stand in a glob that is matched itself


@dataclass(frozen=True)
class Piece:
    """A part of a glob: `literal` text, or a wildcard that takes one character or, `many`, any number."""

    literal: str = ""
    many: bool = False
    kind: str = ""  # of one character: how a regular expression writes it


@dataclass(frozen=True)
class Glob:
    """A glob, compiled once."""

    text: str

    @cached_property
    def pieces(self) -> tuple[Piece, ...]:
        """Its parts, in order."""
        return tuple(_pieces(self.text))

    @property
    def literal(self) -> str | None:
        """The only text it matches, or None where it has a wildcard."""
        literals = [piece.literal for piece in self.pieces]
        return "".join(literals) if all(literals) else None

    def matches(self, text: str) -> bool:
        """Return whether the whole of `text` is like this."""
        # Most texts lack the letters, and to look for them is quicker than to match.
        likely = text.startswith(self.begin) if self.begin else self.needle in text
        return likely and self._wide.match(text) is not None

    def safely_matches(self, text: str) -> bool:
        """Return whether `text` is like this, with nothing in a gap that could be more than a word."""
        if not text.startswith(self.begin) or self._safe.match(text) is None:
            return False
        return self.literal is not None or len(_PARENT.findall(text)) <= self._parents

    def covers(self, other: "Glob") -> bool:
        """Return True only if whatever `other` matches widely is matched by this: perhaps not always."""
        if any(mark in self.text for mark in (_MANY, _ONE, _KIND)):
            return False
        likely = other.standing.startswith(self.begin)
        return likely and self._inclusive.match(other.standing) is not None

    @cached_property
    def standing(self) -> str:
        """A text that stands for all that it matches, for another glob to be held against."""
        return "".join(map(_standing, self.pieces))

    @cached_property
    def needle(self) -> str:
        """A part that every text it matches has."""
        return max((piece.literal for piece in self.pieces), key=len, default="")

    @cached_property
    def begin(self) -> str:
        """What every text it matches begins with."""
        return self.pieces[0].literal if self.pieces else ""

    @cached_property
    def _parents(self) -> int:
        """How often it names a parent folder itself; letters stand where wildcards are."""
        return len(_PARENT.findall("".join(piece.literal or "x" for piece in self.pieces)))

    @cached_property
    def _wide(self) -> re.Pattern[str]:
        return _compiled(self.pieces, ".", "")

    @cached_property
    def _safe(self) -> re.Pattern[str]:
        return _compiled(self.pieces, f"[^{_UNSAFE}]", f"(?![{_UNSAFE}])")

    @cached_property
    def _inclusive(self) -> re.Pattern[str]:
        return _compiled(self.pieces, f"[^{_MANY}]", f"(?![{_MANY}{_ONE}{_KIND}])", many=".")


@lru_cache(maxsize=4096)
def glob(text: str) -> Glob:
    """Return a glob; one that was met before is not compiled again."""
    return Glob(text)


def safely_matches(pattern: str, text: str) -> bool:
    """Return whether `text` is like the glob `pattern`, with nothing in a gap that a shell takes for more.

    A gap is what a wildcard takes. It has none of SHELL_CHARACTERS and no control character, and no `..`
    that is a whole step of a path. What the glob itself spells is let through as it is: `[*]` spells a star.
    """
    return glob(pattern).safely_matches(text)


def _pieces(text: str) -> Iterator[Piece]:
    done = 0
    for found in _PIECE.finditer(text):
        if found.start() > done:
            yield Piece(text[done : found.start()])
        done = found.end()
        yield _wildcard(found)
    if done < len(text):
        yield Piece(text[done:])


def _wildcard(found: re.Match[str]) -> Piece:
    if found["star"]:
        return Piece(many=True)
    if found["one"]:
        return Piece(kind=".")
    written = found["kind"]
    if len(written) == 1:
        return Piece(written)  # how a glob spells a character that would be a wildcard
    letters = _letters(written.removeprefix("!"))
    if written.startswith("!"):
        return Piece(kind=f"[^{letters}]" if letters else ".")
    return Piece(kind=f"[{letters}]" if letters else r"[^\s\S]")


def _letters(letters: str) -> str:
    """Return a set of letters and spans as a regular expression has it; a span of nothing is left out."""
    spans = re.findall(r".-.|.", letters, re.DOTALL)
    good = [one for one in spans if len(one) == 1 or one[0] <= one[2]]
    return "".join("-".join(re.escape(letter) for letter in (one[0], one[-1])) for one in good)


def _compiled(pieces: tuple[Piece, ...], any_one: str, guard: str, *, many: str = "") -> re.Pattern[str]:
    """Return a regular expression that takes time in proportion to the text.

    A star that is not the last takes as little as the pieces up to the next star let it, and is not tried
    again: the first place where they fit leaves the most to the rest.
    """
    many = many or any_one
    runs: list[str] = [""]
    for piece in pieces:
        if piece.many:
            runs.append("")
        elif piece.literal:
            runs[-1] += re.escape(piece.literal)
        else:
            runs[-1] += any_one if piece.kind == "." else f"(?:{guard}{piece.kind})"
    first, *others = runs
    middle = "".join(f"(?>{many}*?{run})" for run in others[:-1])
    last = f"{many}*{others[-1]}" if others else ""
    return re.compile(rf"{first}{middle}{last}\Z", re.DOTALL)


def _standing(piece: Piece) -> str:
    """Return what stands for a piece of a glob in a text that another glob is held against."""
    if piece.literal:
        return piece.literal
    return _MANY if piece.many else _ONE if piece.kind == "." else _KIND


_ABSENT = object()


def texts_at(tool_input: Mapping[str, Any], path: str) -> list[str | None]:
    """Return the texts that globs see at a path: keys joined by dots, numbers for items of lists.

    `*` is each item or value. A list at the end is seen item by item. A string is seen as it is, anything
    else as canonical JSON; None stands for what is not there.
    """
    found: list[Any] = [tool_input]
    for step in path.split("."):
        found = [value for one in found for value in _below(one, step)]
    ends = [item for one in found for item in (one if isinstance(one, list) and one else [one])]
    return [None if one is _ABSENT else one if isinstance(one, str) else canonical_json(one) for one in ends]


def _below(value: Any, step: str) -> list[Any]:
    if isinstance(value, Mapping) and step in value:
        return [value[step]]
    if step == "*" and isinstance(value, Mapping | list):
        return list(value.values()) if isinstance(value, Mapping) else value
    if isinstance(value, list) and step.isascii() and step.isdigit() and len(step) < 9:
        return value[int(step) : int(step) + 1] or [_ABSENT]
    return [_ABSENT]
