"""What came of a request, and who may still answer it, each in a sentence of a card."""

import re
from collections.abc import Iterator, Sequence

from relay.domain.approvals import AS_DENIAL, DROPPED, Approval, State
from relay.domain.grants import grant_of
from relay.domain.rules import Circle, Silence
from relay.domain.secrets import mask
from relay.domain.votes import Vote, tally
from relay.slack.mrkdwn import code, day_and_time, escaped, moment

TEXTS_REMOVED = ":wastebasket: What the tool was called with is no longer kept: it is older than the retention of texts that relay is set to."
_NOTE_LIMIT = 600
_ID_LIMIT = 60
_MOST_NAMED = 10
_SHORT = 64  # of a line that has room for a code as well
_MOMENT = re.compile(r"<!date\^[^|>]*\|([^>]*)>")


def decided_by(approval: Approval) -> str:
    """Return what was decided, by whom or by which rule, and when."""
    decision = approval.decision
    if decision is None:
        return "Decided"
    at = moment(decision.decided_at)
    if decision.returned is not None:
        how = "succeeded" if decision.returned.success else "failed"
        return f"<@{decision.user_id}> ran it themselves at {at}; it {how}"
    what = "Approved" if decision.approve else "Denied"
    if grant_of(decision.rule):
        return f"{what} by a grant at {at}"
    if not decision.user_id:
        by = f"the rule {code(decision.rule, _ID_LIMIT)}" if decision.rule else "relay"
        return f"{what} by {by} at {at}"
    people = list(dict.fromkeys([*decision.by, decision.user_id]))
    return f"{what} by {_people(people)} at {at}"


def outcome(approval: Approval, *, one_of_several: bool = False) -> str:
    """Return what stands on a card that nobody can decide any more; `one_of_several` calls of a turn."""
    decision = approval.decision
    who = decided_by(approval)
    mark = ":white_check_mark:" if decision and decision.approve else ":no_entry:"
    mark = ":wrench:" if decision and decision.returned else mark
    after = _besides(approval)
    return {
        State.PENDING: "",
        State.DECIDED: f"{mark} {who}. {_under_way(approval, one_of_several=one_of_several)}{after}",
        State.DELIVERED: f"{mark} {who}. Delivered.{after}",
        State.FAILED: f":warning: {who}, but *not delivered*: {_words(approval.note)}{after}",
        State.WITHDRAWN: f":heavy_minus_sign: {_withdrawn(approval, who)}",
        State.SUPERSEDED: f":heavy_minus_sign: {_superseded(approval, who)}",
        State.DECIDED_ELSEWHERE: f":heavy_minus_sign: {_elsewhere(approval, who)}",
        State.UNCONFIRMED: f":grey_question: {who}. {_unconfirmed(approval)}{after}",
        State.EXPIRED: f":hourglass: Nobody answered{_in_time(approval)}. Nothing was sent: the agent still waits.",
    }[approval.state]


def _besides(approval: Approval) -> str:
    """Return what a decision has besides its yes or no: words, a stop, rules taken up on the device."""
    decision = approval.decision
    if decision is None:
        return ""
    # By which rule stands before it already.
    repeats = decision.in_words == f"Denied by the rule {decision.rule}."
    said = [f"_{_words(decision.in_words)}_"] if decision.in_words and not repeats else []
    if decision.returned is not None:
        said = [_returned(approval)]
    if decision.stop:
        said.append("Then the agent's turn was to be stopped as well.")
    if decision.suggestions:
        ids = mask(list(decision.suggestions)).value
        taken = ", ".join(code(one, _ID_LIMIT) for one in ids[:_MOST_NAMED])
        said.append(f"The environment keeps a rule from now on: {taken}.")
    return "".join(f"\n{one}" for one in said)


def _words(text: str) -> str:
    """Return what a person or a neighbour says, without the secrets in it."""
    return escaped(str(mask(text).value), _NOTE_LIMIT)


def _returned(approval: Approval) -> str:
    """Return in which form the agent got an output: that is known when it was delivered."""
    if approval.state is not State.DELIVERED:
        return "The agent is given the output below; where its environment takes no outputs, as a denial that carries it."
    if approval.note == AS_DENIAL:
        return f"The agent was given it {AS_DENIAL}."
    return "The agent was given the output below in place of its own call's."


def _under_way(approval: Approval, *, one_of_several: bool) -> str:
    if approval.note:
        return f"*Not delivered yet:* {_words(approval.note)}. I keep trying."
    # None of a turn's calls goes on before all are decided.
    return (
        f"Delivering…{' The agent goes on when all calls of its turn are decided.' if one_of_several else ''}"
    )


def _withdrawn(approval: Approval, who: str) -> str:
    if approval.decision is None:
        return "The agent asks no longer; nothing was decided here."
    if approval.note == DROPPED:
        return f"{who}, but {DROPPED}; *not delivered*. If the agent still asks, it is asked anew on another card."
    return f"{who}, but the agent had stopped asking; *not delivered*."


def _unconfirmed(approval: Approval) -> str:
    if approval.note == DROPPED:
        return f"It was sent, nothing shows that it arrived, and {DROPPED}."
    return (
        "It was sent, and the agent asks no longer, but nothing shows that it was this answer that arrived."
    )


def _superseded(approval: Approval, who: str) -> str:
    if approval.decision is None:
        return "The agent asks anew, on another card; nothing was decided here."
    return f"{who}. Then the agent asked anew, on another card; this one decides nothing more."


def _elsewhere(approval: Approval, who: str) -> str:
    if approval.decision is None:
        return "Somebody answered outside Slack."
    return f"{who}, but somebody outside Slack had answered first; *not delivered*."


def _in_time(approval: Approval) -> str:
    return f" by {day_and_time(approval.expires_at)}" if approval.expires_at else " in time"


def waiting(approval: Approval, votes: Sequence[Vote], command: str, *, nobody_left: bool) -> Iterator[str]:
    """Yield what is still needed: who may decide, who has, until when, and how without a button."""
    ask = approval.ask
    if nobody_left:
        yield f":warning: *Nobody who may decide this can be reached:* {_circle(ask.approvers)}. Whoever keeps the relay's rules has to name somebody else."
    else:
        yield f"*Can decide:* {_circle(ask.approvers)}{_terms(approval)}"
    counted = tally(ask, votes, approval.shown_hash or approval.input_hash, approval.edited_by)
    if counted.approving:
        yield f":ballot_box_with_ballot: *{len(counted.approving)} of {counted.needed}:* {_people(counted.approving)}"
    current = {one.user_id for one in votes if one.shown_hash == (approval.shown_hash or approval.input_hash)}
    if outdated := [one.user_id for one in votes if one.user_id not in current]:
        yield f"No longer counted, for the input was changed since: {_people(outdated)}"
    yield from _together(_silence(approval), _typed(approval, command))


def _together(silence: str, typed: str) -> list[str]:
    """Return both on one line, where the first is short as people see it."""
    if silence and typed and len(_MOMENT.sub(r"\1", silence)) <= _SHORT:
        return [f"{silence} · {typed}"]
    return [one for one in (silence, typed) if one]


def _typed(approval: Approval, command: str) -> str:
    if not approval.code:
        return ""
    typed = code(f"{command} approve {approval.code}", _ID_LIMIT)
    return f"Code {code(approval.code, _ID_LIMIT)}: without a button, type {typed}"


def _terms(approval: Approval) -> str:
    ask = approval.ask
    said = [f"{ask.quorum} must approve"] if ask.quorum > 1 else []
    if not ask.requester_may_approve and approval.requesters:
        said.append("not whoever asked")
    if ask.edit_needs_another and approval.edited_by:
        said.append(f"not <@{approval.edited_by}> alone, who changed it")
    return f"; {', '.join(said)}" if said else ""


def _silence(approval: Approval) -> str:
    said = [f"expires {day_and_time(approval.expires_at)}{_then(approval)}"] if approval.expires_at else []
    if approval.nudges:
        times = {1: "once", 2: "twice"}.get(approval.nudges, f"{approval.nudges} times")
        said.append(f"reminded {times}")
    if approval.escalated:
        said.append("others were asked as well")
    if approval.snoozed_until and approval.snoozed_by:
        said.append(f"snoozed until {day_and_time(approval.snoozed_until)} by <@{approval.snoozed_by}>")
    return f":alarm_clock: {'; '.join(said)}".replace("expires", "Expires", 1) if said else ""


def _then(approval: Approval) -> str:
    """Return what silence leads to, where it is more than an end."""
    if approval.ask.on_silence is Silence.DENY:
        return ", and is denied then"
    asks_others = approval.ask.on_silence is Silence.ESCALATE and not approval.escalated
    return ", and then others are asked as well" if asks_others else ""


def _circle(circle: Circle) -> str:
    """Return people as a card names them; a user group by its id, for its mention calls all its members."""
    if circle.everybody:
        return "any full member"
    named = [f"<@{one}>" for one in sorted(circle.users)]
    named += [f"members of {code(one, _ID_LIMIT)}" for one in sorted(circle.groups)]
    named += [f"members of <#{one}>" for one in sorted(circle.channels)]
    more = [f"{len(named) - _MOST_NAMED} more"] if len(named) > _MOST_NAMED else []
    return ", ".join(named[:_MOST_NAMED] + more) or "nobody"


def _people(ids: Sequence[str]) -> str:
    named = [f"<@{one}>" for one in ids[:_MOST_NAMED]]
    named += [f"{len(ids) - _MOST_NAMED} more"] if len(ids) > _MOST_NAMED else []
    return _listed(named)


def _listed(named: Sequence[str]) -> str:
    return " and ".join([", ".join(named[:-1]), named[-1]] if len(named) > 1 else named)
