"""The one clock."""

from datetime import UTC, datetime


def utc_now() -> datetime:
    """The one clock."""
    return datetime.now(UTC)
