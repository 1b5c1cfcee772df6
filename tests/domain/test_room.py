"""How many attempts may be under way at once, for all and to one environment."""

import pytest

from relay.domain.deliveries import Kind
from relay.domain.room import MOST, MOST_MESSAGES, MOST_MESSAGES_EACH, Room

FEW = 8


def filled(**messages: int) -> Room:
    """A room with so many messages under way to each environment."""
    room = Room()
    for environment, number in messages.items():
        for _ in range(number):
            room.enter(Kind.MESSAGE, environment)
    return room


def test_what_enters_is_counted_and_what_leaves_is_not_any_more() -> None:
    room = filled(a=2, b=1)
    room.enter(Kind.CARD, "a")
    assert (room.all, dict(room.messages)) == (4, {"a": 2, "b": 1})
    room.leave(Kind.CARD, "a")
    assert (room.all, dict(room.messages)) == (3, {"a": 2, "b": 1})
    room.leave(Kind.MESSAGE, "a")
    room.leave(Kind.MESSAGE, "b")
    assert (room.all, dict(room.messages)) == (1, {"a": 1})


def test_only_so_many_messages_find_room_to_one_environment_and_others_go_on() -> None:
    room = filled(a=MOST_MESSAGES_EACH - 1)
    assert room.take(Kind.MESSAGE, "a")
    assert (room.all, room.messages["a"]) == (MOST_MESSAGES_EACH, MOST_MESSAGES_EACH)
    assert not room.take(Kind.MESSAGE, "a")
    assert (room.full, room.short) == (["a"], True)
    assert room.take(Kind.MESSAGE, "b")
    assert room.take(Kind.DECISION, "a")
    assert room.messages == {"a": MOST_MESSAGES_EACH, "b": 1}
    assert room.all == MOST_MESSAGES_EACH + 2


def test_only_so_many_messages_find_room_in_all() -> None:
    room = filled(a=64, b=MOST_MESSAGES - 64)
    assert not room.takes_messages
    assert not room.take(Kind.MESSAGE, "c")
    assert room.take(Kind.REPLY, "c")


def test_nothing_finds_room_where_all_of_it_is_taken() -> None:
    room = Room(all=MOST)
    assert (room.free, room.short, room.take(Kind.DECISION, "")) == (0, True, False)
    assert Room(all=MOST + 1).free == 0


@pytest.mark.parametrize(
    ("room", "worth"),
    [
        (Room(), 64),
        (Room(all=MOST - 5), 5),
        (filled(a=MOST_MESSAGES_EACH - 20), 20),
        (filled(a=MOST_MESSAGES_EACH - 1), FEW),  # but for one, they may be to another
        (filled(a=MOST_MESSAGES_EACH), 64),  # of the full one nothing is claimed at all
        (filled(a=MOST_MESSAGES_EACH - 30, b=2), 30),
    ],
)
def test_no_more_is_claimed_than_surely_finds_room(room: Room, worth: int) -> None:
    assert room.of_any(64) == worth


def test_a_copy_is_a_room_of_its_own() -> None:
    room = filled(a=3)
    room.elsewhere = frozenset({"b"})
    other = room.copy()
    assert other == room
    other.enter(Kind.MESSAGE, "a")
    assert (room.all, room.messages["a"]) == (3, 3)


def test_of_what_is_held_back_only_the_one_named_or_the_first_finds_room() -> None:
    room = Room(held={(Kind.MESSAGE, "a"): "dlv_1", (Kind.MESSAGE, "b"): ""})
    assert not room.take(Kind.MESSAGE, "a", "dlv_2")
    assert room.take(Kind.MESSAGE, "a", "dlv_1")
    assert room.take(Kind.MESSAGE, "b", "dlv_3")
    assert room.held == {(Kind.MESSAGE, "a"): "dlv_1", (Kind.MESSAGE, "b"): "dlv_3"}
    assert not room.take(Kind.MESSAGE, "b", "dlv_4")
    assert room.take(Kind.DECISION, "a", "dlv_5")
    assert room.take(Kind.MESSAGE, "c", "dlv_6")
    assert room.copy() == room
    assert room.copy().held is not room.held


def test_what_finds_no_room_does_not_take_the_place_of_the_one_that_is_tried() -> None:
    room = filled(a=MOST_MESSAGES_EACH)
    room.held = {(Kind.MESSAGE, "a"): ""}
    assert not room.take(Kind.MESSAGE, "a", "dlv_1")
    assert room.held == {(Kind.MESSAGE, "a"): ""}


@pytest.mark.parametrize(
    ("room", "more"),
    [
        (Room(), MOST_MESSAGES_EACH),
        (filled(a=1), MOST_MESSAGES_EACH - 1),
        (filled(b=MOST_MESSAGES - 5), 5),
        (filled(b=MOST_MESSAGES + 1), 0),
    ],
)
def test_how_many_more_messages_go_to_an_environment(room: Room, more: int) -> None:
    assert room.to("a") == more
