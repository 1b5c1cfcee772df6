"""Moments in UTC, as whole microseconds since 1970 and as they are written."""

from datetime import UTC, datetime, timedelta
from functools import lru_cache

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def microseconds_of(moment: datetime) -> int:
    """Return a moment as whole microseconds since 1970: sortable and exact."""
    return (moment - _EPOCH) // _MICROSECOND


def moment_of(microseconds: int) -> datetime:
    """Return the moment so many microseconds after the beginning of 1970. Raises OverflowError."""
    return _EPOCH + timedelta(microseconds=microseconds)


def iso(microseconds: int) -> str:
    """Return such a moment as ISO 8601 has it, without its zone: `2026-11-22T09:30:00.000000`."""
    second, part = divmod(microseconds, 1_000_000)
    return f"{_second(second)}.{part:06}"


@lru_cache(maxsize=64)
def _second(whole: int) -> str:
    # Written once for all that happens in it: each line of the log and of the record pays for its moment.
    return moment_of(whole * 1_000_000).replace(tzinfo=None).isoformat()
