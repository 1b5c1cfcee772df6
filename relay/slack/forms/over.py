"""What stands in a form's place when it came too late, or may not be taken: why, and what was typed."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from relay.slack.blocks import Block, Blocks, context, line, plain_text, preformatted, rich, section
from relay.slack.mrkdwn import visible

_PIECE = 2_900
_MOST_BLOCKS = 98
_ROOM = 200_000  # of a view's 250,000


def view(sentence: str, typed: Sequence[tuple[str, str]]) -> Block:
    """Return a modal that says why nothing was done, with what was typed to be copied."""
    blocks: Blocks = [section(sentence)]
    if typed:
        blocks.append(context("What you typed, to be copied:"))
    room = _ROOM
    for piece in _pieces(typed):
        room -= len(json.dumps(piece))
        if room < 0 or len(blocks) >= _MOST_BLOCKS:
            blocks.append(context("The rest does not fit into Slack."))
            break
        blocks.append(piece)
    return {
        "type": "modal",
        "title": plain_text("Not taken"),
        "close": plain_text("Close"),
        "blocks": blocks,
    }


def _pieces(typed: Sequence[tuple[str, str]]) -> Iterator[Block]:
    for label, words in typed:
        shown = visible(words)
        for start in range(0, len(shown), _PIECE):
            above = [] if start else [line(label)]
            yield rich(*above, preformatted(shown[start : start + _PIECE]))


def typed(blocks: Sequence[Mapping[str, Any]], entered: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return what somebody entered into a form, under its labels: what it began with is not theirs."""
    found = []
    for block in blocks:
        element = _part(block, "element")
        words = entered.get(str(block.get("block_id")), "")
        if block.get("type") == "input" and words and words != _begun_with(element):
            found.append((str(_part(block, "label").get("text") or "?"), _told(element, words)))
    return found


def first_input(blocks: Sequence[Mapping[str, Any]]) -> str:
    """Return the id of the first input, under which Slack shows an error; empty where there is none."""
    ids = (str(block.get("block_id") or "") for block in blocks if block.get("type") == "input")
    return next(ids, "")


def _begun_with(element: Mapping[str, Any]) -> str:
    first = _part(element, "initial_option")
    return str(element.get("initial_value") or first.get("value") or "")


def _told(element: Mapping[str, Any], words: str) -> str:
    """Return what was chosen by its name, and what was typed as it is."""
    listed = element.get("options")
    offered = [one for one in listed if isinstance(one, Mapping)] if isinstance(listed, list) else []
    names = {str(one.get("value")): str(_part(one, "text").get("text")) for one in offered}
    return ", ".join(names.get(one, one) for one in words.split(",")) if names else words


def _part(holder: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return what stands under a name, if it has parts: what comes back may have been tampered with."""
    found = holder.get(name)
    return found if isinstance(found, Mapping) else {}
