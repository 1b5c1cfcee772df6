"""Moments as they are kept and written."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.domain.moments import iso, microseconds_of, moment_of

ANY = st.datetimes(timezones=st.just(UTC))


@given(ANY)
def test_a_moment_is_kept_exactly_and_written_as_iso_8601(moment: datetime) -> None:
    assert moment_of(microseconds_of(moment)) == moment
    assert f"{iso(microseconds_of(moment))}+00:00" == moment.isoformat(timespec="microseconds")


@given(ANY, ANY)
def test_what_is_kept_sorts_as_the_moments_do(one: datetime, other: datetime) -> None:
    assert (microseconds_of(one) < microseconds_of(other)) == (one < other)


def test_a_moment_of_another_zone_is_written_in_utc() -> None:
    there = datetime(2026, 11, 21, 14, tzinfo=timezone(timedelta(hours=2)))
    assert iso(microseconds_of(there)) == "2026-11-21T12:00:00.000000"


def test_what_no_calendar_has_is_refused() -> None:
    with pytest.raises(OverflowError):
        moment_of(10**18)
