"""Secrets in what a tool is called with: masked before anything is shown, and put back exactly.

A mark tells of which kind a secret is, its length where it is long, and nothing else. What shells or
templates would carry out is never masked: a mark must not become a place in which an agent hides a
command from people.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from relay.domain.secret_kinds import may_be_hidden, names_a_secret, spans
from relay.domain.shell_names import NONE, uses

_WHOLE_MARK = r"‹secret \d+: [^‹›\n]{0,40}›"
# A mark, what is left of one, and what only looks like one.
_MARKLIKE = re.compile(rf"{_WHOLE_MARK}|‹secret\b|secret \d+: [^‹›\n]{{0,40}}›")
_LOOKS_SO = re.compile(r"‹secret(?: \d+)?|secret \d+(?=: [^‹›\n]{0,40}›)")
_LONG = 120
_A_REFERENCE = re.compile(r"\s*(?:\$\{?\w+\}?|\$?\{\{[^{}]*\}\}|%\w+%|<[\w -]+>|)\s*")


@dataclass(frozen=True)
class Masked:
    """A value of the same shape, and how many different secrets it was relieved of."""

    value: Any
    found: int


def mask(value: Any) -> Masked:
    """Return a JSON value with a numbered mark in the place of every secret in its texts."""
    marks = _Marks()
    masked = marks.over(value)
    return Masked(masked, marks.found)


def restore(edited: Any, original: Any) -> Any:
    """Return an edited copy of what `mask` made of `original` with its secrets put back.

    ValueError, with words for whoever edited it, when a mark stands for nothing in the original.
    """
    marks = _Marks()
    marks.over(original)
    return _rewritten(edited, marks.put_back, lambda texts: [marks.put_back(one) for one in texts])


class _Marks:
    """The marks of one value: numbered in the order in which its secrets stand."""

    def __init__(self) -> None:
        self.found = 0
        self._names = NONE
        self._mark_of: dict[tuple[type, Any], str] = {}
        self._secret_of: dict[str, Any] = {}

    def over(self, value: Any) -> Any:
        self._names = uses(value)
        return _rewritten(value, self._text, self._texts, self._named, self._kind)

    def _kind(self, name: object, held: Any) -> str:
        """Return which kind of secret is held under a name, empty where it has to be seen."""
        kind = names_a_secret(name)
        return "" if kind and self._names.shows(str(name), held) else kind

    def put_back(self, text: str) -> Any:
        if text in self._secret_of:
            return self._secret_of[text]  # a number under a secret's name is a number again
        return _MARKLIKE.sub(lambda found: str(self._known(found.group())), text)

    def _known(self, mark: str) -> Any:
        if mark not in self._secret_of:
            raise ValueError(
                f"{mark} stands for no secret of the original. Leave a mark as it is, or replace it whole."
            )
        return self._secret_of[mark]

    def _mark(self, kind: str, secret: Any) -> str:
        key = (type(secret), secret)
        if key not in self._mark_of:
            length = len(secret) if isinstance(secret, str) else 0
            long = f", {length:,} characters" if length > _LONG else ""
            mark = f"‹secret {len(self._mark_of) + 1}: {kind}{long}›"
            self._mark_of[key], self._secret_of[mark] = mark, secret
            self.found += kind != _LOOKALIKE
        return self._mark_of[key]

    def _named(self, kind: str, value: Any) -> Any:
        """Mask a value whole for its name: a number too, for a PIN is a secret."""
        if isinstance(value, str):
            in_sight = _A_REFERENCE.fullmatch(value) or not may_be_hidden(value)
            return value if in_sight else self._mark(kind, value)
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return self._mark(kind, value) if is_number and kind == "password" else value

    def _text(self, text: str) -> str:
        return self._texts([text])[0]

    def _texts(self, texts: list[str]) -> list[str]:
        """Mask texts that belong together: a key may stand a line an item, a password after its option."""
        whole = "\n".join(texts)
        # The first stands before all of it, where nothing can be.
        ends = frozenset(accumulate((len(text) + 1 for text in texts[:-1]), initial=-1))
        found = _apart([*spans(whole, ends, self._names), *_lookalikes(whole)])
        masked: list[str] = []
        begin = 0
        for text in texts:
            within = [(max(low - begin, 0), min(high - begin, len(text)), kind) for low, high, kind in found]
            masked.append(self._marked(text, [one for one in within if one[0] < one[1]]))
            begin += len(text) + 1
        return masked

    def _marked(self, text: str, found: list[tuple[int, int, str]]) -> str:
        pieces, end = [], 0
        for low, high, kind in found:
            pieces += [text[end:low], self._mark(kind, text[low:high])]
            end = high
        return "".join([*pieces, text[end:]])


_LOOKALIKE = "words like this mark"


def _lookalikes(text: str) -> Iterator[tuple[int, int, str]]:
    """Yield what makes something in the original look like a mark: it must come back as it was.

    No more than that, for what follows in it could be anything.
    """
    if "secret " in text or "‹secret" in text:
        for found in _LOOKS_SO.finditer(text):
            yield found.start(), found.end(), _LOOKALIKE


def _apart(found: list[tuple[int, int, str]]) -> list[tuple[int, int, str]]:
    """Return spans without overlaps, in order: two that overlap are one, of the kind told first."""
    rank = {one: place for place, one in enumerate(dict.fromkeys(found))}
    joined: list[tuple[int, int, str]] = []
    of_last: tuple[int, int, str] | None = None
    for span in sorted(rank):
        if of_last is None or span[0] >= joined[-1][1]:
            joined.append(span)
            of_last = span
            continue
        of_last = min(of_last, span, key=rank.__getitem__)
        joined[-1] = (joined[-1][0], max(joined[-1][1], span[1]), of_last[2])
    return joined


def _unnamed(kind: str, value: Any) -> Any:  # noqa: ARG001 - the shape of what masks by name
    return value


def _rewritten(
    value: Any,
    text: Callable[[str], Any],
    texts: Callable[[list[str]], list[Any]],
    named: Callable[[str, Any], Any] = _unnamed,
    kind_of: Callable[[object, Any], str] = lambda name, _: names_a_secret(name),
) -> Any:
    """Return a copy of a JSON value with every text rewritten; as deep as it likes, for it walks no stack."""
    root: list[Any] = [None]
    waiting: list[tuple[Any, Any, Any, str]] = [(root, 0, value, "")]
    while waiting:
        into, place, one, kind = waiting.pop()
        inner: list[tuple[Any, Any, Any, str]] = []
        if isinstance(one, Mapping):  # of which each value has a name of its own
            copy: dict[str, Any] = {}
            into[place] = copy
            for name, held in one.items():
                shown = text(name)
                copy[shown] = None
                inner.append((copy, shown, held, kind_of(name, held)))
        elif isinstance(one, list | tuple):
            items = list(one)
            if not kind and items and all(isinstance(item, str) for item in items):
                into[place] = texts(items)
                continue
            into[place] = [None] * len(items)
            inner = [(into[place], number, item, kind) for number, item in enumerate(items)]
        elif kind:
            into[place] = _by_name(one, kind, text, named)
        else:
            into[place] = text(one) if isinstance(one, str) else one
        waiting.extend(reversed(inner))
    return root[0]


def _by_name(one: Any, kind: str, text: Callable[[str], Any], named: Callable[[str, Any], Any]) -> Any:
    shown = named(kind, one)
    return text(one) if isinstance(one, str) and shown is one else shown
