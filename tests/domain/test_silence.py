"""What silence leads to, and when: reminders, an end, others who are asked, rest."""

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.domain import silence
from relay.domain.rules import Ask, Hours, Silence
from relay.domain.silence import Clock, Step
from tests.slack.asked import approval

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)  # a Monday
MINUTE = timedelta(minutes=1)
HALF_HOUR = 30 * MINUTE


def ask(on_silence: Silence = Silence.WAIT, **more: object) -> Ask:
    written = {"expires_after": HALF_HOUR, "remind_after": (5 * MINUTE, 15 * MINUTE), **more}
    return Ask(rule="careful", on_silence=on_silence, **written)  # type: ignore[arg-type]


def at(minutes: float) -> datetime:
    return NOON + minutes * MINUTE


def test_the_first_look_is_at_the_first_reminder() -> None:
    assert silence.first_silence(ask(), NOON) == (at(30), at(5))


def test_a_request_without_an_end_and_reminders_is_never_looked_at() -> None:
    assert silence.first_silence(Ask(), NOON) == (None, None)


def test_reminders_may_be_written_in_any_order() -> None:
    assert silence.first_silence(ask(remind_after=(15 * MINUTE, 5 * MINUTE)), NOON)[1] == at(5)


def test_one_reminder_stands_for_all_that_were_missed() -> None:
    clock = silence.reminded(ask(), silence.started(ask(), NOON), at(20))
    assert clock.nudges == 2
    assert silence.next_look(ask(), clock) == at(30)
    assert silence.reminded(ask(), silence.started(ask(), NOON), at(15)).nudges == 2


def test_a_reminder_counts_as_one_even_before_its_time() -> None:
    assert silence.reminded(ask(), Clock(NOON, at(30), nudges=1), at(6)).nudges == 2


def test_the_clock_of_a_request_is_what_is_kept_of_it() -> None:
    kept = approval(created_at=NOON, expires_at=at(30), nudges=1, snoozed_until=at(9))
    assert silence.clock_of(kept) == Clock(NOON, at(30), 1, at(9))
    assert silence.clock_of(replace(kept, silent_since=at(3))) == Clock(at(3), at(30), 1, at(9))


@pytest.mark.parametrize(
    ("on_silence", "escalated", "step"),
    [
        (Silence.WAIT, False, Step.EXPIRE),
        (Silence.DENY, False, Step.DENY),
        (Silence.ESCALATE, False, Step.ESCALATE),
        (Silence.ESCALATE, True, Step.EXPIRE),
    ],
)
def test_at_its_end_the_rule_says_what_happens(on_silence: Silence, escalated: bool, step: Step) -> None:
    asked = ask(on_silence)
    assert silence.due(asked, silence.started(asked, NOON), at(30), escalated=escalated) is step


def test_before_its_time_nothing_is_due() -> None:
    assert silence.due(ask(), silence.started(ask(), NOON), at(4.9), escalated=False) is None


def test_a_reminder_is_due_at_its_time() -> None:
    assert silence.due(ask(), silence.started(ask(), NOON), at(5), escalated=False) is Step.REMIND


def test_outside_working_hours_silence_does_not_count() -> None:
    evening = datetime(2026, 6, 1, 16, 50, tzinfo=UTC)
    asked = ask(hours=Hours())
    expected = datetime(2026, 6, 2, 9, 20, tzinfo=UTC), datetime(2026, 6, 1, 16, 55, tzinfo=UTC)
    assert silence.first_silence(asked, evening) == expected
    later = ask(hours=Hours(), remind_after=(15 * MINUTE,))
    assert silence.first_silence(later, evening)[1] == datetime(2026, 6, 2, 9, 5, tzinfo=UTC)


def test_nobody_is_reminded_before_the_rest_is_over() -> None:
    rests = silence.snoozed(ask(), silence.started(ask(), NOON), at(1), timedelta(hours=1))
    assert silence.due(ask(), rests, at(60), escalated=False) is None
    assert silence.due(ask(), rests, at(61), escalated=False) is Step.REMIND


def test_what_only_expires_has_after_its_rest_what_was_left() -> None:
    rests = silence.snoozed(ask(), silence.started(ask(), NOON), at(1), timedelta(hours=1))
    assert rests.expires_at == at(90)


def test_what_is_left_after_a_rest_counts_within_working_hours_too() -> None:
    asked = ask(hours=Hours())
    rests = silence.snoozed(asked, silence.started(asked, NOON), at(1), timedelta(hours=5))
    assert rests.expires_at == datetime(2026, 6, 2, 9, 30, tzinfo=UTC)


@pytest.mark.parametrize("on_silence", [Silence.DENY, Silence.ESCALATE])
def test_an_end_that_decides_something_does_not_move_for_a_rest(on_silence: Silence) -> None:
    asked = ask(on_silence)
    rests = silence.snoozed(asked, silence.started(asked, NOON), at(1), timedelta(hours=1))
    assert rests.expires_at == at(30)
    assert silence.next_look(asked, rests) == at(30)


def test_a_second_rest_counts_from_when_it_is_taken() -> None:
    once = silence.snoozed(ask(), silence.started(ask(), NOON), at(1), timedelta(hours=1))
    twice = silence.snoozed(ask(), once, at(11), timedelta(hours=1))
    assert (twice.snoozed_until, twice.expires_at) == (at(71), at(100))


def test_an_end_is_put_off_until_people_had_a_moment() -> None:
    assert silence.kept_open(Clock(NOON, at(-5)), NOON).expires_at == NOON + silence.HEARING
    assert silence.kept_open(Clock(NOON, at(0.5)), NOON).expires_at == NOON + silence.HEARING
    assert silence.kept_open(Clock(NOON, at(5)), NOON).expires_at == at(5)
    assert silence.kept_open(Clock(NOON), NOON).expires_at is None


@pytest.mark.parametrize(
    ("length", "hours", "words"),
    [
        (HALF_HOUR, None, "Nobody answered within 30 minutes."),
        (timedelta(minutes=1), None, "Nobody answered within 1 minute."),
        (timedelta(seconds=90), None, "Nobody answered within 90 seconds."),
        (timedelta(hours=2), Hours(), "Nobody answered within 2 hours of working hours."),
        (timedelta(days=1), None, "Nobody answered within 1 day."),
        (timedelta(seconds=1), None, "Nobody answered within 1 second."),
        (None, None, "Nobody answered in time."),
    ],
)
def test_the_agent_reads_how_long_nobody_answered(
    length: timedelta | None, hours: Hours | None, words: str
) -> None:
    assert silence.too_late(ask(expires_after=length, hours=hours)) == words


lengths = st.timedeltas(timedelta(seconds=1), timedelta(days=3))
asks = st.builds(
    Ask,
    expires_after=st.none() | lengths,
    on_silence=st.sampled_from(list(Silence)),
    remind_after=st.lists(lengths, max_size=4).map(tuple),
    hours=st.none() | st.just(Hours("Europe/Berlin", frozenset(range(7)), time(8), time(20))),
)


@given(asks, st.lists(st.timedeltas(timedelta(0), timedelta(days=2)), max_size=30))
def test_silence_ends_after_at_most_every_reminder_and_one_end(asked: Ask, waits: list[timedelta]) -> None:
    clock, now, reminders = silence.started(asked, NOON), NOON, 0
    for wait in waits:
        now += wait
        step = silence.due(asked, clock, now, escalated=False)
        look = silence.next_look(asked, clock)
        assert (step is not None) == (look is not None and look <= now)
        if step is Step.REMIND:
            clock, reminders = silence.reminded(asked, clock, now), reminders + 1
    assert reminders <= len(asked.remind_after)


@given(asks, st.timedeltas(timedelta(0), timedelta(days=1)), lengths)
def test_a_rest_makes_nothing_happen_sooner(asked: Ask, after: timedelta, length: timedelta) -> None:
    clock = silence.started(asked, NOON)
    rests = silence.snoozed(asked, clock, NOON + after, length)
    before, then = silence.next_look(asked, clock), silence.next_look(asked, rests)
    assert (before is None) == (then is None)
    assert before is None or then is None or before <= then
