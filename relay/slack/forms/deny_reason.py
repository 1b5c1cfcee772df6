"""Deny with a reason: in one's own words, or one of those that the rule has ready."""

from collections.abc import Mapping

from relay.domain.approvals import Approval
from relay.slack.blocks import Block, Blocks
from relay.slack.forms.fields import Meant, UnfitError, about, asked, modal, one_of, some_of, text
from relay.use_cases.record_decision import Answer

LEADS_TO = Answer(approve=False)
_READY, _WORDS, _STOP = "ready", "words", "stop"
_OWN = "own"
_MOST = 9  # of ten radio buttons, beside the one for words of their own


def view(approval: Approval, meant: Meant, votes: bool) -> Block:  # noqa: ARG001 - the shape of a form
    """Return the form."""
    ready = approval.ask.quick_reasons[:_MOST]
    blocks: Blocks = about(approval)
    if ready:
        # Chosen or written, a reason there has to be: the choice is no option, and writing is one of them.
        choices = [(one, str(number)) for number, one in enumerate(ready)]
        choices.append(("Another reason, which I write below", _OWN))
        blocks.append(asked(_READY, "Reason", one_of("radio_buttons", choices)))
    label = "More, in your own words" if ready else "Reason"
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
        # Under what is asked for: the words below the choice are an option.
        where, say = (_READY, "Choose a reason, or write one below") if ready else (_WORDS, "Say why")
        raise UnfitError({where: f"{say}; without a reason, use Deny on the card."})
    return Answer(approve=False, reason=reason, stop=bool(entered.get(_STOP)))
