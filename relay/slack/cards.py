"""Cards and messages as Block Kit: pure, from the state things are in; every limit of Slack's kept.

https://docs.slack.dev/reference/block-kit/blocks
What a tool is called with goes into preformatted rich text, which Slack shows to the letter: no
backtick, mention or link in an argument can leave its box.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from relay.domain.approvals import Approval, State
from relay.domain.canonical import canonical_json
from relay.domain.text import clamp
from relay.slack.mrkdwn import escape, escaped, moment, visible
from relay.slack.sentences import because, decided_by
from relay.store.messages import Message

REPLY_LIMIT = 11_000  # of a markdown block's 12,000, and of about 13,000 over a message's blocks
_LONGEST_TEXT = 40_000
_ARGUMENT_LIMIT = 2_500
_ARGUMENTS_LIMIT = 5_000
_REST_LIMIT = 2_500
_WORDS_LIMIT = 1_000
_QUOTE_LIMIT = 2_800
_NOTE_LIMIT = 600
_NAME_LIMIT = 100
_MOST_ARGUMENTS = 12
_SMALLEST = 200
_SMALLEST_LINE = 40
_MODAL_PIECE = 2_900
_MODAL_BLOCKS = 98  # of a modal's 100, with the first and the last line
_MODAL_LIMIT = 200_000

Blocks = list[dict[str, Any]]

_PING = re.compile(r"<(?=!(?:channel|here|everyone|group|subteam|date)|@[A-Z]|#[A-Z])", re.IGNORECASE)

_LONGEST_MARK = 12  # of what the mark above looks for


@dataclass(frozen=True)
class Post:
    """A message for Slack: `text` is what notifications and screen readers get."""

    text: str
    blocks: Blocks


def card(approval: Approval, *, scale: float = 1.0) -> Post:
    """Return the card of a request in its present state; `scale` under 1 shows less of long arguments."""
    asked = approval.asked
    tool = visible(asked.tool_name)
    shown, left_out = _arguments(approval, scale)
    blocks: Blocks = [_header(f"{tool}: {_headline(approval)}"), _context(_who(approval))]
    blocks.append({"type": "rich_text", "elements": shown})
    words = _agents_words(approval)
    if words:
        blocks.append(_context("*In the agent's own words, unchecked:*"))
        blocks.append(_rich("rich_text_quote", clamp(words, int(_WORDS_LIMIT * scale) + _SMALLEST)[0]))
    blocks.extend(_not_shown(approval, left_out))
    blocks.extend(_ending(approval))
    return Post(
        f"{escape(tool)}: {_headline(approval)}",
        _numbered(blocks, f"{approval.id}/{approval.revision}"),
    )


_HEADLINES = {
    State.PENDING: "approval needed",
    State.DECIDED: "{decided}, being delivered",
    State.DELIVERED: "{decided}",
    State.FAILED: "{decided}, not delivered",
    State.WITHDRAWN: "no longer asked",
    State.SUPERSEDED: "asked anew on another card",
    State.DECIDED_ELSEWHERE: "decided elsewhere",
    State.UNCONFIRMED: "{decided}, not confirmed",
}


def _headline(approval: Approval) -> str:
    decided = "approved" if approval.decision and approval.decision.approve else "denied"
    return _HEADLINES[approval.state].format(decided=decided)


def _who(approval: Approval) -> str:
    asked = approval.asked
    people = ", ".join(f"<@{user_id}>" for user_id in approval.requesters[:10])
    by = f"Asked for by {people}" if people else "Asked for outside Slack"
    where = f"environment *{escaped(asked.environment, 80)}* · agent `{escaped(asked.agent_id, 80)}`"
    return f"{by} · {where} · conversation `{escaped(asked.conversation_id, 80)}`"


def _not_shown(approval: Approval, left_out: int) -> Iterator[dict[str, Any]]:
    pending = approval.state is State.PENDING
    if left_out:
        more = "; *Details* shows everything" if pending else ""
        yield _context(f":scissors: {left_out:,} characters are left out above{more}.")
    if approval.asked.diffs and pending:
        yield _context(":mag: *Details* shows the changes to files as a diff.")


def _split_words(approval: Approval) -> tuple[dict[str, Any], str]:
    """Return the arguments that do something, and the one that is only the agent's claim about them."""
    tool_input = dict(approval.asked.tool_input)
    claim = tool_input.get("description")
    if "command" in tool_input and isinstance(claim, str):
        del tool_input["description"]
        return tool_input, claim
    return tool_input, ""


def _agents_words(approval: Approval) -> str:
    claim = _split_words(approval)[1]
    return visible("\n".join(part for part in (approval.asked.words.strip(), claim.strip()) if part))


def _arguments(approval: Approval, scale: float) -> tuple[list[dict[str, Any]], int]:
    """Return every argument under its name, and how many characters had to be left out."""
    arguments = list(_split_words(approval)[0].items())
    boxes = _MOST_ARGUMENTS if len(arguments) <= _MOST_ARGUMENTS else _MOST_ARGUMENTS - 1
    rest, missing = _in_lines(arguments[boxes:], int(_REST_LIMIT * scale))
    elements: list[dict[str, Any]] = []
    room = int(_ARGUMENTS_LIMIT * scale) - len(rest)
    for name, value in arguments[:boxes]:
        limit = max(_SMALLEST, min(int(_ARGUMENT_LIMIT * scale), room))
        text, left_out = clamp(visible(_written(value)), limit)
        room -= len(text)
        missing += left_out
        elements += [_line(_named(name, _NAME_LIMIT)), _preformatted(text)]
    if rest:
        elements += [_line(f"{len(arguments) - boxes:,} more arguments"), _preformatted(rest)]
    return elements or [_line("without arguments")], missing


def _in_lines(arguments: list[tuple[str, Any]], room: int) -> tuple[str, int]:
    """Return arguments as a line each, names before values, and how many characters that leaves out."""
    each = max(_SMALLEST_LINE, room // max(len(arguments), 1))
    lines: list[str] = []
    missing = 0
    for name, value in arguments:
        whole = f"{_named(name, each - 4)} = {visible(json.dumps(value, ensure_ascii=False))}"
        if sum(map(len, lines)) > room:
            missing += len(whole)
            continue
        lines.append(whole if len(whole) < each else whole[: each - 2] + "…")
        missing += max(0, len(whole) - len(lines[-1]))
    hidden = len(arguments) - len(lines)
    return "\n".join([*lines, f"… and {hidden:,} more"] if hidden else lines), missing


def _named(name: str, limit: int) -> str:
    shown = visible(name).replace("\n", "\\n").replace("\t", "\\t") or '""'
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"


def _written(value: Any) -> str:
    if isinstance(value, str) and value.strip():
        return value
    close = json.dumps(value, ensure_ascii=False)
    try:
        spread = json.dumps(value, ensure_ascii=False, indent=2)
    except RecursionError:  # deeper than anybody could read anyway
        return close
    return spread if len(spread) <= 4 * len(close) else close


def _ending(approval: Approval) -> Iterator[dict[str, Any]]:
    if approval.state is State.PENDING:
        yield _actions(
            _button("Approve", "approve", _value(approval), style="primary"),
            _button("Deny", "deny", _value(approval), style="danger"),
            _button("Details", "details", _value(approval)),
        )
        return
    yield _section(_outcome(approval))
    if approval.state is State.FAILED:
        yield _actions(_button("Retry", "retry", canonical_json({"subject_id": approval.id})))


def _outcome(approval: Approval) -> str:
    decision = approval.decision
    who = decided_by(approval)
    who = who[:1].upper() + who[1:]
    mark = ":white_check_mark:" if decision and decision.approve else ":no_entry:"
    reason = f"\n_{escaped(decision.in_words, _NOTE_LIMIT)}_" if decision and decision.in_words else ""
    return {
        State.PENDING: "",
        State.DECIDED: f"{mark} {who}. {_under_way(approval)}{reason}",
        State.DELIVERED: f"{mark} {who}. Delivered.{reason}",
        State.FAILED: f":warning: {who}, but *not delivered*: {escaped(approval.note, _NOTE_LIMIT)}{reason}",
        State.WITHDRAWN: f":heavy_minus_sign: {_withdrawn(approval, who)}",
        State.SUPERSEDED: f":heavy_minus_sign: {_superseded(approval, who)}",
        State.DECIDED_ELSEWHERE: f":heavy_minus_sign: {_elsewhere(approval, who)}",
        State.UNCONFIRMED: f":grey_question: {who}. It was sent, and the agent asks no longer, but nothing shows that it was this answer that arrived.{reason}",
    }[approval.state]


def _under_way(approval: Approval) -> str:
    if not approval.note:
        return "Delivering…"
    return f"*Not delivered yet:* {escaped(approval.note, _NOTE_LIMIT)}. I keep trying."


def _withdrawn(approval: Approval, who: str) -> str:
    if approval.decision is None:
        return "The agent asks no longer; nothing was decided here."
    return f"{who}, but the agent had stopped asking; *not delivered*."


def _superseded(approval: Approval, who: str) -> str:
    if approval.decision is None:
        return "The agent asks anew, on another card; nothing was decided here."
    return f"{who}. Then the agent asked anew, on another card; this one decides nothing more."


def _elsewhere(approval: Approval, who: str) -> str:
    if approval.decision is None:
        return "Somebody answered outside Slack."
    return f"{who}, but somebody outside Slack had answered first; *not delivered*."


def _value(approval: Approval) -> str:
    return canonical_json(
        {
            "approval_id": approval.id,
            "tool_call_id": approval.asked.tool_call_id,
            "input_hash": approval.input_hash,
        }
    )


def details(approval: Approval) -> dict[str, Any]:
    """Return a modal with the whole input, as far as a modal can hold one."""
    asked = approval.asked
    parts = [(_named(name, _NAME_LIMIT), _written(value)) for name, value in asked.tool_input.items()]
    parts += [("diffs", _written(list(asked.diffs)))] if asked.diffs else []
    boxes = [box for name, text in parts for box in _boxes(name, visible(text))]
    if len(boxes) > _MODAL_BLOCKS:  # many arguments: one after the other, with no box of its own for each
        close = json.dumps(dict(asked.tool_input), ensure_ascii=False)
        boxes = list(_boxes("all arguments", visible(close)))
    length = sum(len(text) for _, text in parts)
    blocks: Blocks = [_context(f"*{escaped(visible(asked.tool_name), 200)}* · {length:,} characters")]
    room = _MODAL_LIMIT // _MODAL_PIECE
    blocks += boxes[:room] or [_context("without arguments")]
    if len(boxes) > room:
        blocks.append(_context("The rest does not fit into Slack."))
    return {
        "type": "modal",
        "title": {"type": "plain_text", "text": "What is asked"},
        "close": {"type": "plain_text", "text": "Close"},
        "blocks": blocks,
    }


def _boxes(name: str, text: str) -> Iterator[dict[str, Any]]:
    for start in range(0, max(len(text), 1), _MODAL_PIECE):
        heading = [] if start else [_line(name)]
        piece = _preformatted(text[start : start + _MODAL_PIECE])
        yield {"type": "rich_text", "elements": [*heading, piece]}


def root(message: Message) -> Post:
    """Return the message that quotes a command; its thread carries everything after."""
    text, left_out = clamp(visible(message.text), _QUOTE_LIMIT)
    to = [
        {"type": "user", "user_id": message.user_id},
        {"type": "text", "text": " to "},
        {"type": "text", "text": message.environment, "style": {"bold": True}},
    ]
    elements: list[dict[str, Any]] = [{"type": "rich_text_section", "elements": to}, _quoted(text)]
    blocks: Blocks = [{"type": "rich_text", "elements": elements}]
    if left_out:
        blocks.append(_context(f"{left_out:,} characters are left out here; the agent gets all of them."))
    plain = f"<@{message.user_id}> to {escape(message.environment)}: {escape(text[:500])}"
    return Post(plain, _numbered(blocks, message.id))


def status(message: Message) -> Post:
    """Return how a message fares, with a Retry button when it was given up."""
    away = moment(message.settled_at) if message.settled_at else "just now"
    sentence = {
        "queued": ":hourglass_flowing_sand: Being sent.",
        "away": f":zzz: *{escape(message.environment)}* has been offline since {away}{because(message.note)}. Your message waits and is sent when it is back.",
        "retrying": f":hourglass_flowing_sand: Not delivered yet{': ' + escaped(message.note, _NOTE_LIMIT) if message.note else ''}. I keep trying.",
        "delivered": f":white_check_mark: Delivered to *{escape(message.environment)}* at {away}.",
        "failed": f":warning: *Not delivered*: {escaped(message.note, _NOTE_LIMIT)}",
    }[message.state]
    blocks: Blocks = [_section(sentence)]
    if message.state == "failed":
        blocks.append(_actions(_button("Retry", "retry", canonical_json({"subject_id": message.id}))))
    return Post(sentence, _numbered(blocks, f"{message.id}/{message.state}"))


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
    button = _button("Stop", "stop", canonical_json({"subject_id": message.id}))
    return Post(sentence, _numbered([_section(sentence), _actions(button)], f"{message.id}/working"))


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
    return Post(text, [_section(text)])


def _numbered(blocks: Blocks, stem: str) -> Blocks:
    """Give every block an id of its own, and a new one whenever the message is updated."""
    return [{**block, "block_id": f"{stem}/{number}"} for number, block in enumerate(blocks)]


def _header(text: str) -> dict[str, Any]:
    return {
        "type": "header",
        "text": {"type": "plain_text", "text": text if len(text) <= 150 else text[:149] + "…"},
    }


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text[:3000]}}


def _context(text: str) -> dict[str, Any]:
    return {"type": "context", "elements": [{"type": "mrkdwn", "text": text[:3000]}]}


def _rich(kind: str, text: str) -> dict[str, Any]:
    return {
        "type": "rich_text",
        "elements": [{"type": kind, "elements": [{"type": "text", "text": text or " "}]}],
    }


def _line(name: str) -> dict[str, Any]:
    return {
        "type": "rich_text_section",
        "elements": [{"type": "text", "text": name, "style": {"bold": True}}],
    }


def _preformatted(text: str) -> dict[str, Any]:
    return {"type": "rich_text_preformatted", "elements": [{"type": "text", "text": text or " "}]}


def _quoted(text: str) -> dict[str, Any]:
    return {"type": "rich_text_quote", "elements": [{"type": "text", "text": text or " "}]}


def _actions(*buttons: dict[str, Any]) -> dict[str, Any]:
    return {"type": "actions", "elements": list(buttons)}


def _button(text: str, action_id: str, value: str, *, style: str | None = None) -> dict[str, Any]:
    button = {
        "type": "button",
        "text": {"type": "plain_text", "text": text},
        "action_id": action_id,
        "value": value,
    }
    return {**button, "style": style} if style else button
