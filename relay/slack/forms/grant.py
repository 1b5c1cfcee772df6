"""Allow it for a while: which inputs besides this one, for how long, and how often."""

from collections.abc import Iterator, Mapping
from datetime import timedelta

from relay.domain.approvals import Approval
from relay.domain.grants import Flaw, Wish, flaw, may_be_granted, spelled
from relay.domain.secrets import mask
from relay.slack import sentences
from relay.slack.blocks import Block, context
from relay.slack.forms import over
from relay.slack.forms.fields import LONGEST, Meant, UnfitError, about, asked, modal, number, one_of, text
from relay.slack.mrkdwn import visible
from relay.use_cases.record_decision import Answer

LEADS_TO = Answer(approve=True)
_WHICH, _LASTS, _USES, _TEXT = "which", "lasts", "uses", "text"
_EXACTLY, _LIKE = "exactly", "like"
_HINT = "* stands for any words that a shell takes for nothing more: no ; | & $ or quotes. [*] is a star."
_MISSES = "What is asked now is not like this, or a * would take what a shell takes for more than a word."
_MOST_TEXTS = 10
_MULTILINE = 80
_USUAL = timedelta(hours=1)
_TIMES = (
    ("5 minutes", timedelta(minutes=5)),
    ("15 minutes", timedelta(minutes=15)),
    ("30 minutes", timedelta(minutes=30)),
    ("1 hour", _USUAL),
    ("2 hours", timedelta(hours=2)),
    ("4 hours", timedelta(hours=4)),
    ("8 hours", timedelta(hours=8)),
    ("1 day", timedelta(days=1)),
    ("3 days", timedelta(days=3)),
    ("7 days", timedelta(days=7)),
)


def view(approval: Approval, meant: Meant, votes: bool) -> Block:  # noqa: ARG001 - the shape of a form
    """Return the form, or, where nothing can be granted any more, what says so."""
    if not may_be_granted(approval):
        return over.view(sentences.GRANT_NOT_OFFERED, [])
    texts = _texts(approval)
    blocks = [*about(approval), context("For this tool in this conversation, and no other.")]
    blocks += _inputs(approval, texts)
    times = [(words, str(int(lasts.total_seconds()))) for words, lasts in _times(approval)]
    usual = [value for _, value in times if int(value) <= _USUAL.total_seconds()] or [times[0][1]]
    blocks.append(asked(_LASTS, "For how long", one_of("static_select", times, usual[-1])))
    most = approval.ask.grant_uses
    often = {**number(str(most), whole=True), "min_value": "1", "max_value": str(most)}
    blocks.append(asked(_USES, "How often at most", often, hint="This time is not counted."))
    return modal("grant", "Allow for a while", "Approve and allow", blocks, meant)


def _inputs(approval: Approval, texts: Mapping[str, tuple[str, str]]) -> Iterator[Block]:
    choices = [("Exactly this input", _EXACTLY)]
    choices += [("Inputs like what stands below", _LIKE)] if texts else []
    yield asked(_WHICH, "Which inputs", one_of("radio_buttons", choices, _EXACTLY))
    for key, (block_id, exact) in texts.items():
        box = text(exact, multiline="\n" in exact or len(exact) > _MULTILINE)
        yield asked(block_id, f"{key} like", box, optional=True, hint=_HINT)
    if texts and len(texts) < len(approval.asked.tool_input):
        yield context("Every other value has to be the same, and no value may be missing or new.")


def read(approval: Approval, entered: Mapping[str, str]) -> Answer:
    """Return the approval with its grant. Raises UnfitError where that is wider than the rule, or misses."""
    texts = _texts(approval)
    globs = {key: entered.get(block_id) or exact for key, (block_id, exact) in texts.items()}
    changed = [key for key, (_, exact) in texts.items() if not _same(globs[key], exact)]
    if entered.get(_WHICH) != _LIKE and changed:
        raise UnfitError({_WHICH: 'You changed what is below: choose "Inputs like what stands below".'})
    lasts = entered.get(_LASTS, "")
    offered = {str(int(one.total_seconds())): one for _, one in _times(approval)}
    if lasts not in offered:
        raise UnfitError({_LASTS: "Choose how long."})
    often = entered.get(_USES, "")
    uses = int(often) if often.isascii() and often.isdigit() and len(often) < 9 else 0
    # What was not touched stays as it is: blanks around a text may get lost on the way.
    wish = Wish(offered[lasts], uses, {key: globs[key] for key in changed})
    found = flaw(approval, wish)
    if found is not None:
        raise UnfitError(_errors(approval, *found, texts))
    return Answer(approve=True, grant=wish)


def _errors(approval: Approval, what: Flaw, key: str, texts: Mapping[str, tuple[str, str]]) -> dict[str, str]:
    match what:
        case Flaw.MISSES:
            return {texts[key][0]: _MISSES}
        case Flaw.BEGINS_WITH_GAP:
            return {texts[key][0]: "This has to begin with words of its own."}
        case Flaw.TOO_OFTEN:
            return {_USES: f"Say how often, from 1 to {approval.ask.grant_uses}."}
        case Flaw.TOO_LONG:
            return {_LASTS: "The rule allows less."}
        case Flaw.NOT_OFFERED:
            return {_WHICH: "The rule does not let this be allowed for a while."}


def _texts(approval: Approval) -> dict[str, tuple[str, str]]:
    """Return the texts of the input that may be let differ: the id of their block, and a glob for just them.

    What holds a secret, or what a form cannot show as it is, has to stay the same.
    """
    tool_input = dict(approval.asked.tool_input)
    masked = mask(tool_input).value
    texts: dict[str, tuple[str, str]] = {}
    for place, (key, held) in enumerate(tool_input.items()):
        plain = isinstance(held, str) and held and masked.get(key) == held == visible(held)
        if plain and len(spelled(held)) <= LONGEST and len(texts) < _MOST_TEXTS:
            texts[key] = (f"{_TEXT}/{place}", spelled(held))
    return texts


def _same(entered: str, exact: str) -> bool:
    return entered.replace("\r\n", "\n").strip() == exact.strip()


def _times(approval: Approval) -> list[tuple[str, timedelta]]:
    """Return the times that may be chosen, the longest that the rule allows among them."""
    longest = approval.ask.grant_for or timedelta(0)
    shorter = [(words, lasts) for words, lasts in _TIMES if lasts < longest]
    known = next((words for words, lasts in _TIMES if lasts == longest), "As long as the rule allows")
    return [*shorter, (known, longest)]
