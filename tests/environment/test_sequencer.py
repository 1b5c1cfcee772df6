"""Frames that overtook each other on two sockets, or came twice, amount to what was sent."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.environment.frames import Frame, parse
from relay.environment.sequencer import Sequencer
from tests.environment.recorded import RECORDINGS, arrivals, follow, frames

WINDOW = 6  # how far the stand-in lets a frame fall behind; the recorded ones fell by no more


def frame(event_seq: int, key: str | None = None) -> Frame:
    """A frame at a position."""
    text: dict[str, Any] = {"type": "update_queue", "event_seq": event_seq}
    return parse(json.dumps(text if key is None else {**text, "idempotency_key": key}))


def taken(sequencer: Sequencer, *positions: int) -> list[int]:
    """The positions that come out when these go in."""
    return [one.event_seq for position in positions for one in sequencer.take(frame(position))]


def test_frames_in_order_come_out_at_once() -> None:
    sequencer = Sequencer()
    assert [taken(sequencer, position) for position in (1, 2, 3)] == [[1], [2], [3]]
    assert not sequencer.waiting


def test_an_early_frame_waits_for_those_before_it() -> None:
    sequencer = Sequencer()
    assert taken(sequencer, 1, 3, 4) == [1]
    assert sequencer.waiting
    assert taken(sequencer, 2) == [2, 3, 4]


def test_what_waits_is_released_in_order_when_the_missing_does_not_come() -> None:
    sequencer = Sequencer()
    taken(sequencer, 1, 5, 3)
    assert [one.event_seq for one in sequencer.release()] == [3, 5]
    assert not sequencer.waiting


def test_a_frame_later_than_its_release_still_comes_out() -> None:
    sequencer = Sequencer()
    taken(sequencer, 1, 3)
    sequencer.release()
    assert taken(sequencer, 2) == [2]


def test_the_first_frame_may_stand_anywhere() -> None:
    assert taken(Sequencer(), 149, 150) == [149, 150]


def test_a_device_that_counts_from_one_again_is_not_held_up() -> None:
    assert taken(Sequencer(), 500, 501, 1, 2, 3) == [500, 501, 1, 2, 3]


def test_a_far_jump_is_not_waited_for() -> None:
    assert taken(Sequencer(), 1, 5000) == [1, 5000]


def test_frames_without_a_position_pass_at_once() -> None:
    sequencer = Sequencer()
    assert taken(sequencer, 1, 3, 0) == [1, 0]


def test_a_key_seen_before_is_dropped_even_at_another_position() -> None:
    sequencer = Sequencer()
    assert sequencer.take(frame(1, "a")) != []
    assert sequencer.take(frame(1, "a")) == []
    assert sequencer.take(frame(2, "a")) == []


def test_the_same_position_under_another_key_is_another_frame() -> None:
    sequencer = Sequencer()
    assert sequencer.take(frame(1, "a")) != []
    assert [one.event_seq for one in sequencer.take(frame(1, "b"))] == [1]


def test_a_duplicate_is_known_after_thousands_of_others() -> None:
    sequencer = Sequencer()
    for position in range(1, 4001):
        sequencer.take(frame(position, f"key-{position}"))
    assert sequencer.take(frame(1, "key-1")) == []


def at(event_seq: int, second: int) -> Frame:
    """A frame at a position, sent at a second."""
    emitted_at = f"2026-11-21T01:48:{second:02}.000Z"
    return parse(json.dumps({"type": "pong", "event_seq": event_seq, "emitted_at": emitted_at}))


@pytest.mark.parametrize(
    ("position", "second", "again"),
    [(1, 31, True), (499, 31, True), (499, 30, False), (499, 29, False), (501, 31, False), (0, 31, False)],
)
def test_a_lower_number_at_a_later_time_is_a_device_that_counts_anew(
    position: int, second: int, again: bool
) -> None:
    sequencer = Sequencer()
    sequencer.take(at(500, 30))
    assert sequencer.starts_again(at(position, second)) is again


def test_a_restart_gives_what_waited_and_counts_from_the_next_frame() -> None:
    sequencer = Sequencer()
    taken(sequencer, 500, 502)
    assert [one.event_seq for one in sequencer.restart()] == [502]
    assert taken(sequencer, 1, 3, 2) == [1, 2, 3]


@given(name=st.sampled_from(RECORDINGS), data=st.data())
def test_frames_that_were_overtaken_are_no_restart(name: str, data: st.DataObject) -> None:
    sequencer = Sequencer()
    for text in overtaken(data, name):
        assert not sequencer.starts_again(parse(text))
        sequencer.take(parse(text))


@given(st.permutations(range(2, 12)))
def test_nothing_is_lost_and_order_is_kept_within_what_waits(order: list[int]) -> None:
    sequencer = Sequencer()
    found = taken(sequencer, 1, *order) + [one.event_seq for one in sequencer.release()]
    assert found == list(range(1, 12))


def numbered(name: str) -> list[dict[str, Any]]:
    """The events of a recording, in the order in which the device sent them."""
    return sorted((one for one in frames(name) if "event_seq" in one), key=lambda one: int(one["event_seq"]))


def overtaken(data: st.DataObject, name: str) -> list[str]:
    """The events of a recording, each at most WINDOW places behind, some of them told twice."""
    first, *rest = numbered(name)
    lags = data.draw(st.lists(st.integers(0, WINDOW), min_size=len(rest), max_size=len(rest)), "lags")
    late = sorted(enumerate(rest), key=lambda entry: entry[0] + lags[entry[0]])
    found = [json.dumps(one) for one in (first, *(one for _, one in late))]
    for place in data.draw(st.lists(st.integers(0, len(found) - 1), max_size=10), "told twice"):
        found.insert(min(place + 3, len(found)), found[place])
    return found


@given(name=st.sampled_from(RECORDINGS), data=st.data())
def test_overtaken_and_repeated_frames_amount_to_the_same(name: str, data: st.DataObject) -> None:
    assert follow(overtaken(data, name)) == follow(json.dumps(one) for one in numbered(name))


@pytest.mark.parametrize("name", RECORDINGS)
def test_the_recorded_order_amounts_to_what_the_device_sent(name: str) -> None:
    assert arrivals(name) == follow(json.dumps(one) for one in numbered(name))


@pytest.mark.parametrize("name", RECORDINGS)
def test_two_sockets_that_carry_the_same_amount_to_one(name: str) -> None:
    twice = [
        line
        for one in frames(name)
        for line in (json.dumps({**one, "seq": 1}), json.dumps({**one, "seq": 2}))
    ]
    keyed = [one for one in twice if '"idempotency_key"' in one]
    assert follow(keyed) == arrivals(name)
