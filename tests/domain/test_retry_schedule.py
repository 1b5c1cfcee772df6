"""When a delivery is tried again, and when it is given up."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.domain.deliveries import Delivered, Delivery, Kind, Refused, Retry, State, delay, settle

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
CHANCES = st.floats(0, 1, exclude_max=True)


def _delivery(attempts: int = 1, deadline: datetime | None = None) -> Delivery:
    return Delivery(
        id="dlv_1",
        team_id="T0",
        kind=Kind.MESSAGE,
        ordering_key="a",
        subject_id="msg_1",
        environment="workshop",
        body={},
        state=State.SENDING,
        attempts=attempts,
        uncertain=False,
        created_at=NOW,
        next_attempt_at=None,
        deadline=deadline,
        receipt={},
        last_error="",
    )


@pytest.mark.parametrize(
    ("attempts", "seconds"), [(1, 0.5), (2, 1), (3, 2), (4, 4), (5, 8), (6, 16), (7, 25)]
)
def test_the_wait_doubles_from_half_a_second(attempts: int, seconds: float) -> None:
    assert delay(attempts, Retry("no"), 0.5).total_seconds() == pytest.approx(seconds)


@given(st.integers(1, 10_000), CHANCES)
def test_the_wait_is_never_longer_than_thirty_seconds(attempts: int, chance: float) -> None:
    assert timedelta(seconds=0.4) <= delay(attempts, Retry("no"), chance) <= timedelta(seconds=30)


@given(st.integers(1, 10_000), CHANCES)
def test_an_environment_that_is_away_is_asked_at_least_every_ten_seconds(
    attempts: int, chance: float
) -> None:
    assert delay(attempts, Retry("away", away=True), chance) <= timedelta(seconds=10)


@given(st.integers(1, 100), CHANCES, st.floats(0, 300))
def test_a_stated_wait_is_never_undercut(attempts: int, chance: float, after: float) -> None:
    # A microsecond is what a timedelta can tell apart.
    assert delay(attempts, Retry("busy", after=after), chance) >= timedelta(seconds=after - 1e-6)


@given(CHANCES)
def test_a_stated_wait_of_hours_is_cut_to_minutes(chance: float) -> None:
    assert delay(1, Retry("busy", after=86_400), chance) <= timedelta(minutes=6)


def test_the_spread_is_a_fifth_either_way() -> None:
    assert delay(2, Retry("no"), 0.0).total_seconds() == pytest.approx(0.8)
    assert delay(2, Retry("no"), 0.999999).total_seconds() == pytest.approx(1.2, rel=1e-4)


def test_what_was_taken_is_delivered() -> None:
    assert settle(_delivery(), Delivered({}), NOW, 0.5).state is State.DELIVERED


def test_what_was_refused_for_good_has_failed_with_its_reason() -> None:
    settled = settle(_delivery(), Refused("not yours"), NOW, 0.5)
    assert (settled.state, settled.reason) == (State.FAILED, "not yours")


def test_what_may_go_later_is_pending_until_then() -> None:
    settled = settle(_delivery(), Retry("busy", after=7), NOW, 0.0)
    assert (settled.state, settled.next_attempt_at) == (State.PENDING, NOW + timedelta(seconds=7))


def test_the_last_attempt_is_at_the_deadline() -> None:
    deadline = NOW + timedelta(seconds=1)
    settled = settle(_delivery(attempts=9, deadline=deadline), Retry("away"), NOW, 0.5)
    assert (settled.state, settled.next_attempt_at) == (State.PENDING, deadline)


def test_after_its_deadline_it_has_failed_and_says_what_the_last_trouble_was() -> None:
    settled = settle(_delivery(deadline=NOW), Retry("the device is not connected"), NOW, 0.5)
    assert settled.state is State.FAILED
    assert "the device is not connected" in settled.reason


@given(st.integers(1, 1000), CHANCES)
def test_a_delivery_without_a_deadline_is_never_given_up_for_time(attempts: int, chance: float) -> None:
    assert settle(_delivery(attempts), Retry("away", away=True), NOW, chance).state is State.PENDING


def test_what_waits_says_why_in_the_destination_s_words_and_whether_its_environment_is_away() -> None:
    settled = settle(_delivery(), Retry("busy", said="come back later", away=True), NOW, 0.5)
    assert (settled.reason, settled.away) == ("busy: come back later", True)
    settled = settle(_delivery(), Retry("busy"), NOW, 0.5)
    assert (settled.reason, settled.away) == ("busy", False)


@pytest.mark.parametrize(
    ("outcome", "waits"),
    [
        (Retry("offline", away=True), True),
        (Retry("nobody answers", down=True), True),
        (Retry("503", down=True, after=60.0), False),
        (Retry("rate limited"), False),
    ],
)
def test_what_waits_for_its_environment_goes_with_others_but_never_before_a_stated_time(
    outcome: Retry, *, waits: bool
) -> None:
    assert settle(_delivery(), outcome, NOW, 0.5).away is waits
