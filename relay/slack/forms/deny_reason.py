"""Deny with a reason: in one's own words, or one of those that the rule has ready."""

from collections.abc import Mapping

from relay.domain.approvals import Approval
from relay.slack.blocks import Block, Blocks
from relay.slack.forms.fields import Meant, UnfitError, about, asked, modal, one_of, some_of, text
from relay.use_cases.record_decision import Answer

LEADS_TO = Answer(approve=False)
_READY, _WORDS, _STOP = "ready", "words", "stop"


def view(approval: Approval, meant: Meant, votes: bool) -> Block:  # noqa: ARG001 - the shape of a form
    """Return the form."""
    ready = approval.ask.quick_reasons[:10]
    blocks: Blocks = about(approval)
    if ready:
        choice = one_of("radio_buttons", [(one, str(number)) for number, one in enumerate(ready)])
        blocks.append(asked(_READY, "Reason", choice, optional=True))
    label = "In your own words" if ready else "Reason"
    hint = "The agent reads it."
    blocks.append(asked(_WORDS, label, text(multiline=True), optional=bool(ready), hint=hint))
    blocks.append(
        asked(_STOP, "And then", some_of([("Stop the agent's turn as well", _STOP)]), optional=True)
    )
    return modal("deny_reason", "Deny with a reason", "Deny", blocks, meant)


def read(approval: Approval, entered: Mapping[str, str]) -> Answer:
    """Return the denial. Raises UnfitError when it has no reason."""
    ready = dict(enumerate(approval.ask.quick_reasons))
    chosen = entered.get(_READY, "")
    parts = [ready.get(int(chosen), "") if chosen.isdecimal() else "", entered.get(_WORDS, "").strip()]
    reason = "\n".join(part for part in parts if part)
    if not reason:
        raise UnfitError({_WORDS: "Say why, or choose a reason; without one, use Deny on the card."})
    return Answer(approve=False, reason=reason, stop=bool(entered.get(_STOP)))
