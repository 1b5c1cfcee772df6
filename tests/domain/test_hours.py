"""Time that counts only within working hours, on the days when clocks are set as well."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.domain.hours import within_hours
from relay.domain.rules import Hours

BERLIN = Hours("Europe/Berlin")
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe", "Asia/Tokyo")
# The last Sundays of March and October 2026: Berlin goes from 2:00 to 3:00, and from 3:00 back to 2:00.
SPRING, AUTUMN = datetime(2026, 3, 29, tzinfo=UTC), datetime(2026, 10, 25, tzinfo=UTC)

times = st.builds(time, st.integers(0, 23), st.sampled_from([0, 15, 30, 45]))
moments = st.datetimes(
    datetime(2026, 1, 1),  # noqa: DTZ001 - Hypothesis wants bounds without a zone
    datetime(2027, 12, 31),  # noqa: DTZ001 - see above
    timezones=st.just(UTC),
)
lengths = st.timedeltas(timedelta(seconds=1), timedelta(days=9))
hours = st.builds(
    Hours,
    zone=st.sampled_from(ZONES),
    days=st.frozensets(st.integers(0, 6), min_size=1),
    begin=times,
    end=times,
)


def berlin(*when: int) -> datetime:
    return datetime(*when, tzinfo=ZoneInfo("Europe/Berlin"))  # type: ignore[misc,arg-type]


def counts(hours: Hours, moment: datetime) -> bool:
    """Say whether a clock on the wall shows a time within the hours, both ends included."""
    local = moment.astimezone(ZoneInfo(hours.zone))
    shown, today, yesterday = local.time(), local.weekday(), (local.weekday() - 1) % 7
    if hours.begin < hours.end:
        return today in hours.days and hours.begin <= shown <= hours.end
    return (today in hours.days and shown >= hours.begin) or (yesterday in hours.days and shown <= hours.end)


def test_without_hours_all_time_counts() -> None:
    start = datetime(2026, 1, 3, 23, tzinfo=UTC)
    assert within_hours(start, timedelta(hours=2), None) == start + timedelta(hours=2)


@pytest.mark.parametrize(
    ("start", "length", "end"),
    [
        ((2026, 6, 1, 10), timedelta(hours=2), (2026, 6, 1, 12)),
        ((2026, 6, 1, 16), timedelta(hours=2), (2026, 6, 2, 10)),
        ((2026, 6, 5, 16, 30), timedelta(hours=1), (2026, 6, 8, 9, 30)),  # over a weekend
        ((2026, 6, 6, 12), timedelta(minutes=5), (2026, 6, 8, 9, 5)),  # begun on one
        ((2026, 6, 1, 3), timedelta(hours=8), (2026, 6, 1, 17)),
        ((2026, 3, 27, 16), timedelta(hours=9), (2026, 3, 30, 17)),  # clocks were set in between
    ],
)
def test_only_working_hours_count(start: tuple[int, ...], length: timedelta, end: tuple[int, ...]) -> None:
    assert within_hours(berlin(*start), length, BERLIN) == berlin(*end)


def test_hours_that_end_before_they_begin_go_on_over_midnight() -> None:
    night = Hours("Europe/Berlin", frozenset({0}), time(22), time(6))
    assert within_hours(berlin(2026, 6, 2, 5), timedelta(hours=2), night) == berlin(2026, 6, 8, 23)


def test_from_midnight_to_midnight_is_the_whole_day() -> None:
    always = Hours("Europe/Berlin", frozenset(range(7)), time(0), time(0))
    start = berlin(2026, 3, 28, 12)
    assert within_hours(start, timedelta(days=2), always) == start.astimezone(UTC) + timedelta(days=2)


def test_an_hour_that_the_clock_leaps_over_does_not_count() -> None:
    night = Hours("Europe/Berlin", frozenset(range(7)), time(1), time(4))
    start = SPRING.replace(tzinfo=ZoneInfo("Europe/Berlin"))
    assert within_hours(start, timedelta(hours=2), night) == berlin(2026, 3, 29, 4)


def test_an_hour_that_comes_twice_counts_as_often_as_it_comes() -> None:
    night = Hours("Europe/Berlin", frozenset(range(7)), time(1), time(4))
    start = AUTUMN.replace(tzinfo=ZoneInfo("Europe/Berlin"))
    assert within_hours(start, timedelta(hours=4), night) == berlin(2026, 10, 25, 4)


def test_hours_of_yesterday_by_the_clock_of_the_zone_still_run() -> None:
    island = Hours("Pacific/Pago_Pago", frozenset({0}), time(20), time(19))  # eleven hours behind: Monday's
    start = datetime(2026, 6, 3, 5, tzinfo=UTC)  # there it is Tuesday, six in the evening
    assert within_hours(start, timedelta(minutes=30), island) == start + timedelta(minutes=30)


DAILY = frozenset(range(7))


@pytest.mark.parametrize(
    ("begin", "end", "start", "minutes", "reached"),
    [
        # Begins, or ends, in the hour that is leapt over: at the leap.
        (time(2, 30), time(4), SPRING, 10, SPRING.replace(hour=1, minute=10)),
        (time(1), time(2, 30), SPRING, 90, datetime(2026, 3, 29, 23, 30, tzinfo=UTC)),
        # In the hour that comes twice: what surely is within the hours.
        (time(2, 30), time(4), AUTUMN, 10, AUTUMN.replace(hour=1, minute=40)),
        (time(1), time(2, 30), AUTUMN - timedelta(hours=2), 100, datetime(2026, 10, 26, 0, 10, tzinfo=UTC)),
        (time(2, 15), time(2, 45), AUTUMN, 30, AUTUMN.replace(hour=1, minute=45)),
        (time(2, 15), time(2, 45), AUTUMN, 31, datetime(2026, 10, 26, 1, 16, tzinfo=UTC)),
    ],
)
def test_hours_that_touch_the_hour_in_which_clocks_are_set(
    begin: time, end: time, start: datetime, minutes: int, reached: datetime
) -> None:
    hours = Hours("Europe/Berlin", DAILY, begin, end)
    assert within_hours(start, timedelta(minutes=minutes), hours) == reached


def test_where_clocks_are_set_by_half_an_hour_the_leap_is_found_to_the_second() -> None:
    island = Hours("Australia/Lord_Howe", DAILY, time(2, 10), time(4))  # 2:00 to 2:30 is leapt over
    start = datetime(2026, 10, 3, 12, tzinfo=UTC)
    assert within_hours(start, timedelta(minutes=1), island) == datetime(2026, 10, 3, 15, 31, tzinfo=UTC)


def test_a_zone_that_this_machine_does_not_know_is_taken_for_utc() -> None:
    unknown, start = Hours("Nowhere/Atall"), datetime(2026, 6, 1, 10, tzinfo=UTC)
    assert within_hours(start, timedelta(hours=1), unknown) == start + timedelta(hours=1)


def test_a_year_of_patience_within_a_minute_a_week_ends_all_the_same() -> None:
    rare, start = Hours("UTC", frozenset({6}), time(3), time(3, 1)), datetime(2026, 6, 1, tzinfo=UTC)
    assert within_hours(start, timedelta(days=365), rare) < start + timedelta(days=6 * 366)


@given(moments, lengths, hours)
def test_the_end_is_within_the_hours_and_never_before_its_time(
    start: datetime, length: timedelta, hours: Hours
) -> None:
    end = within_hours(start, length, hours)
    assert end >= start
    if end - start < timedelta(days=5 * 365):  # within that, it was reached
        assert end >= start + length
        assert counts(hours, end)


@given(moments, lengths, lengths, hours)
def test_more_time_never_ends_earlier(
    start: datetime, length: timedelta, more: timedelta, hours: Hours
) -> None:
    assert within_hours(start, length, hours) <= within_hours(start, length + more, hours)


@given(moments, lengths, lengths, hours)
def test_a_later_start_never_ends_earlier(
    start: datetime, length: timedelta, later: timedelta, hours: Hours
) -> None:
    assert within_hours(start, length, hours) <= within_hours(start + later, length, hours)


@given(st.sampled_from([SPRING, AUTUMN]), st.integers(0, 23), st.integers(0, 23), st.integers(1, 600))
def test_on_the_days_when_clocks_are_set_no_time_is_lost(day: datetime, begin: int, end: int, m: int) -> None:
    whole = Hours("Europe/Berlin", frozenset(range(7)), time(0), time(0))
    start = day.replace(hour=begin, tzinfo=ZoneInfo("Europe/Berlin")).astimezone(UTC)
    length = timedelta(minutes=m + 60 * end)
    assert within_hours(start, length, whole) == start + length
