"""The card of a request as Block Kit: pure, from the state things are in; every limit of Slack's kept."""

from collections.abc import Iterator, Sequence
from typing import Any

from relay.domain.approvals import DROPPED, Approval, State
from relay.domain.canonical import canonical_json
from relay.domain.grants import Grant, may_be_granted
from relay.domain.rules import Risk
from relay.domain.text import clamp
from relay.domain.votes import Vote
from relay.slack import arguments, diffs, facts, grant_blocks, outcomes
from relay.slack.arguments import Shown
from relay.slack.blocks import (
    Block,
    Blocks,
    Post,
    actions,
    button,
    confirm,
    context,
    header,
    line,
    numbered,
    overflow,
    preformatted,
    quoted,
    rich,
    section,
    size,
)
from relay.slack.mrkdwn import code, counted, escape, escaped, visible
from relay.slack.outcomes import TEXTS_REMOVED
from relay.slack.wire import LONGEST_CALL_ID

_WORDS_LIMIT = 1_000
_SMALLEST = 200
_DIFF_LIMIT = 3_000
_OUTPUT_LIMIT = 800
_REASON_LIMIT = 300
_LONGEST = 12_800  # of about 13,000 characters over a message's blocks
_STEPS = (1.0, 0.6, 0.35, 0.2, 0.1, 0.05)


def card(
    approval: Approval,
    votes: Sequence[Vote] = (),
    *,
    scale: float = 1.0,
    nobody_left: bool = False,
    command: str = "/letta",
    grant: Grant | None = None,
    one_of_several: bool = False,
) -> Post:
    """Return the card of a request in its present state; `scale` under 1 shows less of long arguments.

    `votes` are those given so far; `nobody_left` when nobody who may decide can be reached; `grant` is the
    one that decided, or was given with the decision; of `one_of_several` calls of a turn each waits for all.
    """
    of = arguments.shown(approval)
    tool = visible(approval.asked.tool_name)
    beginning = [
        header(f"{tool}: {_headline(approval)}"),
        *_outcome(approval, of, one_of_several=one_of_several),
    ]
    ending = [*_waiting(approval, votes, command, nobody_left=nobody_left), *_ending(approval)]
    ending += grant_blocks.on_card(approval, grant) if grant else []
    blocks: Blocks = []
    for step in _STEPS:
        blocks = [*beginning, *_about(approval, of), *_asked(approval, of, scale * step), *ending]
        if size(blocks) <= _LONGEST:
            break
    text = f"{escape(tool)}: {_headline(approval)}"
    return Post(text, numbered(blocks, f"{approval.id}/{approval.revision}"))


_HEADLINES = {
    State.PENDING: "approval needed",
    State.DECIDED: "{decided}, being delivered",
    State.DELIVERED: "{decided}",
    State.FAILED: "{decided}, not delivered",
    State.WITHDRAWN: "no longer asked",
    State.SUPERSEDED: "asked anew on another card",
    State.DECIDED_ELSEWHERE: "decided elsewhere",
    State.UNCONFIRMED: "{decided}, not confirmed",
    State.EXPIRED: "expired, nobody answered",
}


def _headline(approval: Approval) -> str:
    decision = approval.decision
    decided = "approved" if decision and decision.approve else "denied"
    decided = "run by hand" if decision and decision.returned else decided
    given_up = approval.state is State.WITHDRAWN and approval.note == DROPPED
    return _HEADLINES[State.FAILED if given_up else approval.state].format(decided=decided)


def _about(approval: Approval, of: Shown) -> Iterator[Block]:
    """Yield what a person wants to know before the arguments: how risky, for whom, by which rule."""
    ask = approval.ask
    if ask.risk is Risk.HIGH:
        yield section(":rotating_light: *High risk*")
    yield context(_who(approval))
    if ask.rule or ask.reason:
        rule = f"*Rule:* {code(ask.rule, 80)}" if ask.rule else "*Rule*"
        reason = f" — {escaped(ask.reason, _REASON_LIMIT)}" if ask.reason else ""
        yield context(f"{rule}{reason}")
    if not approval.removed:
        yield from facts.blocks(ask.facts, of.input)


def _who(approval: Approval) -> str:
    asked = approval.asked
    people = ", ".join(f"<@{user_id}>" for user_id in approval.requesters[:10])
    by = f"Asked for by {people}" if people else "Asked for outside Slack"
    return f"{by} · environment *{escaped(asked.environment, 80)}*"


def _asked(approval: Approval, of: Shown, scale: float) -> Iterator[Block]:
    """Yield what the tool is called with, what that changes, and what the agent says of it."""
    if approval.removed:
        yield context(TEXTS_REMOVED)
        return
    repeated = arguments.in_diff(of)
    elsewhere = arguments.elsewhere(of, approval.ask.facts)
    shown, left_out = arguments.elements(of, scale, elsewhere.union(repeated))
    if of.was is not None:
        who = f" by <@{approval.edited_by}>" if approval.edited_by else ""
        yield context(f":pencil2: *Changed{who}*: the answer is to what stands here now.")
    if shown:
        yield rich(*shown)
    changed, lines_left_out = diffs.elements(of.changes, int(_DIFF_LIMIT * scale))
    if changed:
        if of.was is not None:
            yield context("The changes to files that the agent's own input would make, not the changed one:")
        yield rich(*changed)
    if repeated:
        yield context(f"{' and '.join(code(name, 80) for name in repeated)}: see the diff")
    if of.claim:
        claim, words_left_out = clamp(of.claim, int(_WORDS_LIMIT * scale) + _SMALLEST)
        left_out += words_left_out
        yield context("*In the agent's own words, unchecked:*")
        yield rich(quoted(claim))
    yield from _not_shown(approval, of, left_out, lines_left_out)


def _not_shown(approval: Approval, of: Shown, characters: int, lines: int) -> Iterator[Block]:
    left_out = [counted(characters, "character")] if characters else []
    left_out += [f"{counted(lines, 'line')} of the diff"] if lines else []
    if left_out:
        more = "; *Details* shows everything" if approval.state is State.PENDING else ""
        verb = "is" if characters + lines == 1 else "are"
        yield context(f":scissors: {' and '.join(left_out)} {verb} left out above{more}.")
    if of.found:
        what = "1 secret is masked" if of.found == 1 else f"{of.found} secrets are masked"
        yield context(f":lock: {what} here; the tool is called with the real thing.")


def _waiting(
    approval: Approval, votes: Sequence[Vote], command: str, *, nobody_left: bool
) -> Iterator[Block]:
    if approval.state is State.PENDING:
        for said in outcomes.waiting(approval, votes, command, nobody_left=nobody_left):
            yield context(said)


def _outcome(approval: Approval, of: Shown, *, one_of_several: bool) -> Iterator[Block]:
    """Yield what came of a request that is settled, before what it was about."""
    if approval.state is not State.PENDING:
        yield section(outcomes.outcome(approval, one_of_several=one_of_several))
    if approval.state is not State.PENDING and of.output:
        yield rich(line("output"), preformatted(clamp(visible(of.output), _OUTPUT_LIMIT)[0]))


def _ending(approval: Approval) -> Iterator[Block]:
    if approval.state is State.PENDING:
        yield actions(*_buttons(approval))
    if approval.state is State.EXPIRED:
        yield actions(button("Ask again", "ask_again", _value(approval)))
    if approval.state is State.FAILED:
        yield actions(button("Retry", "retry", canonical_json({"subject_id": approval.id})))


def _buttons(approval: Approval) -> Iterator[Block]:
    value, ask = _value(approval), approval.ask
    once_more = _once_more(approval) if ask.risk is Risk.HIGH else None
    yield button("Approve", "approve", value, style="primary", confirm=once_more)
    yield button("Deny", "deny", value, style="danger")
    yield button("Deny with reason…", "deny_reason", value)
    if ask.editors:
        yield button("Edit…", "edit", value)
    yield button("Details", "details", value)
    yield overflow("more", list(_more(approval)))


def _more(approval: Approval) -> Iterator[tuple[str, str]]:
    yield "Approve with a comment…", _option(approval, "comment")
    yield "I ran it myself…", _option(approval, "ran_it")
    yield "Deny and stop…", _option(approval, "deny_stop")
    if may_be_granted(approval):
        yield "Allow for a while…", _option(approval, "grant")
    if approval.nudge_at or approval.expires_at:
        yield "Snooze…", _option(approval, "snooze")


def _once_more(approval: Approval) -> Block:
    tool = escaped(visible(approval.asked.tool_name), 80)
    reason = f" {escaped(approval.ask.reason, 120)}" if approval.ask.reason else ""
    text = f"*{tool}* in *{escaped(approval.asked.environment, 60)}* is marked as high risk.{reason}"
    return confirm("Approve a call of high risk?", text, "Approve", "Go back")


def _shown_hash(approval: Approval) -> str:
    return approval.shown_hash or approval.input_hash


def _option(approval: Approval, do: str) -> str:
    return canonical_json({"do": do, "a": approval.id, "h": _shown_hash(approval)[:7]})


def _value(approval: Approval) -> str:
    """Return what a button carries: the tool call's id where there is room, for the card's id binds it."""
    held: dict[str, Any] = {"approval_id": approval.id, "input_hash": _shown_hash(approval)}
    tool_call_id = approval.asked.tool_call_id
    if len(canonical_json(tool_call_id)) <= LONGEST_CALL_ID:
        held["tool_call_id"] = tool_call_id
    return canonical_json(held)
