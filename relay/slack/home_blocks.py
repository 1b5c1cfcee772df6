"""The Home tab and the lists of `/letta approvals` and `/letta grants`, as Block Kit: pure."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from relay.domain.approvals import Approval, State
from relay.domain.grants import Grant
from relay.domain.policy import Reason
from relay.domain.secrets import mask
from relay.slack import grant_blocks, outcomes
from relay.slack.blocks import Block, Blocks, Post, context, header, section
from relay.slack.mrkdwn import code, counted, day_and_time, escape, escaped, visible
from relay.slack.sentences import refused_inbox

_TOOL_LIMIT = 60
_LINE_LIMIT = 100
_CODE_LIMIT = 10
_LOOKED_AT = 8_000  # characters of an input, so that a secret in its first ones is known by its last
_MAIN = ("command", "cmd", "script", "file_path", "path", "url")
_PEOPLE = 3
_ARGUMENTS = 5
_MOST_GRANTS = 25
_DIVIDER: Block = {"type": "divider"}


@dataclass(frozen=True)
class Room:
    """How many rows there is room for."""

    yours: int
    others: int
    recent: int
    grants: int


HOME = Room(40, 18, 10, 19)  # with headings, lines and what is more: at most 98 of a view's 100 blocks
LIST = Room(15, 8, 6, 0)  # of a message's 50 blocks, and of about 13,000 characters over them all


@dataclass(frozen=True)
class Row:
    """A request, and where a card of it can be read; no link: nowhere that this person can."""

    approval: Approval
    link: str


@dataclass(frozen=True)
class Held:
    """A grant, and the request that it was given with."""

    grant: Grant
    approval: Approval | None


@dataclass
class Contents:
    """What one person's inbox holds; `grants` are those the person may revoke.

    `unsure` is how many requests could not be judged, for want of Slack's word on who is in which group.
    """

    refused: Reason | None = None
    yours: Sequence[Row] = ()
    yours_more: int = 0
    others: Sequence[Row] = ()
    others_more: int = 0
    recent: Sequence[Row] = ()
    grants: Sequence[Held] = field(default_factory=tuple)
    unsure: int = 0
    bounded: bool = False


def home(contents: Contents, user_id: str) -> Block:
    """Return the Home tab of a person."""
    if contents.refused is not None:
        return {"type": "home", "blocks": [section(refused_inbox(contents.refused))]}
    blocks = [*_waiting(contents), _DIVIDER, *_recent(contents), _DIVIDER]
    own = [one for one in contents.grants if one.grant.granted_by == user_id]
    blocks += _titled("Your grants", list(_grants(own, HOME.grants)), "You allow nothing for a while.")
    return {"type": "home", "blocks": blocks}


def approvals_list(contents: Contents) -> Post:
    """Return the same as a message for one person alone."""
    if contents.refused is not None:
        words = refused_inbox(contents.refused)
        return Post(words, [section(words)])
    waiting = len(contents.yours) + contents.yours_more
    return Post(f"{waiting} waiting for you", [*_waiting(contents), _DIVIDER, *_recent(contents)])


def grants_list(contents: Contents, most: int = _MOST_GRANTS) -> Post:
    """Return the grants that a person may revoke, as a message for them alone."""
    if contents.refused is not None:
        words = refused_inbox(contents.refused)
        return Post(words, [section(words)])
    rows = list(_grants(contents.grants, most))
    blocks = _titled("Grants", rows, "Nothing that you may revoke is allowed for a while.")
    return Post(counted(len(contents.grants), "grant"), blocks)


def _waiting(contents: Contents) -> Iterator[Block]:
    yours = [*_rows(contents.yours), *_more(contents.yours_more, contents)]
    yield from _titled("Waiting for you", yours, "Nothing waits for you.")
    if contents.unsure:
        yield context(
            f":warning: {contents.unsure:,} more may wait for you: "
            "I could not ask Slack which groups you are in. Try again in a moment."
        )
    yield _DIVIDER
    others = [*_rows(contents.others), *_more(contents.others_more, contents)]
    yield from _titled("Waiting for others", others, "Nothing of yours waits for others.")


def _recent(contents: Contents) -> Blocks:
    recent = [_row(one, f" · {outcomes.decided_by(one.approval)}") for one in contents.recent]
    return _titled("Recent", recent, "Nothing was decided lately that you had to do with.")


def _titled(title: str, rows: Sequence[Block], nothing: str) -> Blocks:
    return [header(title), *(rows or [context(nothing)])]


def _more(number: int, contents: Contents) -> Blocks:
    if not number:
        return []
    least = "at least " if contents.bounded else ""
    return [context(f"and {least}{number:,} more")]


def _rows(rows: Sequence[Row]) -> Iterator[Block]:
    for one in rows:
        state = " · expired" if one.approval.state is State.EXPIRED else ""
        yield _row(one, state)


def _row(row: Row, after: str) -> Block:
    approval = row.approval
    jump = f" · <{escape(row.link)}|go to the card>" if row.link else ""
    about = f"{_tool(approval.asked.tool_name)} {code(approval.code, _CODE_LIMIT)}"
    return section(f"{about} · {_asked(approval)}{after}{jump}\n{_input(approval)}")


def _input(approval: Approval) -> str:
    return "_no longer kept_" if approval.removed else line(approval.present_input)


def _tool(name: str) -> str:
    """Return a tool's name in bold, on one line; nothing in it begins code."""
    shown = " ".join(visible(name).split()).replace("`", "'").replace("*", "\N{ASTERISK OPERATOR}")
    return f"*{escaped(shown or '?', _TOOL_LIMIT)}*"


def _asked(approval: Approval) -> str:
    people = [f"<@{one}>" for one in approval.requesters[:_PEOPLE]]
    people += [f"{len(approval.requesters) - _PEOPLE} more"] if len(approval.requesters) > _PEOPLE else []
    by = f"asked for by {', '.join(people)}" if people else "asked for outside Slack"
    return f"{by}, {day_and_time(approval.created_at)}"


def _grants(grants: Sequence[Held], most: int) -> Iterator[Block]:
    for held in grants[:most]:
        grant = held.grant
        shown = f"\n{line(held.approval.asked.tool_input)}" if held.approval and not grant.patterns else ""
        words = f"{_tool(grant.tool_name)} by <@{grant.granted_by}> {grant_blocks.terms(grant)}"
        yield {**section(words + shown), "accessory": grant_blocks.revoke(grant)}
    if len(grants) > most:
        yield context(f"and {len(grants) - most:,} more")


def line(tool_input: Mapping[str, Any]) -> str:
    """Return what a tool is called with on one short line, without its secrets."""
    if not tool_input:
        return "without arguments"
    name = next((name for name in _MAIN if isinstance(tool_input.get(name), str)), "")
    if name and not tool_input[name].strip():
        return "(empty)"
    if name:
        return code(str(mask({name: tool_input[name][:_LOOKED_AT]}).value[name]), _LINE_LIMIT)
    masked: dict[str, Any] = mask(dict(_beginning(tool_input))).value
    return code(", ".join(f"{name} = {_written(value)}" for name, value in masked.items()), _LINE_LIMIT)


def _beginning(tool_input: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the first arguments, as far as their beginnings can be masked in no time."""
    room = _LOOKED_AT
    for name, value in list(tool_input.items())[:_ARGUMENTS]:
        held = value[:_LOOKED_AT] if isinstance(value, str) else value
        room -= len(_written(held))
        yield name, held if room > 0 else "…"


def _written(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
