"""A call that is asked again while its decision had been given up: the decision goes out once more."""

from collections.abc import Iterator
from datetime import timedelta

import pytest

from relay.domain.approvals import Approval, State
from relay.domain.deliveries import Delivered, Outcome, Refused, Retry
from relay.use_cases.follow_environment import still_to_send
from tests.approvals.desk import ADA, Desk
from tests.approvals.environment_model import Call, Frame

CALL = Call("call-1", "make all", fails=False)
AFTER_THE_GRACE = 60.0
NO_LONGER_PENDING = Refused("the device did not take the answer", over=True)


@pytest.fixture
def desk(store_url: str) -> Iterator[Desk]:
    made = Desk(store_url)
    yield made
    made.close()


def decided(desk: Desk) -> Approval:
    """Have a call asked and approved, with the decision on its way."""
    desk.take(Frame(1, asks=CALL))
    desk.take(Frame(2, lists=(CALL,)))
    [approval] = desk.approvals()
    desk.claim()
    assert desk.click(approval, ADA, desk.key(), approval.shown_hash, approve=True)
    desk.claim()
    return approval


def settle(desk: Desk, outcome: Outcome) -> None:
    desk.settle(desk.attempts[-1], outcome)


def given_up(desk: Desk) -> None:
    """Let the device be away after an attempt that may have arrived, and come back without the call."""
    settle(desk, Retry("answered 502", uncertain=True, down=True))
    desk.reconnect()
    desk.take(Frame(1, lists=()))
    desk.now += timedelta(seconds=2)
    desk.claim()
    assert not desk.transact(lambda tx: still_to_send(tx, desk.attempts[-1].delivery, desk.now))
    settle(desk, Refused("it is over: the environment no longer asks"))


AGAIN = [Frame(9, asks=CALL), Frame(9, lists=(CALL,))]


@pytest.mark.parametrize("again", AGAIN, ids=["asked", "listed"])
def test_a_decision_given_up_as_no_longer_asked_goes_out_when_it_is(desk: Desk, again: Frame) -> None:
    decided(desk)
    given_up(desk)
    before = len(desk.attempts)
    desk.take(again)
    desk.pass_time(AFTER_THE_GRACE)
    desk.claim()
    assert len(desk.attempts) == before + 1
    settle(desk, Delivered({}))
    assert [one.state for one in desk.approvals()] == [State.DECIDED]  # until there is a sign of it


@pytest.mark.parametrize("again", AGAIN, ids=["asked", "listed"])
def test_a_decision_that_the_device_no_longer_took_goes_out_when_it_asks_again(
    desk: Desk, again: Frame
) -> None:
    decided(desk)
    settle(desk, NO_LONGER_PENDING)
    before = len(desk.attempts)
    desk.take(again)
    desk.claim()
    assert len(desk.attempts) == before + 1


def test_a_decision_given_up_ends_unconfirmed_when_nobody_asks_again(desk: Desk) -> None:
    decided(desk)
    given_up(desk)
    before = len(desk.attempts)
    desk.pass_time(AFTER_THE_GRACE)
    desk.claim()
    assert len(desk.attempts) == before
    assert [one.state for one in desk.approvals()] == [State.UNCONFIRMED]
