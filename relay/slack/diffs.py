"""What a file tool would change, as a unified diff to the letter.

The environment makes the diffs; a shape that is none of theirs is shown as the JSON it came as.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from relay.slack.blocks import Block, line, preformatted
from relay.slack.mrkdwn import visible

# Arguments of file tools that say what the diff says again.
REPEATED = frozenset(
    {
        "content",
        "file_text",
        "old_string",
        "new_string",
        "old_str",
        "new_str",
        "edits",
        "patch",
        "new_content",
    }
)
_SIGNS = {"add": "+", "remove": "-", "context": " "}
_NAME_LIMIT = 200
_LINE_LIMIT = 500
_MOST_FILES = 8
_SMALLEST = 200


@dataclass(frozen=True)
class Change:
    """What would change in one file; `known` is False for a shape that was taken as it came."""

    name: str
    added: int
    removed: int
    text: str
    known: bool = True

    @property
    def counts(self) -> str:
        """How many lines come and go."""
        return f"+{self.added:,} −{self.removed:,}" if self.known else ""


def changes(diffs: Sequence[Any]) -> list[Change]:
    """Return what would change, a file each, exact and unmasked."""
    return [_change(one) for one in diffs]


def tell_all(found: Sequence[Change]) -> bool:
    """Return whether diffs say which lines change, so that the arguments need not say it again."""
    return bool(found) and all(one.known and one.added + one.removed for one in found)


def texts(found: Sequence[Change]) -> list[Any]:
    """Return what may hold a secret, to be masked as one: a key stands over several lines of a diff."""
    return [[one.name, [one.text]] for one in found]


def with_texts(found: Sequence[Change], masked: Sequence[Any]) -> list[Change]:
    """Return the same changes with what `texts` gave in its masked form."""
    return [
        Change(name, one.added, one.removed, text, one.known)
        for one, (name, [text]) in zip(found, masked, strict=True)
    ]


def elements(found: Sequence[Change], room: int) -> tuple[list[Block], int]:
    """Return the diffs for a card in about `room` characters, and how many lines that leaves out."""
    made: list[Block] = []
    missing = 0
    for number, one in enumerate(found[:_MOST_FILES]):
        limit = max(_SMALLEST, room // (len(found[:_MOST_FILES]) - number))
        text, left_out = cut(visible(one.text), limit)
        made += [heading(one), preformatted(text)]
        room -= len(text)
        missing += left_out
    missing += sum(len(one.text.splitlines()) for one in found[_MOST_FILES:])
    if found[_MOST_FILES:]:
        made.append(line(f"{len(found) - _MOST_FILES:,} more files change"))
    return made, missing


def heading(change: Change) -> Block:
    """Return the line above a diff: which file, and how many lines come and go."""
    name = visible(change.name).replace("\n", "\\n").replace("\t", "\\t") or "a file without a name"
    shown = name if len(name) <= _NAME_LIMIT else f"{name[:60]}…{name[61 - _NAME_LIMIT :]}"
    return line(shown, f"  {change.counts}" if change.known else "")


def cut(text: str, room: int) -> tuple[str, int]:
    """Return as many whole lines of a diff as fit, from both ends, and how many are left out between."""
    lines = [one if len(one) <= _LINE_LIMIT else _shortened(one) for one in text.split("\n")]
    if sum(len(one) + 1 for one in lines) <= room:
        return "\n".join(lines), sum(one != whole for one, whole in zip(lines, text.split("\n"), strict=True))
    lines = [one if len(one) <= room // 4 else one[: max(room // 4 - 1, 20)] + "…" for one in lines]
    head, tail = _ends(lines, room - 40)
    left_out = len(lines) - head - tail
    middle = [f"… {left_out:,} lines left out …"] if left_out else []
    return "\n".join([*lines[:head], *middle, *lines[len(lines) - tail :]]), left_out


def _ends(lines: Sequence[str], room: int) -> tuple[int, int]:
    """Return how many lines of the beginning and of the end fit: three of the one for each of the other."""
    head = tail = 0
    while head + tail < len(lines):
        at_end = tail < head // 3
        room -= len(lines[len(lines) - 1 - tail if at_end else head]) + 1
        if room < 0:
            break
        head, tail = (head, tail + 1) if at_end else (head + 1, tail)
    return head, tail


def _shortened(one: str) -> str:
    return f"{one[: _LINE_LIMIT - 120]} … {len(one) - _LINE_LIMIT + 20:,} characters … {one[-80:]}"


def _change(diff: Any) -> Change:
    hunks = diff.get("hunks") if isinstance(diff, Mapping) else None
    if not isinstance(hunks, list) or not all(_is_hunk(one) for one in hunks):
        return Change("changes", 0, 0, json.dumps(diff, ensure_ascii=False), known=False)
    kinds = [one["type"] for hunk in hunks for one in hunk["lines"]]
    text = "\n".join(written for hunk in hunks for written in _written(hunk))
    return Change(str(diff.get("fileName") or ""), kinds.count("add"), kinds.count("remove"), text)


def _is_hunk(hunk: Any) -> bool:
    lines = hunk.get("lines") if isinstance(hunk, Mapping) else None
    return isinstance(lines, list) and all(
        isinstance(one, Mapping) and one.get("type") in _SIGNS and isinstance(one.get("content"), str)
        for one in lines
    )


def _written(hunk: Mapping[str, Any]) -> Iterator[str]:
    numbers = [hunk.get(name) for name in ("oldStart", "oldLines", "newStart", "newLines")]
    if all(isinstance(number, int) for number in numbers):
        old_start, old_lines, new_start, new_lines = numbers
        yield f"@@ -{old_start},{old_lines} +{new_start},{new_lines} @@"
    for one in hunk["lines"]:
        sign = _SIGNS[one["type"]]
        # A line break within a line would let one half pretend to be a line of another kind.
        yield from (f"{sign}{part}" for part in one["content"].split("\n"))
