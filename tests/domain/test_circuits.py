"""What is held back from an environment that takes nothing, and when it goes again."""

from datetime import UTC, datetime, timedelta

import pytest

from relay.domain.circuits import HELD_AFTER, Circuits, Held, Hold, Turn
from relay.domain.deliveries import Delivered, Delivery, Kind, Outcome, Refused, Retry, State

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
SOON = NOW + timedelta(seconds=10)
DOWN = Retry("nobody answers", down=True)
AWAY = Retry("the device is not connected", away=True)
LATER = Retry("rate limited", after=3.0)


def delivery(
    which: str = "dlv_1", kind: Kind = Kind.MESSAGE, environment: str = "workshop", attempts: int = 1
) -> Delivery:
    """A delivery under way."""
    return Delivery(
        id=which, team_id="T0", kind=kind, ordering_key=which, subject_id=which, environment=environment,
        body={}, state=State.SENDING, attempts=attempts, uncertain=False, created_at=NOW,
        next_attempt_at=None, deadline=None, receipt={}, last_error="",
    )  # fmt: skip


def failed(
    circuits: Circuits, times: int, kind: Kind = Kind.MESSAGE, outcome: Outcome = DOWN
) -> list[Turn | None]:
    """Have so many attempts fail in a row; return which of them changed anything."""
    return [
        circuits.note(delivery(f"dlv_{kind}_{number}", kind), outcome, SOON, NOW) for number in range(times)
    ]


def held_keys(circuits: Circuits) -> list[tuple[Kind, str]]:
    return [(one.kind, one.environment) for one in circuits.hold(NOW, ()).held]


@pytest.mark.parametrize("outcome", [DOWN, AWAY])
def test_after_a_few_failures_in_a_row_the_last_one_alone_is_tried(outcome: Retry) -> None:
    circuits = Circuits()
    assert failed(circuits, HELD_AFTER, outcome=outcome) == [None] * (HELD_AFTER - 1) + [Turn.HELD]
    [held] = circuits.hold(NOW, ()).held
    tried = f"dlv_message_{HELD_AFTER - 1}"
    assert held == Held(Kind.MESSAGE, "workshop", NOW, outcome.reason, "", outcome.away, tried, SOON)
    assert circuits.of("workshop") == held
    assert circuits.of("another") is None


@pytest.mark.parametrize("outcome", [Delivered({}), Refused("no"), LATER])
def test_what_gets_through_between_them_begins_the_count_anew(outcome: Outcome) -> None:
    circuits = Circuits()
    failed(circuits, HELD_AFTER - 1)
    assert not circuits.note(delivery(), outcome, SOON, NOW)
    failed(circuits, HELD_AFTER - 1)
    assert circuits.hold(NOW, ()) == Hold()


@pytest.mark.parametrize("kind", [Kind.STATUS, Kind.CARD, Kind.STOP])
def test_what_has_another_destination_is_never_held(kind: Kind) -> None:
    circuits = Circuits()
    assert not any(failed(circuits, HELD_AFTER + 1, kind))
    assert not any(circuits.note(delivery(environment=""), DOWN, SOON, NOW) for _ in range(HELD_AFTER + 1))


def test_decisions_go_on_while_messages_are_held() -> None:
    circuits = Circuits()
    failed(circuits, HELD_AFTER)
    assert held_keys(circuits) == [(Kind.MESSAGE, "workshop")]
    failed(circuits, HELD_AFTER, Kind.DECISION)
    assert held_keys(circuits) == [(Kind.MESSAGE, "workshop"), (Kind.DECISION, "workshop")]


def test_what_was_begun_before_it_was_held_changes_nothing_by_failing_and_everything_by_arriving() -> None:
    circuits = Circuits()
    failed(circuits, HELD_AFTER)
    before = circuits.hold(NOW, ())
    assert not circuits.note(delivery("dlv_late"), AWAY, NOW + timedelta(hours=1), NOW)
    assert circuits.hold(NOW, ()) == before
    assert circuits.note(delivery("dlv_late"), Delivered({}), NOW, NOW) is Turn.RESUMED
    assert circuits.hold(NOW, ()) == Hold(back=("workshop",))


def test_the_one_that_is_tried_tells_how_it_is_now() -> None:
    circuits = Circuits()
    failed(circuits, HELD_AFTER)
    [held] = circuits.hold(NOW, ()).held
    later = SOON + timedelta(seconds=20)
    assert not circuits.note(delivery(held.tried), AWAY, later, SOON)
    [now] = circuits.hold(SOON, ()).held
    assert (now.since, now.reason, now.away, now.due) == (NOW, AWAY.reason, True, later)


@pytest.mark.parametrize("outcome", [Delivered({}), Refused("no"), LATER])
def test_what_gets_through_lets_everything_go_and_has_the_other_kinds_tried_at_once(outcome: Outcome) -> None:
    circuits = Circuits()
    failed(circuits, HELD_AFTER)
    failed(circuits, HELD_AFTER, Kind.DECISION)
    tried = circuits.hold(NOW, ()).held[0].tried
    assert circuits.note(delivery(tried), outcome, SOON, NOW) is Turn.RESUMED
    hold = circuits.hold(NOW, ())
    assert [(one.kind, one.tried) for one in hold.held] == [(Kind.DECISION, "")]
    assert hold.back == ("workshop",)


def test_an_environment_whose_sockets_open_gets_everything() -> None:
    circuits = Circuits()
    failed(circuits, HELD_AFTER)
    failed(circuits, HELD_AFTER, Kind.DECISION)
    assert not circuits.back("another")
    assert circuits.back("workshop")
    assert circuits.hold(NOW, ()) == Hold(back=("another", "workshop"))
    assert failed(circuits, HELD_AFTER) == [None] * (HELD_AFTER - 1) + [
        Turn.HELD
    ]  # counted from the beginning
    assert held_keys(circuits) == [(Kind.MESSAGE, "workshop")]


def test_a_conversation_that_is_heard_beside_others_lets_nothing_go_that_is_held() -> None:
    circuits = Circuits()
    failed(circuits, HELD_AFTER)
    held = circuits.hold(NOW, ()).held
    circuits.look_again("workshop")
    assert circuits.hold(NOW, ()) == Hold(held, ("workshop",))


def test_an_environment_that_has_got_all_is_not_looked_at_again() -> None:
    circuits = Circuits()
    circuits.back("workshop")
    circuits.emptied(("workshop", "another"), circuits.hold(NOW, ()))
    assert circuits.hold(NOW, ()) == Hold()


def test_what_gets_through_while_a_claim_still_holds_the_others_lets_them_go_after_it() -> None:
    circuits = Circuits()
    failed(circuits, HELD_AFTER)
    circuits.look_again("workshop")
    before = circuits.hold(NOW, ())
    assert circuits.note(delivery(before.held[0].tried), Delivered({}), SOON, NOW) is Turn.RESUMED
    circuits.emptied(("workshop",), before)
    after = circuits.hold(NOW, ())
    assert after == Hold(back=("workshop",))
    circuits.emptied(("workshop",), after)
    assert circuits.hold(NOW, ()) == Hold()


@pytest.mark.parametrize(
    ("seconds", "under_way", "lost"), [(29, False, False), (31, False, True), (31, True, False)]
)
def test_one_that_is_gone_gives_its_place_to_the_first_there_is(
    seconds: float, *, under_way: bool, lost: bool
) -> None:
    circuits = Circuits()
    failed(circuits, HELD_AFTER)
    tried = circuits.hold(NOW, ()).held[0].tried
    moment = SOON + timedelta(seconds=seconds)
    [held] = circuits.hold(moment, (tried,) if under_way else ()).held
    assert held.tried == ("" if lost else tried)


def test_one_that_was_not_even_sent_tells_nothing_and_is_tried_again_by_its_schedule() -> None:
    circuits, unasked = Circuits(), Retry("its claim ran out", unasked=True)
    failed(circuits, HELD_AFTER - 1)
    assert circuits.note(delivery("dlv_late"), unasked, SOON, NOW) is None
    assert circuits.note(delivery("dlv_last"), DOWN, SOON, NOW) is Turn.HELD
    assert circuits.note(delivery("dlv_other"), unasked, SOON, NOW) is None
    later = SOON + timedelta(seconds=20)
    assert circuits.note(delivery("dlv_last"), unasked, later, SOON) is None
    [held] = circuits.hold(NOW, ()).held
    assert (held.tried, held.reason, held.due) == ("dlv_last", DOWN.reason, later)
    assert circuits.hold(NOW, ()).back == ()


def test_the_first_that_is_begun_is_the_one_that_is_tried() -> None:
    circuits = Circuits()
    failed(circuits, HELD_AFTER)
    gone = SOON + timedelta(minutes=1)
    circuits.hold(gone, ())
    circuits.begun(delivery("dlv_next"), gone)
    circuits.begun(delivery("dlv_after_that"), gone)
    [held] = circuits.hold(gone, ()).held
    assert (held.tried, held.due) == ("dlv_next", gone)
    assert not circuits.note(delivery("dlv_next"), DOWN, gone + timedelta(seconds=5), gone)
    assert circuits.hold(gone, ()).held[0].due == gone + timedelta(seconds=5)


def test_the_one_that_was_to_be_tried_is_lost_half_a_minute_behind_its_time_and_another_takes_its_place() -> (
    None
):
    circuits = Circuits()
    failed(circuits, HELD_AFTER)
    tried = f"dlv_message_{HELD_AFTER - 1}"
    lost = SOON + timedelta(seconds=30)
    assert [one.tried for one in circuits.hold(lost, ()).held] == [tried]
    moment = lost + timedelta(microseconds=1)
    assert [one.tried for one in circuits.hold(moment, (tried,)).held] == [tried]
    assert [one.tried for one in circuits.hold(moment, ()).held] == [""]
    assert circuits.note(delivery("dlv_other"), DOWN, moment, moment) is None
    assert [one.tried for one in circuits.hold(moment, ()).held] == ["dlv_other"]


def test_of_what_is_held_back_that_for_longest_is_told() -> None:
    circuits = Circuits()
    for kind, since in ((Kind.MESSAGE, SOON), (Kind.DECISION, NOW), (Kind.ANSWER, SOON)):
        for number in range(HELD_AFTER):
            circuits.note(delivery(f"dlv_{kind}_{number}", kind), DOWN, SOON, since)
    found = circuits.of("workshop")
    assert found is not None
    assert (found.kind, found.since) == (Kind.DECISION, NOW)


def test_what_is_left_to_others_is_neither_held_back_nor_let_go() -> None:
    circuits = Circuits()
    failed(circuits, HELD_AFTER)
    circuits.look_again("workshop")
    circuits.look_again("another")
    circuits.forget("workshop")
    assert circuits.hold(NOW, ()) == Hold((), ("another",))
    assert failed(circuits, HELD_AFTER - 1) == [None] * (HELD_AFTER - 1)
