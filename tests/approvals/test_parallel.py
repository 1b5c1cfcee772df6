"""Several calls of one turn: none runs before all are decided, and then they run one after the other."""

from collections.abc import Iterator

import pytest

from relay.domain.approvals import Approval, State, ToolReturned, ToolStarted
from relay.domain.deliveries import Delivered, Kind, Refused
from tests.approvals.desk import ADA, Desk, buttons
from tests.approvals.environment_model import Call, Frame

MAKE, REMOVE = Call("call_a", "make", fails=False), Call("call_b", "rm", fails=False)
DONE = ToolReturned(error=False, text="ok")


@pytest.fixture
def desk(store_url: str) -> Iterator[Desk]:
    made = Desk(store_url)
    yield made
    made.close()


def approve(desk: Desk, number: int) -> None:
    """Approve a request and have the decision passed on."""
    approval = desk.approvals()[number]
    assert desk.click(approval, ADA, desk.key(), approval.input_hash, approve=True)
    desk.claim()
    desk.settle(desk.attempts.pop(), Delivered({}))


def states(desk: Desk) -> list[State]:
    return [approval.state for approval in desk.approvals()]


def one_after_the_other(desk: Desk) -> None:
    """Have one call asked and approved, then the next asked, as a device does."""
    desk.take(Frame(10, asks=MAKE))
    approve(desk, 0)
    desk.take(Frame(11, lists=()))
    desk.take(Frame(12, asks=REMOVE))
    desk.take(Frame(13, lists=(REMOVE,)))


def test_a_call_waits_for_the_decision_on_the_next_and_for_its_way_to_the_device(desk: Desk) -> None:
    one_after_the_other(desk)
    desk.pass_time(120)
    approve(desk, 1)
    desk.pass_time(1)
    assert states(desk) == [State.DECIDED, State.DECIDED]
    desk.take(Frame(14, lists=()))
    desk.take(Frame(15, sign=("call_a", ToolStarted())))
    assert states(desk) == [State.DELIVERED, State.DECIDED]


def test_a_call_waits_while_the_tool_of_another_runs(desk: Desk) -> None:
    one_after_the_other(desk)
    approve(desk, 1)
    desk.take(Frame(14, lists=()))
    desk.take(Frame(15, sign=("call_a", ToolStarted())))
    desk.pass_time(120)
    assert states(desk) == [State.DELIVERED, State.DECIDED]
    desk.take(Frame(16, sign=("call_a", DONE)))
    desk.pass_time(1)
    desk.take(Frame(17, sign=("call_b", ToolStarted())))
    assert states(desk) == [State.DELIVERED, State.DELIVERED]


def test_a_call_whose_tool_never_starts_is_unconfirmed_soon_after_the_last_tool_returned(desk: Desk) -> None:
    one_after_the_other(desk)
    approve(desk, 1)
    desk.take(Frame(14, lists=()))
    desk.take(Frame(15, sign=("call_a", ToolStarted())))
    desk.take(Frame(16, sign=("call_a", DONE)))
    desk.pass_time(6)
    assert states(desk) == [State.DELIVERED, State.UNCONFIRMED]


def test_a_tool_that_is_never_seen_to_return_keeps_no_other_waiting_for_ever(desk: Desk) -> None:
    one_after_the_other(desk)
    approve(desk, 1)
    desk.take(Frame(14, lists=()))
    desk.take(Frame(15, sign=("call_a", ToolStarted())))
    desk.pass_time(2 * 3600)
    assert states(desk) == [State.DELIVERED, State.UNCONFIRMED]


def test_a_sign_soon_after_it_was_given_up_still_makes_it_delivered(desk: Desk) -> None:
    one_after_the_other(desk)
    approve(desk, 1)
    desk.take(Frame(14, lists=()))
    desk.take(Frame(15, sign=("call_a", ToolStarted())))
    desk.pass_time(2 * 3600)
    desk.pass_time(30)
    desk.take(Frame(16, sign=("call_b", ToolStarted())))
    assert states(desk) == [State.DELIVERED, State.DELIVERED]


def test_a_sign_long_after_it_was_given_up_is_of_another_call(desk: Desk) -> None:
    desk.take(Frame(10, asks=MAKE))
    approve(desk, 0)
    desk.take(Frame(11, lists=()))
    desk.pass_time(6)
    desk.pass_time(120)
    desk.take(Frame(12, sign=("call_a", ToolStarted())))
    assert states(desk) == [State.UNCONFIRMED]


def refused_over_the_socket(desk: Desk) -> Approval:
    """Have a decision passed on without effect, and the device refuse it over the socket while it asks."""
    desk.take(Frame(10, asks=MAKE))
    approve(desk, 0)
    desk.pass_time(4)
    desk.claim()
    attempt = desk.attempts.pop()
    assert attempt.delivery.kind is Kind.ANSWER
    desk.settle(attempt, Refused("the device refused it", said="no such mode"))
    return desk.approvals()[0]


def test_an_answer_that_is_refused_while_the_device_asks_fails_with_its_reason(desk: Desk) -> None:
    approval = refused_over_the_socket(desk)
    assert (approval.state, approval.gone_at) == (State.FAILED, None)
    assert "the device refused it: no such mode" in approval.note
    assert "retry" in buttons(approval)


def test_an_answer_that_was_refused_is_given_again_on_demand(desk: Desk) -> None:
    approval = refused_over_the_socket(desk)
    assert desk.retry(approval, ADA)
    desk.claim()
    desk.settle(desk.attempts.pop(), Delivered({"via": "socket"}))
    assert states(desk) == [State.DELIVERED]


def test_an_answer_that_nobody_waits_for_is_no_failure(desk: Desk) -> None:
    desk.take(Frame(10, asks=MAKE))
    approve(desk, 0)
    desk.pass_time(4)
    desk.claim()
    desk.settle(desk.attempts.pop(), Refused("the device did not take the answer", over=True))
    [approval] = desk.approvals()
    assert approval.state is State.DECIDED
    assert approval.gone_at is not None
