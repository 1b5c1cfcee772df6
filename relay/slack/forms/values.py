"""The values of a tool's input as a form's inputs hold them, and back: types kept, secrets masked."""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Any

from relay.domain.secrets import mask, restore
from relay.slack.forms.fields import LONGEST
from relay.slack.mrkdwn import visible

MOST = 40  # inputs of a form
_EXACT = 2**53  # whole numbers beyond are not safe in every client
_LONG_LINE = 80
_ROOM = 200_000  # of a view's 250,000


class Kind(StrEnum):
    """How a value is entered."""

    TEXT = "text"
    LINES = "lines"
    WHOLE = "whole"
    NUMBER = "number"
    CHOICE = "choice"
    JSON = "json"
    FIXED = "fixed"  # longer than an input takes: it stays as it is


@dataclass(frozen=True)
class Entry:
    """One value: where it stands, what a form shows of it, and what it is."""

    name: str
    shown_name: str
    kind: Kind
    shown: str
    original: Any
    whole: bool = False  # all of an input, with no name of its own


def entries(tool_input: Mapping[str, Any]) -> list[Entry]:
    """Return the values of an input, a key each, at most as many as a form holds."""
    masked = mask(dict(tool_input)).value
    pairs = zip(tool_input, masked.items(), strict=True) if len(masked) == len(tool_input) else ()
    found = [_entry(name, shown, value, tool_input[name]) for name, (shown, value) in pairs][:MOST]
    return _within(found)


def _within(found: list[Entry]) -> list[Entry]:
    """Return the values as far as a view has room for them; Slack counts each as it travels."""
    room = _ROOM
    kept: list[Entry] = []
    for entry in found:
        room -= len(json.dumps(entry.shown)) if entry.kind is not Kind.FIXED else 0
        kept.append(entry if room > 0 else replace(entry, kind=Kind.FIXED))
    return kept


def whole(tool_input: Mapping[str, Any]) -> Entry:
    """Return a whole input as one JSON text."""
    entry = _as_json("", "The whole input", mask(dict(tool_input)).value, dict(tool_input))
    return replace(entry, whole=True)


def _entry(name: str, shown_name: str, shown: Any, original: Any) -> Entry:
    if isinstance(shown, bool):
        return Entry(name, shown_name, Kind.CHOICE, "true" if shown else "false", original)
    if isinstance(shown, int | float) and (spelt := _spelt(shown)):
        kind = Kind.WHOLE if isinstance(shown, int) else Kind.NUMBER
        return Entry(name, shown_name, kind, spelt, original)
    if isinstance(shown, str) and shown == visible(shown):
        long = len(shown) > LONGEST
        kind = Kind.LINES if "\n" in shown or len(shown) > _LONG_LINE else Kind.TEXT
        return Entry(name, shown_name, Kind.FIXED if long else kind, shown, original)
    return _as_json(name, shown_name, shown, original)


def _spelt(number: float) -> str:
    """Return a number as people write it; nothing where only JSON says it exactly."""
    if isinstance(number, int):
        return str(number) if abs(number) < _EXACT else ""
    spelt = repr(number)
    return spelt if math.isfinite(number) and "e" not in spelt else ""


def _as_json(name: str, shown_name: str, shown: Any, original: Any) -> Entry:
    texts = (text for text in _written(shown) if len(text) <= LONGEST)
    found = next(texts, None)
    kind = Kind.FIXED if found is None else Kind.JSON
    return Entry(name, shown_name, kind, found or "", original)


def _written(shown: Any) -> Iterator[str]:
    for indent in (2, None):
        try:
            text = json.dumps(shown, ensure_ascii=False, indent=indent)
        except RecursionError:  # deeper than anybody could read
            return
        # What is not seen stands in a text alone, where JSON has a way to write it out.
        yield "".join(one if one == visible(one) else json.dumps(one)[1:-1] for one in text)


def read(entry: Entry, entered: str, tool_input: Mapping[str, Any]) -> Any:
    """Return the value that was entered, with its secrets put back. Raises ValueError in words."""
    if _untouched(entry, entered):
        return entry.original
    match entry.kind:
        case Kind.TEXT | Kind.LINES:
            return _typed(restore(entered, tool_input), entry.original)
        case Kind.WHOLE | Kind.NUMBER:
            return _number(entered, entry.original)
        case Kind.CHOICE:
            return entered == "true"
        case Kind.JSON:
            return _like(restore(_parsed(entered), tool_input), entry.original)
        case Kind.FIXED:
            return entry.original


def _untouched(entry: Entry, entered: str) -> bool:
    """Whether an input came back as it was; blanks around a text may get lost on the way."""
    return entered.replace("\r\n", "\n") in (entry.shown, entry.shown.strip())


def _typed(value: Any, original: Any) -> Any:
    if isinstance(original, int | float) and isinstance(value, str):  # it was masked for its name
        return _number(value, original)
    return value


def _number(entered: str, original: Any) -> int | float:
    try:
        number = Decimal(entered.strip())
    except InvalidOperation:
        raise ValueError("This has to be a number.") from None
    if isinstance(original, float):
        if not math.isfinite(float(number)):
            raise ValueError("This number is too large.")
        return float(number)
    if not number.is_finite() or number.adjusted() > LONGEST or number != number.to_integral_value():
        raise ValueError("This has to be a whole number.")
    return int(number)


def _parsed(entered: str) -> Any:
    try:
        return json.loads(entered, parse_constant=_no_number, object_pairs_hook=_once_each)
    except json.JSONDecodeError as problem:
        raise ValueError(f"Line {problem.lineno}, column {problem.colno}: {problem.msg}.") from None
    except RecursionError:
        raise ValueError("This is nested too deep.") from None


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is no number in JSON.")


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    held = dict(pairs)
    if len(held) != len(pairs):
        twice = next(name for number, (name, _) in enumerate(pairs) if name in dict(pairs[:number]))
        raise ValueError(f"{twice!r} stands there twice.")
    return held


_NAMES = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: 'a text in quotes: "…"',
    list: "a list: […]",
    dict: "an object: {…}",
}


def _like(value: Any, original: Any) -> Any:
    """Return a value of the same type as the original; null stood for nothing in particular."""
    if original is None or type(value) is type(original):
        return value
    if isinstance(original, float) and type(value) is int:
        return float(value)
    raise ValueError(f"This has to stay {_NAMES.get(type(original), 'what it was')}.")
