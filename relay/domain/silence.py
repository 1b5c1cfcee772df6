"""What happens to a request that nobody answers, and when: reminders, an end, others who are asked.

waiting ──a reminder is due──▶ waiting, reminded
   ├──time is up, `wait`──▶ expired ──ask again──▶ waiting, by a fresh clock
   ├──time is up, `deny`──▶ denied by the rule
   └──time is up, `escalate`──▶ waiting, others asked as well, by a fresh clock ──time is up──▶ expired
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from relay.domain.approvals import Approval
from relay.domain.hours import within_hours
from relay.domain.rules import Ask, Silence

# So long people can answer before silence counts as theirs, after they could not have answered.
HEARING = timedelta(seconds=60)
SNOOZE = timedelta(hours=1)


class Step(StrEnum):
    """What silence leads to."""

    REMIND = "remind"
    EXPIRE = "expire"
    DENY = "deny"
    ESCALATE = "escalate"


@dataclass(frozen=True)
class Clock:
    """Silence since `since`, with `nudges` reminders so far; none is sent before `snoozed_until`."""

    since: datetime
    expires_at: datetime | None = None
    nudges: int = 0
    snoozed_until: datetime | None = None


def started(ask: Ask, now: datetime) -> Clock:
    """Return the clock of a request that is asked `now`, for the first time or again."""
    expires_at = None if ask.expires_after is None else within_hours(now, ask.expires_after, ask.hours)
    return Clock(now, expires_at)


def first_silence(ask: Ask, now: datetime) -> tuple[datetime | None, datetime | None]:
    """Return when a request made `now` expires, and when its silence is looked at for the first time."""
    clock = started(ask, now)
    return clock.expires_at, next_look(ask, clock)


def clock_of(approval: Approval) -> Clock:
    """Return how long a request has met with silence."""
    since = approval.silent_since or approval.created_at
    return Clock(since, approval.expires_at, approval.nudges, approval.snoozed_until)


def next_look(ask: Ask, clock: Clock) -> datetime | None:
    """Return when something is due next; None: never."""
    reminders = _reminders(ask, clock)[clock.nudges :]
    awake = clock.snoozed_until or clock.since
    moments = [max(reminders[0], awake)] if reminders else []
    return min([*moments, *([clock.expires_at] if clock.expires_at else [])], default=None)


def due(ask: Ask, clock: Clock, now: datetime, *, escalated: bool) -> Step | None:
    """Return what silence leads to `now`, if it is time for anything: the end comes before a reminder."""
    if clock.expires_at is not None and clock.expires_at <= now:
        if ask.on_silence is Silence.DENY:
            return Step.DENY
        return Step.ESCALATE if ask.on_silence is Silence.ESCALATE and not escalated else Step.EXPIRE
    look = next_look(ask, clock)
    return Step.REMIND if look is not None and look <= now else None


def reminded(ask: Ask, clock: Clock, now: datetime) -> Clock:
    """Return the clock after one reminder, which stands for all that were due by `now`."""
    passed = sum(1 for moment in _reminders(ask, clock) if moment <= now)
    return replace(clock, nudges=max(passed, clock.nudges + 1))


def snoozed(ask: Ask, clock: Clock, now: datetime, length: timedelta) -> Clock:
    """Return the clock of a request that is let rest: its end moves where nothing is decided by it."""
    before = clock.snoozed_until if clock.snoozed_until and clock.snoozed_until > now else now
    until, expires_at = now + length, clock.expires_at
    if expires_at is not None and ask.on_silence is Silence.WAIT:
        # What was left of the time is left afterwards.
        expires_at = within_hours(expires_at, max(until - before, timedelta(0)), ask.hours)
        expires_at = max(expires_at, until)
    return replace(clock, snoozed_until=max(until, before), expires_at=expires_at)


def kept_open(clock: Clock, now: datetime) -> Clock:
    """Return a clock that does not run out before people had a moment to answer."""
    if clock.expires_at is None or clock.expires_at >= now + HEARING:
        return clock
    return replace(clock, expires_at=now + HEARING)


def _reminders(ask: Ask, clock: Clock) -> list[datetime]:
    return [within_hours(clock.since, after, ask.hours) for after in sorted(ask.remind_after)]


def too_late(ask: Ask) -> str:
    """Return why a request was denied that nobody answered, as the agent reads it."""
    if ask.expires_after is None:
        return "Nobody answered in time."
    counted = " of working hours" if ask.hours else ""
    return f"Nobody answered within {_spoken(ask.expires_after)}{counted}."


def _spoken(duration: timedelta) -> str:
    seconds = int(duration.total_seconds())
    for length, name in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if seconds % length == 0:
            number = seconds // length
            return f"{number} {name}{'' if number == 1 else 's'}"
    return f"{seconds} second{'' if seconds == 1 else 's'}"
