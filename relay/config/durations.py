"""How long something takes, as people write it: "90s", "5m", "2h", "1d"."""

import re
from datetime import timedelta

WRITTEN = re.compile(r"([0-9]{1,7})(s|m|h|d)")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
LONGEST = timedelta(days=365)


def duration(written: str, *, most: timedelta = LONGEST) -> timedelta:
    """Return how long `written` is. Raises ValueError."""
    found = WRITTEN.fullmatch(written)
    if found is None:
        raise ValueError('a duration is a number and s, m, h or d, as in "90s", "5m", "2h" or "1d"')
    length = timedelta(**{_UNITS[found[2]]: int(found[1])})
    if not timedelta(0) < length <= most:
        raise ValueError(f"a duration is more than nothing and at most {most.days}d here")
    return length
