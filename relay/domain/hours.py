"""Time that counts only within the hours a rule names, by the clock of a time zone."""

import zoneinfo
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta, tzinfo

from relay.domain.rules import Hours

# Who writes a rule of one minute a week and a year of patience is answered after this long.
_LONGEST = timedelta(days=5 * 366)
_EXACT = timedelta(seconds=1)
_DAY = timedelta(days=1)


def within_hours(start: datetime, duration: timedelta, hours: Hours | None) -> datetime:
    """Return when `duration` has passed since `start`, of which only what lies within `hours` counts."""
    if hours is None:
        return start + duration
    left, end = duration, start
    for opens, closes in _open_times(start, hours):
        counts_from = max(opens, start)
        if closes - counts_from >= left:
            return counts_from + left
        left -= max(closes - counts_from, timedelta(0))
        end = max(closes, start)
    return end


def _open_times(start: datetime, hours: Hours) -> Iterator[tuple[datetime, datetime]]:
    """Yield from when to when the hours are, the first that end after `start` first, in UTC."""
    zone = _zone(hours.zone)
    # Hours that end before they begin go on until the next day: yesterday's may still run.
    day = start.astimezone(zone).date() - _DAY
    last = day + _LONGEST
    while day <= last:
        if day.weekday() in hours.days:
            opens, closes = _of_day(day, hours, zone)
            if opens < closes and closes > start:
                yield opens, closes
        day += _DAY


def _of_day(day: date, hours: Hours, zone: tzinfo) -> tuple[datetime, datetime]:
    until = day if hours.begin < hours.end else day + _DAY
    # Where the clock is set back, an hour comes twice: what lies between is surely within the hours.
    opens, closes = _instant(day, hours.begin, zone, 1), _instant(until, hours.end, zone, 0)
    if closes <= opens and until == day:  # both within the hour that comes twice
        closes = _instant(until, hours.end, zone, 1)
    return opens, closes


def _instant(day: date, at: time, zone: tzinfo, fold: int) -> datetime:
    """Return the moment a local clock shows a time; of one it leaps over, the moment of the leap."""
    local = datetime.combine(day, at, zone).replace(fold=fold)
    moment = local.astimezone(UTC)
    if moment.astimezone(zone).replace(tzinfo=None) == local.replace(tzinfo=None):
        return moment
    earlier, later = sorted(local.replace(fold=one).astimezone(UTC) for one in (0, 1))
    before = earlier.astimezone(zone).utcoffset()
    while later - earlier > _EXACT:
        middle = earlier + (later - earlier) / 2
        if middle.astimezone(zone).utcoffset() == before:
            earlier = middle
        else:
            later = middle
    return later.replace(microsecond=0)


def _zone(name: str) -> tzinfo:
    # The configuration takes known zones alone; a kept request may outlive the machine's list of them.
    try:
        return zoneinfo.ZoneInfo(name)
    except (ValueError, OSError, zoneinfo.ZoneInfoNotFoundError):
        return UTC
