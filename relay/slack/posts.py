"""What stands in a thread besides cards: the message that began it, how it fares, the agent's words."""

import re

from relay.domain.canonical import canonical_json
from relay.domain.text import clamp
from relay.slack.blocks import Block, Blocks, Post, actions, button, context, numbered, quoted, section
from relay.slack.mrkdwn import escape, escaped, moment, visible
from relay.slack.sentences import because
from relay.store.messages import Message

REPLY_LIMIT = 11_000  # of a markdown block's 12,000, and of about 13,000 over a message's blocks
_LONGEST_TEXT = 40_000
_QUOTE_LIMIT = 2_800
_NOTE_LIMIT = 600

_PING = re.compile(r"<(?=!(?:channel|here|everyone|group|subteam|date)|@[A-Z]|#[A-Z])", re.IGNORECASE)

_LONGEST_MARK = 12  # of what the mark above looks for


def root(message: Message) -> Post:
    """Return the message that quotes a command; its thread carries everything after."""
    text, left_out = clamp(visible(message.text), _QUOTE_LIMIT)
    to = [
        {"type": "user", "user_id": message.user_id},
        {"type": "text", "text": " to "},
        {"type": "text", "text": message.environment, "style": {"bold": True}},
    ]
    elements: list[Block] = [{"type": "rich_text_section", "elements": to}, quoted(text)]
    blocks: Blocks = [{"type": "rich_text", "elements": elements}]
    if left_out:
        blocks.append(context(f"{left_out:,} characters are left out here; the agent gets all of them."))
    plain = f"<@{message.user_id}> to {escape(message.environment)}: {escape(text[:500])}"
    return Post(plain, numbered(blocks, message.id))


def status(message: Message) -> Post:
    """Return how a message fares, with a Retry button when it was given up."""
    away = moment(message.settled_at) if message.settled_at else "just now"
    sentence = {
        "queued": ":hourglass_flowing_sand: Being sent.",
        "away": f":zzz: *{escape(message.environment)}* has been offline since {away}{because(message.note)}. Your message waits and is sent when it is back.",
        "retrying": f":hourglass_flowing_sand: Not delivered yet{': ' + escaped(message.note, _NOTE_LIMIT) if message.note else ''}. I keep trying.",
        "delivered": f":white_check_mark: Delivered to *{escape(message.environment)}* at {away}.",
        "failed": f":warning: *Not delivered*: {escaped(message.note, _NOTE_LIMIT)}",
        "dropped": f":heavy_minus_sign: *Not delivered*: the operator of relay gave your message up{because(message.note)}.",
    }[message.state]
    blocks: Blocks = [section(sentence)]
    if message.state == "failed":
        blocks.append(actions(button("Retry", "retry", canonical_json({"subject_id": message.id}))))
    return Post(sentence, numbered(blocks, f"{message.id}/{message.state}"))


def reply(text: str) -> Post:
    """Return the agent's words as Slack renders Markdown; they can ping nobody."""
    harmless = _PING.sub("&lt;", text)
    if len(harmless) > REPLY_LIMIT:  # too many to spell them out: one character for one
        harmless = _PING.sub("\N{SINGLE LEFT-POINTING ANGLE QUOTATION MARK}", text)
    return Post(escape(text[:500]), [{"type": "markdown", "text": harmless}])


def so_far(text: str) -> str:
    """Return the words of an unfinished reply as they will stand in it, as far as that is sure.

    A mark at the end that the next words could make a ping is held back until they come.
    """
    begun = text.lstrip("\n")[:REPLY_LIMIT]
    opened = begun.rfind("<", -_LONGEST_MARK)
    begun = begun if opened < 0 else begun[:opened]
    return _PING.sub("&lt;", begun).rstrip()[:REPLY_LIMIT]


def working(message: Message) -> Post:
    """Return what says that a turn runs, with a button that stops it."""
    sentence = ":hourglass_flowing_sand: Working…"
    stop = button("Stop", "stop", canonical_json({"subject_id": message.id}))
    return Post(sentence, numbered([section(sentence), actions(stop)], f"{message.id}/working"))


def literal(text: str) -> str:
    """Return words as a message without blocks carries them."""
    whole = escape(text) or "…"
    return whole if len(whole) <= _LONGEST_TEXT else text.translate(_LOOKALIKES)


_LOOKALIKES = str.maketrans(
    {
        "&": "\N{FULLWIDTH AMPERSAND}",
        "<": "\N{SINGLE LEFT-POINTING ANGLE QUOTATION MARK}",
        ">": "\N{SINGLE RIGHT-POINTING ANGLE QUOTATION MARK}",
    }
)


def plain(text: str) -> Post:
    """Return a sentence of relay's own."""
    return Post(text, [section(text)])
