"""Small makers of a form's inputs, each within Slack's limits, and what a form carries out and back."""

import json
from collections.abc import Mapping, Sequence
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from relay.domain.approvals import Approval
from relay.domain.rules import Risk
from relay.slack.blocks import Block, Blocks, context, plain_text, section
from relay.slack.mrkdwn import code, escaped, visible

LONGEST = 3_000  # of what an input takes, and of what it may begin with
_LABEL_LIMIT = 150
_OPTION_LIMIT = 75
_TOOL_LIMIT = 100
_ID_LIMIT = 60


class Meant(BaseModel):
    """What a form is about: the request, what of it was shown, and where its card stands."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    approval_id: str = Field(min_length=1, max_length=100)
    tool_call_id: str = Field(default="", max_length=500)  # none where it is long
    shown_hash: str = Field(min_length=1, max_length=100)
    channel_id: str = Field(default="", max_length=100)
    message_ts: str | None = Field(default=None, max_length=100)

    @classmethod
    def read(cls, written: str) -> Self | None:
        """Return what a form carried, or None when it is none of ours."""
        try:
            return cls.model_validate_json(written)
        except ValidationError:
            return None


class UnfitError(Exception):
    """What was entered makes no answer; `errors` says why, by the id of the input's block."""

    def __init__(self, errors: Mapping[str, str]) -> None:
        super().__init__("; ".join(errors))
        self.errors = dict(errors)


def modal(form: str, title: str, submit: str, blocks: Blocks, meant: Meant) -> Block:
    """Return a form; `submit` is what its button says."""
    return {
        "type": "modal",
        "callback_id": form,
        "title": plain_text(title[:24]),
        "submit": plain_text(submit[:24]),
        "close": plain_text("Cancel"),
        "private_metadata": meant.model_dump_json(),
        "blocks": blocks,
    }


def about(approval: Approval) -> Blocks:
    """Return what a form says of the request, nothing of its input."""
    tool = escaped(visible(approval.asked.tool_name), _TOOL_LIMIT)
    where = f"environment *{escaped(approval.asked.environment, _ID_LIMIT)}*"
    told = f"*{tool}* · {where}" + (f" · {code(approval.code, _ID_LIMIT)}" if approval.code else "")
    risky = [section(":rotating_light: *High risk*")] if approval.ask.risk is Risk.HIGH else []
    return [context(told), *risky]


def asked(block_id: str, label: str, element: Block, *, optional: bool = False, hint: str = "") -> Block:
    """Return an input under its label; names of a tool's own are shown to the letter."""
    shown = visible(label) if label.strip() else json.dumps(label)
    words = {"type": "plain_text", "text": _cut(shown, _LABEL_LIMIT), "emoji": False}
    made: Block = {"type": "input", "block_id": block_id, "label": words, "element": element}
    made |= {"optional": True} if optional else {}
    return made | ({"hint": plain_text(hint)} if hint else {})


def text(initial: str = "", *, multiline: bool = False, placeholder: str = "") -> Block:
    """Return an input for words."""
    made: Block = {"type": "plain_text_input", "action_id": "entered", "multiline": multiline}
    made |= {"max_length": LONGEST}
    made |= {"initial_value": initial} if initial else {}
    return made | ({"placeholder": plain_text(placeholder)} if placeholder else {})


def number(initial: str, *, whole: bool) -> Block:
    """Return an input for a number."""
    return {
        "type": "number_input",
        "action_id": "entered",
        "is_decimal_allowed": not whole,
        "initial_value": initial,
    }


def one_of(kind: str, options: Sequence[tuple[str, str]], initial: str = "") -> Block:
    """Return a choice of one, as radio buttons or a menu; each option is a text and its value."""
    made = [_option(words, value) for words, value in options]
    first = [one for one in made if one["value"] == initial]
    element: Block = {"type": kind, "action_id": "entered", "options": made}
    return element | ({"initial_option": first[0]} if first else {})


def some_of(options: Sequence[tuple[str, str]]) -> Block:
    """Return boxes to tick, ten at most."""
    made = [_option(words, value) for words, value in options[:10]]
    return {"type": "checkboxes", "action_id": "entered", "options": made}


def _option(words: str, value: str) -> Block:
    return {"text": plain_text(_cut(visible(words) or "?", _OPTION_LIMIT)), "value": value}


def _cut(words: str, limit: int) -> str:
    line = " ".join(words.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"
