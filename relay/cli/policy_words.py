"""What a policy says, in sentences for a terminal."""

from collections.abc import Collection, Iterator
from datetime import timedelta

from relay.config.policies import nobody_left
from relay.domain.foresight import Foreseen, falls_short
from relay.domain.patterns import texts_at
from relay.domain.policy import Reason
from relay.domain.rules import Action, Ask, Circle, Request, Risk, Ruling, Silence

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_WHY = {
    Reason.NOT_APPROVER: "no, they are not an approver",
    Reason.NOT_EDITOR: "no, they are not an editor",
    Reason.REQUESTER: "no, they are a requester, and the rule keeps requesters out",
}


def ruling_words(ruling: Ruling) -> Iterator[str]:
    """Yield what happens with a request."""
    reason = f": {ruling.reason}" if ruling.reason else ""
    if ruling.ask is None:
        yield f"{'allowed' if ruling.action is Action.ALLOW else 'denied'}, and nobody is asked{reason}"
        return
    needed = "one person" if ruling.ask.quorum == 1 else f"{ruling.ask.quorum} people"
    yield f"asked: {needed} must approve{reason}"
    yield from _more(ruling.ask)


def _more(ask: Ask) -> Iterator[str]:
    if ask.risk is Risk.HIGH:
        yield "high risk: approving is confirmed in a dialog"
    if ask.edit_needs_another:
        yield "whoever edits does not count as one who approves"
    if ask.expires_after is not None:
        then = {
            Silence.WAIT: "it expires, and the environment goes on waiting",
            Silence.DENY: "it is denied",
            Silence.ESCALATE: f"besides are asked: {circle_words(ask.escalate_to)}",
        }[ask.on_silence]
        yield f"without an answer for {_length(ask.expires_after)}: {then}"
    if ask.remind_after:
        yield f"reminders after {', '.join(map(_length, ask.remind_after))}"
    if ask.hours is not None:
        days = ", ".join(_DAYS[day] for day in sorted(ask.hours.days))
        span = f"{ask.hours.begin:%H:%M} to {ask.hours.end:%H:%M}"
        over = " of the next day" if ask.hours.end <= ask.hours.begin else ""
        yield f"silence counts on {days} from {span}{over}, {ask.hours.zone}"
    if ask.grant_for is not None:
        yield f"a grant may last {_length(ask.grant_for)}, for {ask.grant_uses} uses"


def circle_words(circle: Circle) -> str:
    """Return who is meant."""
    if circle.everybody:
        return "any full member"
    named = [
        *sorted(circle.users),
        *(f"members of user group {one}" for one in sorted(circle.groups)),
        *(f"members of channel {one}" for one in sorted(circle.channels)),
    ]
    return ", ".join(named) or "nobody"


def circle_in_short(circle: Circle, *, channel_members: bool = False) -> str:
    """Return who is meant, the people counted."""
    if circle.everybody:
        return "any full member"
    people = len(circle.users)
    named = [f"{people} {'person' if people == 1 else 'people'}"] if people else []
    named += (f"group {one}" for one in sorted(circle.groups))
    named += (f"channel {one}" for one in sorted(circle.channels))
    named += ["who is in the channel"] if channel_members else []
    return ", ".join(named) or "nobody"


def expiry_words(ask: Ask) -> str:
    """Return after how long silence does what, or a dash."""
    then = {Silence.WAIT: "", Silence.DENY: ", denied", Silence.ESCALATE: ", escalated"}[ask.on_silence]
    return f"{_length(ask.expires_after)}{then}" if ask.expires_after is not None else "-"


def missed_words(request: Request, why: str) -> str:
    """Return why a rule was passed over for `request`; `why` names the condition that does not hold."""
    path = why.removeprefix("input.")
    if path != why and all(text is None for text in texts_at(request.tool_input, path)):
        return f'the input has no "{path}"'
    return f"{why} does not match"


def short_words(ask: Ask, requesters: Collection[str], user_id: str) -> str:
    """Return that too few are left to approve, as it is or were `user_id` to ask as well; or nothing."""
    if falls_short(ask, ask.approvers, requesters):
        return f"requesters may not approve, and {nobody_left(ask)}"
    if user_id in ask.approvers.users and falls_short(ask, ask.approvers, {*requesters, user_id}):
        return f"when {user_id} asks, {nobody_left(ask)}"
    return ""


def foreseen_words(foreseen: Foreseen) -> str:
    """Return whether somebody may act, and why."""
    if foreseen.reason is not Reason.ALLOWED:
        return _WHY[foreseen.reason]
    if foreseen.certain:
        return "yes"
    wanted = [f"user group {one}" for one in foreseen.groups]
    wanted += [f"channel {one}" for one in foreseen.channels]
    return f"if a member of {' or '.join(wanted)}"


def _length(span: timedelta) -> str:
    seconds = int(span.total_seconds())
    for unit, length in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds % length == 0:
            return f"{seconds // length}{unit}"
    return f"{seconds}s"
