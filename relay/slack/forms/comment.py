"""Approve with a comment, which the agent reads with the tool's result."""

from collections.abc import Iterator, Mapping

from relay.domain.approvals import Approval
from relay.domain.grants import takes_suggestions
from relay.domain.secrets import mask
from relay.slack.blocks import Block, Blocks, context, preformatted, rich
from relay.slack.forms.fields import Meant, UnfitError, about, asked, modal, some_of, text
from relay.slack.mrkdwn import visible
from relay.use_cases.record_decision import Answer

LEADS_TO = Answer(approve=True)
_WORDS, _KEPT = "words", "kept"
_OPTION_LIMIT = 75
_MOST = 10
_SHOWN = 2_900


def view(approval: Approval, meant: Meant, votes: bool) -> Block:  # noqa: ARG001 - the shape of a form
    """Return the form, with the environment's own suggestions where the rule lets people take them up."""
    offered = list(_offered(approval))
    hint = "The agent reads it with the tool's result."
    blocks: Blocks = about(approval)
    blocks.append(asked(_WORDS, "Comment", text(multiline=True), optional=bool(offered), hint=hint))
    if offered:
        boxes = some_of([(words, str(number)) for number, (_, words) in enumerate(offered)])
        hint = "A rule that the environment keeps on its device: it no longer asks for what the rule allows."
        blocks.append(asked(_KEPT, "From now on", boxes, optional=True, hint=hint))
        blocks += _in_full([words for _, words in offered])
    return modal("comment", "Approve with a comment", "Approve", blocks, meant)


def read(approval: Approval, entered: Mapping[str, str]) -> Answer:
    """Return the approval. Raises UnfitError when nothing was entered."""
    offered = list(_offered(approval))
    ticked = [int(one) for one in entered.get(_KEPT, "").split(",") if one.isdecimal()]
    kept = tuple(offered[number][0] for number in ticked if number < len(offered))
    comment = entered.get(_WORDS, "").strip()
    if not comment and not kept:
        raise UnfitError({_WORDS: "Say something; to approve without a word, use Approve on the card."})
    return Answer(approve=True, reason=comment, suggestions=kept)


def _offered(approval: Approval) -> Iterator[tuple[str, str]]:
    """Yield id and words of each suggestion that may be taken up: they write rules on the device."""
    if takes_suggestions(approval):
        for one in approval.asked.suggestions[:_MOST]:
            which, words = one.get("id"), one.get("text")
            if isinstance(which, str) and which:
                yield which, str(mask(words if isinstance(words, str) and words else which).value)


def _in_full(words: list[str]) -> Blocks:
    if all(len(one) <= _OPTION_LIMIT for one in words):
        return []
    lines = "\n".join(f"{number}. {visible(one)}" for number, one in enumerate(words, 1))
    return [context("In full:"), rich(preformatted(lines[:_SHOWN]))]
