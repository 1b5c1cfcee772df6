"""Edit and approve: the whole input, a field a key, made from what the tool would be called with now."""

from collections.abc import Iterator, Mapping
from typing import Any

from relay.domain.approvals import Approval
from relay.domain.canonical import canonical_json
from relay.domain.secrets import mask
from relay.slack.arguments import COMMANDS
from relay.slack.blocks import Block, Blocks, context, plain_text
from relay.slack.forms import values
from relay.slack.forms.fields import LONGEST, Meant, UnfitError, about, asked, modal, number, one_of, text
from relay.slack.forms.values import Entry, Kind
from relay.slack.mrkdwn import code, counted
from relay.use_cases.record_decision import Answer

LEADS_TO = Answer(approve=True, updated_input={})
_WORDS = "words"
_NAME_LIMIT = 100
_EMPTY = "Empty means an empty text."
_NO_COMMAND = "An empty command runs nothing: deny it instead."
_UNCHANGED = "Nothing is changed here. To approve it as it is, use Approve on the card."


def view(approval: Approval, meant: Meant, votes: bool) -> Block:
    """Return the form; whoever only changes, and does not vote, is told what their change does."""
    tool_input = approval.present_input
    found = _entries(tool_input)
    editable = [one for one in found if one.kind is not Kind.FIXED]
    blocks: Blocks = [*about(approval), *_terms(approval, votes=votes)]
    if mask(dict(tool_input)).found:
        told = "A mark such as ‹secret 1: …› stands for a secret: leave it as it is, or replace it whole."
        blocks.append(context(f":lock: {told}"))
    blocks += [_shown(place, entry) for place, entry in enumerate(found)]
    if len(found) == values.MOST < len(tool_input):
        blocks.append(context(_rest(len(tool_input) - len(found))))
    if not editable:
        close = {"type": "modal", "title": plain_text("Edit"), "close": plain_text("Close")}
        return close | {"blocks": [*blocks, context("None of it fits into a form.")]}
    hint = "The agent reads it." if votes else ""
    if votes:
        blocks.append(asked(_WORDS, "Comment", text(multiline=True), optional=True, hint=hint))
    return modal("edit", "Edit", "Change and approve" if votes else "Change", blocks, meant)


def read(approval: Approval, entered: Mapping[str, str]) -> Answer:
    """Return the approval of the whole input as it was changed. Raises UnfitError, a sentence a field."""
    tool_input = approval.present_input
    found = _entries(tool_input)
    changed: dict[str, Any] = dict(tool_input)
    errors: dict[str, str] = {}
    for place, entry in enumerate(found):
        if entry.kind is Kind.FIXED or _block_id(place) not in entered:
            continue
        try:
            value = values.read(entry, entered[_block_id(place)], tool_input)
        except ValueError as problem:
            errors[_block_id(place)] = str(problem)
            continue
        before, changed = changed, value if entry.whole else {**changed, entry.name: value}
        if _emptied(before, changed):
            errors[_block_id(place)] = _NO_COMMAND
    if not errors and canonical_json(changed) == canonical_json(dict(tool_input)):
        errors[_first(found)] = _UNCHANGED
    if errors:
        raise UnfitError(errors)
    return Answer(approve=True, reason=entered.get(_WORDS, "").strip(), updated_input=changed)


def _entries(tool_input: Mapping[str, Any]) -> list[Entry]:
    """Return a field a key; one JSON text where there are no keys, or too many, as long as it fits."""
    each = values.entries(tool_input)
    if each and len(tool_input) <= values.MOST:
        return each
    one = values.whole(tool_input)
    return each if one.kind is Kind.FIXED and each else [one]


def _first(found: list[Entry]) -> str:
    return next(_block_id(place) for place, one in enumerate(found) if one.kind is not Kind.FIXED)


def _block_id(place: int) -> str:
    return f"value-{place}"


def _rest(number: int) -> str:
    stay = "stays as it is" if number == 1 else "stay as they are"
    return f"{counted(number, 'more argument')} {stay}."


def _terms(approval: Approval, *, votes: bool) -> Iterator[Block]:
    if not votes:
        yield context("Your change goes on the card; whoever may decide approves or denies it there.")
    elif approval.ask.edit_needs_another:
        yield context("Whoever changes it does not count as one who approves: somebody else has to, too.")
    elif approval.ask.quorum > 1:
        yield context("Approvals that were given for what stands here now do not count for your change.")


def _shown(place: int, entry: Entry) -> Block:
    label = entry.shown_name
    if entry.kind is Kind.FIXED:
        why = f"too long for a form (an input takes {LONGEST:,} characters): it stays as it is."
        return context(f"{code(label, _NAME_LIMIT)}: {why}")
    element, hint = _element(entry)
    optional = entry.kind in (Kind.TEXT, Kind.LINES) and not _is_command(entry)
    hint = _EMPTY if optional and isinstance(entry.original, str) else hint
    return asked(_block_id(place), label, element, optional=optional, hint=hint)


def _is_command(entry: Entry) -> bool:
    """Return whether this is a command, which to leave empty would be to drop what is asked for."""
    return entry.name in COMMANDS and bool(entry.shown.strip())


def _emptied(was: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Return whether a command that had words has none any more."""
    return any(_has_words(was.get(name)) and not _has_words(now.get(name)) for name in COMMANDS)


def _has_words(value: Any) -> bool:
    return bool(value.strip()) if isinstance(value, str) else value is not None


def _element(entry: Entry) -> tuple[Block, str]:
    match entry.kind:
        case Kind.WHOLE | Kind.NUMBER:
            return number(entry.shown, whole=entry.kind is Kind.WHOLE), ""
        case Kind.CHOICE:
            return one_of("static_select", [("true", "true"), ("false", "false")], entry.shown), ""
        case Kind.JSON:
            why = "JSON" if not isinstance(entry.original, str) else "JSON, for it has characters not seen"
            return text(entry.shown, multiline=True), why
        case _:
            return text(entry.shown, multiline=entry.kind is Kind.LINES), ""
