"""What is shown in a modal: everything a tool is called with, as far as one can hold it."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from relay.domain.approvals import Approval, Asked
from relay.slack import arguments, diffs
from relay.slack.blocks import Block, Blocks, context, line, plain_text, preformatted, rich
from relay.slack.mrkdwn import code, counted, escaped, visible
from relay.slack.outcomes import TEXTS_REMOVED

_PIECE = 2_900
_MOST_BLOCKS = 98  # of a modal's 100, with the first and the last line
_LIMIT = 200_000
_NAME_LIMIT = 100


def details(approval: Approval) -> Block:
    """Return a modal with the whole input and what it would change, no secret in it."""
    asked, of = approval.asked, arguments.shown(approval)
    parts = list(_parts(of))
    boxes = [box for heading, text in parts for box in _boxes(heading, text)]
    if len(boxes) > _MOST_BLOCKS:  # many arguments: one after the other, with no box of its own for each
        boxes = [box for heading, text in _close(of) for box in _boxes(heading, text)]
    length = sum(len(text) for _, text in parts)
    masked = f" · :lock: {of.found} masked" if of.found else ""
    what = f"*{escaped(visible(asked.tool_name), 200)}* · {counted(length, 'character')}{masked}"
    blocks: Blocks = [context(f"{what}\n{_where(asked)}")]
    room = _LIMIT // _PIECE
    blocks += boxes[:room] or [context(TEXTS_REMOVED if approval.removed else "without arguments")]
    if len(boxes) > room:
        blocks.append(context("The rest does not fit into Slack."))
    return {
        "type": "modal",
        "title": plain_text("What is asked"),
        "close": plain_text("Close"),
        "blocks": blocks,
    }


def _where(asked: Asked) -> str:
    agent, conversation = (code(one, _NAME_LIMIT) for one in (asked.agent_id, asked.conversation_id))
    environment = escaped(asked.environment, _NAME_LIMIT)
    return f"environment *{environment}* · agent {agent} · conversation {conversation}"


def _parts(of: arguments.Shown) -> Iterator[tuple[Block, str]]:
    yield from _of_input(of.input, of.input if of.was is None else of.was)
    for change in of.changes:
        yield diffs.heading(change), visible(change.text)


def _of_input(present: Mapping[str, Any], was: Mapping[str, Any]) -> Iterator[tuple[Block, str]]:
    """Yield every argument; of those that somebody changed both values, the former one first."""
    for name in [*present, *(name for name in was if name not in present)]:
        if name in present and name in was and present[name] == was[name]:
            yield _value(name, "", present[name])
            continue
        yield _value(name, " was", was[name]) if name in was else _absent(name, " was")
        yield _value(name, " is now", present[name]) if name in present else _absent(name, " is now")


def _value(name: str, after: str, value: Any) -> tuple[Block, str]:
    return line(arguments.named(name, _NAME_LIMIT), after), visible(arguments.written(value))


def _absent(name: str, after: str) -> tuple[Block, str]:
    return line(arguments.named(name, _NAME_LIMIT), after), "(not given)"


def _close(of: arguments.Shown) -> Iterator[tuple[Block, str]]:
    close = json.dumps(of.input, ensure_ascii=False)
    yield line("all arguments", " are now" if of.was is not None else ""), visible(close)
    if of.was is not None:
        yield line("all arguments", " were"), visible(json.dumps(of.was, ensure_ascii=False))
    if of.changes:
        told = (f"{one.name}  {one.counts}\n{one.text}" for one in of.changes)
        yield line("changes to files"), visible("\n".join(told))


def _boxes(heading: Block, text: str) -> Iterator[Block]:
    for start in range(0, max(len(text), 1), _PIECE):
        above = [] if start else [heading]
        yield rich(*above, preformatted(text[start : start + _PIECE]))
