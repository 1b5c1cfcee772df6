"""What messages say, as a terminal shows it: every word, and in a box."""

import re
import textwrap
import unicodedata
from collections.abc import Iterator
from typing import Any

from relay.demo.places import ADA, GRACE, GUEST
from relay.sandbox.slack import Message

_WIDTH = 88


def plain(blocks: list[dict[str, Any]]) -> str:
    """Return what blocks say, a paragraph a line."""
    return _as_slack_shows("\n".join(line for block in blocks for line in _lines(block) if line))


def _lines(block: dict[str, Any]) -> list[str]:
    kind = block["type"]
    if kind in ("header", "section"):
        return [block["text"]["text"]]
    if kind == "markdown":
        return [block["text"]]
    if kind == "context":
        return [" ".join(element["text"] for element in block["elements"])]
    if kind == "actions":
        return ["   ".join(f"[ {_label(element)} ]" for element in block["elements"])]
    return [_rich_line(element) for element in block.get("elements", [])]


def _label(element: dict[str, Any]) -> str:
    return str(element["text"]["text"]) if "text" in element else "⋯"  # a menu has no words of its own


def _rich_line(element: dict[str, Any]) -> str:
    parts = (part.get("text") or f"<@{part.get('user_id')}>" for part in element.get("elements", []))
    text = "".join(parts)
    mark = {"rich_text_preformatted": "  │ ", "rich_text_quote": "  ▏ "}.get(element["type"], "")
    return textwrap.indent(text, mark) if mark else text


def boxed(blocks: list[dict[str, Any]]) -> str:
    """Return what blocks say, in a box."""
    lines = [
        piece
        for line in plain(blocks).splitlines()
        for piece in textwrap.wrap(line, _WIDTH - 4, subsequent_indent="  ", drop_whitespace=False) or [""]
    ]
    edge = "─" * (_WIDTH - 2)
    body = "\n".join(f"│ {line}{' ' * (_WIDTH - 4 - _columns(line))} │" for line in lines)
    return f"┌{edge}┐\n{body}\n└{edge}┘"


_NAMES = {ADA: "@Ada", GRACE: "@Grace", GUEST: "@Gus"}
_MENTION = re.compile(r"<@(\w+)>")
_DATE = re.compile(r"<!date\^[^|]*\|([^>]*)>")
_EMOJI = {":white_check_mark:": "✅", ":no_entry:": "⛔", ":zzz:": "💤"}


def _as_slack_shows(text: str) -> str:
    text = _DATE.sub(r"\1", _MENTION.sub(lambda found: _NAMES.get(found.group(1), found.group()), text))
    for name, sign in _EMOJI.items():
        text = text.replace(name, sign)
    return text


def _columns(text: str) -> int:
    """Return how wide a terminal shows `text`: emoji take two columns."""
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)


def quoted(text: str) -> str:
    """Return a text with a mark before each line."""
    return textwrap.indent(text, "> ", lambda _: True)


def everything(blocks: Any) -> str:
    """Return all that blocks of any kind say, mentions as they are written."""
    return "\n".join(_said(blocks))


def quotes(message: Message, words: str) -> bool:
    """Return whether a message says some words now, however they are spaced and in capitals or not."""
    shown = " ".join([message.text, everything(message.blocks)])
    return " ".join(words.casefold().split()) in " ".join(shown.casefold().split())


def says(message: Message, words: str) -> bool:
    """Return whether a message says some words now."""
    return words in message.text or words in everything(message.blocks)


def ever_said(message: Message, words: str) -> bool:
    """Return whether a message says some words now or did so before it was rewritten."""
    before = (words in text or words in everything(blocks) for text, blocks in message.history)
    return says(message, words) or any(before)


def _said(value: Any) -> Iterator[str]:
    if isinstance(value, list):
        for one in value:
            yield from _said(one)
    elif isinstance(value, dict):
        for name, one in value.items():
            if name in ("text", "user_id") and isinstance(one, str):
                yield one if name == "text" else f"<@{one}>"
            else:
                yield from _said(one)
