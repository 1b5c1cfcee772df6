"""I ran it myself: what came out of it, in the tool's place."""

from collections.abc import Mapping

from relay.domain.approvals import Approval, Returned
from relay.slack.blocks import Block, Blocks
from relay.slack.forms.fields import Meant, UnfitError, about, asked, modal, one_of, text
from relay.use_cases.record_decision import Answer

LEADS_TO = Answer(approve=False, returned=Returned(success=True, output=""))
_STATUS, _OUTPUT, _STDOUT, _STDERR = "status", "output", "stdout", "stderr"
_WORKED, _FAILED = "success", "error"
_NOTHING = "Say what came out, or that nothing did."
_HOW = "Choose how it went."


def view(approval: Approval, meant: Meant, votes: bool) -> Block:  # noqa: ARG001 - the shape of a form
    """Return the form."""
    status = one_of("radio_buttons", [("It worked", _WORKED), ("It failed", _FAILED)])
    blocks: Blocks = about(approval)
    blocks.append(asked(_STATUS, "How did it go?", status))
    hint = (
        "The agent reads it in place of what its own call would have returned. Needed unless it stands below."
    )
    blocks.append(asked(_OUTPUT, "What it returned", text(multiline=True), optional=True, hint=hint))
    blocks.append(asked(_STDOUT, "Standard output", text(multiline=True), optional=True))
    blocks.append(asked(_STDERR, "Standard error", text(multiline=True), optional=True))
    return modal("ran_it", "I ran it myself", "Give to the agent", blocks, meant)


def read(approval: Approval, entered: Mapping[str, str]) -> Answer:  # noqa: ARG001 - the shape of a form
    """Return the answer that carries the output. Raises UnfitError where nothing is said of it."""
    status = entered.get(_STATUS)
    stdout, stderr = entered.get(_STDOUT, ""), entered.get(_STDERR, "")
    output = entered.get(_OUTPUT, "").strip("\n")
    if not output.strip():
        output = next((one.strip("\n") for one in (stdout, stderr) if one.strip()), "")
    errors = {} if status in (_WORKED, _FAILED) else {_STATUS: _HOW}
    errors |= {} if output else {_OUTPUT: _NOTHING}
    if errors:
        raise UnfitError(errors)
    returned = Returned(status == _WORKED, output, stdout, stderr)
    return Answer(approve=False, returned=returned)
