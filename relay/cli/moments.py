"""Moments as people type them."""

from datetime import UTC, datetime

from relay.config.durations import duration


class MisuseError(Exception):
    """What was typed cannot be used; the message says what to type."""


def moment_of(written: str) -> str:
    """Return a day, a moment, or how long ago, as a moment; nothing for nothing. Raises MisuseError."""
    if not written:
        return ""
    try:
        return (datetime.now(UTC) - duration(written)).isoformat()
    except ValueError:
        pass
    try:
        found = datetime.fromisoformat(written)
    except ValueError:
        raise MisuseError(
            f"{written!r} is no time: say how long ago, as in 30d, or a day, as in 2026-11-21"
        ) from None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).isoformat()
