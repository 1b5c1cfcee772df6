"""Small makers of Block Kit, each within its own limit.

https://docs.slack.dev/reference/block-kit/blocks
What a tool is called with goes into preformatted rich text, which Slack shows to the letter: no
backtick, mention or link in an argument can leave its box.
"""

from dataclasses import dataclass
from typing import Any

Block = dict[str, Any]
Blocks = list[Block]


@dataclass(frozen=True)
class Post:
    """A message for Slack: `text` is what notifications and screen readers get."""

    text: str
    blocks: Blocks


def numbered(blocks: Blocks, stem: str) -> Blocks:
    """Give every block an id of its own, and a new one whenever the message is updated."""
    return [{**block, "block_id": f"{stem}/{number}"} for number, block in enumerate(blocks)]


def size(block: Any) -> int:
    """Return how many characters a reader sees, which Slack limits over a whole message."""
    if isinstance(block, list):
        return sum(size(one) for one in block)
    if not isinstance(block, dict):
        return 0
    own = len(block["text"]) if isinstance(block.get("text"), str) else 0
    return own + sum(size(value) for value in block.values())


def header(text: str) -> Block:
    shown = text if len(text) <= 150 else text[:149] + "…"
    return {"type": "header", "text": plain_text(shown)}


def plain_text(text: str) -> Block:
    return {"type": "plain_text", "text": text}


def mrkdwn(text: str) -> Block:
    return {"type": "mrkdwn", "text": text}


def section(text: str) -> Block:
    return {"type": "section", "text": mrkdwn(text[:3000])}


def fields(texts: list[str]) -> Block:
    """Return a table of two columns; ten texts at most."""
    return {"type": "section", "fields": [mrkdwn(text[:2000]) for text in texts[:10]]}


def context(text: str) -> Block:
    return {"type": "context", "elements": [mrkdwn(text[:3000])]}


def rich(*elements: Block) -> Block:
    return {"type": "rich_text", "elements": list(elements)}


def line(name: str, after: str = "") -> Block:
    elements: Blocks = [{"type": "text", "text": name, "style": {"bold": True}}]
    return {
        "type": "rich_text_section",
        "elements": [*elements, {"type": "text", "text": after}] if after else elements,
    }


def preformatted(text: str) -> Block:
    return {"type": "rich_text_preformatted", "elements": [{"type": "text", "text": text or " "}]}


def quoted(text: str) -> Block:
    return {"type": "rich_text_quote", "elements": [{"type": "text", "text": text or " "}]}


def actions(*elements: Block) -> Block:
    return {"type": "actions", "elements": list(elements)}


def button(
    text: str, action_id: str, value: str, *, style: str | None = None, confirm: Block | None = None
) -> Block:
    made: Block = {"type": "button", "text": plain_text(text), "action_id": action_id, "value": value}
    return made | ({"style": style} if style else {}) | ({"confirm": confirm} if confirm else {})


def confirm(title: str, text: str, yes: str, no: str) -> Block:
    """Return a dialog that asks once more before a button counts."""
    return {
        "title": plain_text(title[:100]),
        "text": mrkdwn(text if len(text) <= 300 else text[:299] + "…"),
        "confirm": plain_text(yes[:30]),
        "deny": plain_text(no[:30]),
    }


def overflow(action_id: str, options: list[tuple[str, str]]) -> Block:
    """Return the menu behind three dots: at most five options, each a text and its value."""
    return {
        "type": "overflow",
        "action_id": action_id,
        "options": [{"text": plain_text(text), "value": value} for text, value in options[:5]],
    }
