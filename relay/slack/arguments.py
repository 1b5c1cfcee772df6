"""What a tool is called with, as a card and its details show it: every argument, no secret."""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from relay.domain.approvals import Approval
from relay.domain.rules import Fact
from relay.domain.secrets import mask
from relay.domain.text import clamp
from relay.slack import diffs, facts
from relay.slack.blocks import Block, line, preformatted
from relay.slack.mrkdwn import escape, visible

_ARGUMENT_LIMIT = 2_500
_ARGUMENTS_LIMIT = 5_000
_REST_LIMIT = 2_500
_NAME_LIMIT = 100
_MOST_ARGUMENTS = 12
_SMALLEST = 200
_SMALLEST_BOX = 80  # of which cutting the middle out leaves both ends
_SMALLEST_LINE = 40
_SHORT = 200  # of a line that is shown as in a diff
_LARGE = 100_000

COMMANDS = ("command", "cmd", "script")
# Tools that run a command, whose description is a claim and does nothing; their names without _ and -.
_SHELLS = frozenset({"bash", "shell", "shellcommand", "runshellcommand", "exec", "execcommand"})
_PATHS = ("file_path", "path")
_DIRECTORIES = ("cwd", "workdir", "working_directory", "working_dir")


@dataclass(frozen=True)
class Shown:
    """A request without its secrets: `was` is the input before somebody changed it.

    `claim` is what the agent says the call does, which is nobody's evidence; `claimed` are the arguments
    it says that in; `plain` are those whose value is one without a secret. A mark in the input has the
    number it has where the input alone is masked.
    """

    input: Mapping[str, Any]
    was: Mapping[str, Any] | None
    claim: str
    claimed: frozenset[str]
    plain: frozenset[str]
    changes: tuple[diffs.Change, ...]
    output: str
    found: int


def shown(approval: Approval) -> Shown:
    """Return what may be shown of a request, in any place."""
    asked, decision = approval.asked, approval.decision
    present = decision.updated_input if decision and decision.updated_input else approval.present_input
    was = dict(asked.tool_input) if present != asked.tool_input else None
    returned = decision.returned if decision else None
    parts = (returned.output, returned.stdout, returned.stderr) if returned else ()
    found = diffs.changes(asked.diffs)
    masked = mask([dict(present), was, diffs.texts(found), asked.words, "\n".join(filter(None, parts))])
    given = present
    present, was, texts, words, output = masked.value
    claimed = _claimed(asked.tool_name, present, was)
    said = [words, *(present[name] for name in claimed)]
    claim = "\n".join(part.strip() for part in said if part.strip())
    changes = tuple(diffs.with_texts(found, texts))
    plain = frozenset(_plain(given, present))
    return Shown(present, was, visible(claim), claimed, plain, changes, output, masked.found)


def _plain(given: Mapping[str, Any], masked: Mapping[str, Any]) -> Iterator[str]:
    for name, value in given.items():
        if isinstance(value, str | int | float) and name in masked and masked[name] == value:
            yield name


def is_large(approval: Approval) -> bool:
    """Return whether a request is long enough for its laying out to keep others waiting."""
    asked = approval.asked
    returned = approval.decision.returned if approval.decision else None
    waiting: list[Any] = [asked.tool_input, approval.edited_input, asked.diffs, asked.words, approval.note]
    waiting += [returned.output, returned.stdout, returned.stderr] if returned else []
    length = 0
    while waiting and length <= _LARGE:
        one = waiting.pop()
        length += len(one) if isinstance(one, str) else 1
        if isinstance(one, Mapping):
            waiting += [*one, *one.values()]
        elif isinstance(one, list | tuple):
            waiting += one
    return length > _LARGE


def _claimed(tool: str, present: Mapping[str, Any], was: Mapping[str, Any] | None) -> frozenset[str]:
    """Return the arguments that are the agent's claim about a command: none that somebody changed."""
    said = present.get("description")
    runs = "command" in present and tool.lower().replace("_", "").replace("-", "") in _SHELLS
    changed = was is not None and was.get("description") != said
    return frozenset({"description"} if runs and isinstance(said, str) and not changed else ())


def in_diff(of: Shown) -> list[str]:
    """Return the arguments that only say what the diff says again."""
    if of.was is not None or not diffs.tell_all(of.changes):
        return []
    return [name for name in of.input if name in diffs.REPEATED and name not in of.claimed]


def elsewhere(of: Shown, told: Sequence[Fact]) -> frozenset[str]:
    """Return the arguments that a fact, or the heading of the one diff, shows whole and to the letter."""
    same = [name for name in of.input if name in of.plain and not _is_changed(of, name)]
    titles = [diffs.heading(one)["elements"][0]["text"] for one in of.changes if one.known]
    titled = of.was is None and len(of.changes) == 1
    headed = [name for name in same if titled and name in _PATHS and of.input[name] in titles]
    return frozenset([*headed, *_in_facts(of, same, told)])


def _in_facts(of: Shown, names: Collection[str], told: Sequence[Fact]) -> Iterator[str]:
    blocks = facts.blocks(told, of.input)
    texts = [one["text"] for block in blocks for one in block.get("fields", ())]
    for fact, text in zip(told, texts, strict=False):  # of very many facts the last are only counted
        whole = "." not in fact.path and fact.path in names
        if whole and f"\n`{escape(written(of.input[fact.path]))}`" in text:
            yield fact.path


def elements(of: Shown, scale: float, without: Collection[str] = ()) -> tuple[list[Block], int]:
    """Return every argument but those that stand elsewhere, and how many characters had to be left out."""
    arguments = [(name, value) for name, value in _arguments(of) if name not in without]
    boxes = _MOST_ARGUMENTS if len(arguments) <= _MOST_ARGUMENTS else _MOST_ARGUMENTS - 1
    rest, missing = _in_lines(arguments[boxes:], int(_REST_LIMIT * scale))
    made: list[Block] = []
    room = int(_ARGUMENTS_LIMIT * scale) - len(rest)
    for name, value in arguments[:boxes]:
        box, used, left_out = _argument(of, name, value, min(int(_ARGUMENT_LIMIT * scale), room), scale)
        room -= used
        missing += left_out
        made += box
    if rest:
        made += [line(f"{len(arguments) - boxes:,} more arguments"), preformatted(rest)]
    return made or ([] if without else [line("without arguments")]), missing


def _arguments(of: Shown) -> Iterator[tuple[str, Any]]:
    """Yield the arguments that do something, the command and its directory first; then what was taken out."""
    names = [name for name in of.input if name not in of.claimed]  # it stands with the agent's other words
    first = [name for name in (*COMMANDS, *_DIRECTORIES) if name in names]
    for name in dict.fromkeys([*first, *names]):
        yield name, of.input[name]
    for name in (of.was or {}).keys() - of.input.keys():
        yield name, _TAKEN_OUT


_TAKEN_OUT = object()


def _argument(of: Shown, name: str, value: Any, limit: int, scale: float) -> tuple[list[Block], int, int]:
    title = named(name, _NAME_LIMIT)
    smallest = max(_SMALLEST_BOX, int(_SMALLEST * min(1.0, 2 * scale)))
    if of.was is not None and _is_changed(of, name):
        return _changed(title, of.was.get(name, _TAKEN_OUT), value, max(smallest, limit // 2))
    directory = " (working directory)" if name in ("cwd", "workdir") else ""
    text, left_out = _clamped(value, max(smallest, limit))
    return [line(title, directory), preformatted(text)], len(text), left_out


def _is_changed(of: Shown, name: str) -> bool:
    return of.was is not None and of.was.get(name, _TAKEN_OUT) != of.input.get(name, _TAKEN_OUT)


def _changed(title: str, was: Any, now: Any, limit: int) -> tuple[list[Block], int, int]:
    """Return what was and what is now: two short lines in one box, as a diff has them."""
    lines = _as_diff(was, now)
    if all("\n" not in one and len(one) <= min(_SHORT, limit) + 2 for one in lines):
        after = " (added)" if was is _TAKEN_OUT else " (taken out)" if now is _TAKEN_OUT else ""
        return [line(title, after), preformatted("\n".join(lines))], sum(map(len, lines)), 0
    before, lost = _clamped(was, limit)
    after, missing = _clamped(now, limit)
    box = [line(title, " was"), preformatted(before), line(title, " is now"), preformatted(after)]
    return box, len(before) + len(after), lost + missing


def _as_diff(was: Any, now: Any) -> list[str]:
    sides = [(sign, value) for sign, value in (("-", was), ("+", now)) if value is not _TAKEN_OUT]
    texts = [visible(written(value)) for _, value in sides]
    if len(set(texts)) < len(texts):  # a number that became a text, say: JSON tells them apart
        texts = [visible(json.dumps(value, ensure_ascii=False)) for _, value in sides]
    return [f"{sign} {text}" for (sign, _), text in zip(sides, texts, strict=True)]


def _clamped(value: Any, limit: int) -> tuple[str, int]:
    return ("(not given)", 0) if value is _TAKEN_OUT else clamp(visible(written(value)), limit)


def _in_lines(arguments: list[tuple[str, Any]], room: int) -> tuple[str, int]:
    """Return arguments as a line each, names before values, and how many characters that leaves out."""
    each = max(_SMALLEST_LINE, room // max(len(arguments), 1))
    lines: list[str] = []
    missing = 0
    for name, value in arguments:
        said = "(taken out)" if value is _TAKEN_OUT else visible(json.dumps(value, ensure_ascii=False))
        whole = f"{named(name, each - 4)} = {said}"
        if sum(map(len, lines)) > room:
            missing += len(whole)
            continue
        lines.append(whole if len(whole) < each else whole[: each - 2] + "…")
        missing += max(0, len(whole) - len(lines[-1]))
    hidden = len(arguments) - len(lines)
    return "\n".join([*lines, f"… and {hidden:,} more"] if hidden else lines), missing


def named(name: str, limit: int) -> str:
    """Return a name on one line, as far as `limit` goes."""
    told = visible(name).replace("\n", "\\n").replace("\t", "\\t") or '""'
    return told if len(told) <= limit else told[: limit - 1] + "…"


def written(value: Any) -> str:
    """Return a value as people read it: a text as it is, the rest as JSON."""
    if isinstance(value, str) and value.strip():
        return value
    close = json.dumps(value, ensure_ascii=False)
    try:
        spread = json.dumps(value, ensure_ascii=False, indent=2)
    except RecursionError:  # deeper than anybody could read anyway
        return close
    return spread if len(spread) <= 4 * len(close) else close
