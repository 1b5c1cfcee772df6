"""Frames of the past, and decisions that did not arrive: what a card must not say because of them."""

from collections.abc import Iterator

import pytest

from relay.domain.approvals import Approval, State, ToolReturned, ToolStarted
from relay.domain.deliveries import Delivered, Outcome, Refused, Retry
from tests.approvals.desk import ADA, GRACE, MEMBER, Desk, words
from tests.approvals.environment_model import Call, Frame

LS, RM = Call("call_1", "ls", fails=False), Call("call_1", "rm", fails=False)
STARTED, FAILED = ("call_1", ToolStarted()), ("call_1", ToolReturned(error=True, text="exit 1"))


@pytest.fixture
def desk(store_url: str) -> Iterator[Desk]:
    made = Desk(store_url)
    yield made
    made.close()


def _approve(desk: Desk, outcome: Outcome | None = None) -> Approval:
    """Approve the latest request and have its decision leave, and end as `outcome`."""
    approval = desk.approvals()[-1]
    assert desk.click(approval, ADA, desk.key(), approval.input_hash, approve=True)
    desk.claim()
    if outcome is not None:
        desk.settle(desk.attempts.pop(), outcome)
    return approval


def _states(desk: Desk) -> list[State]:
    return [approval.state for approval in desk.approvals()]


def test_a_list_from_before_the_ask_withdraws_nothing(desk: Desk) -> None:
    desk.take(Frame(10, asks=LS))
    desk.take(Frame(9, lists=()))
    assert _states(desk) == [State.PENDING]


def test_a_later_list_without_the_request_withdraws_it(desk: Desk) -> None:
    desk.take(Frame(10, asks=LS))
    desk.take(Frame(11, lists=()))
    assert _states(desk) == [State.WITHDRAWN]


def test_a_list_overtaken_by_the_start_of_the_tool_opens_no_second_request(desk: Desk) -> None:
    desk.take(Frame(10, asks=LS))
    _approve(desk, Delivered({}))
    desk.take(Frame(12, sign=STARTED))
    desk.take(Frame(11, lists=(LS,)))
    assert _states(desk) == [State.DELIVERED]


def test_an_ask_overtaken_by_the_emptied_list_opens_no_second_request(desk: Desk) -> None:
    desk.take(Frame(10, lists=(LS,)))
    desk.take(Frame(12, lists=()))
    desk.take(Frame(11, asks=LS))
    assert _states(desk) == [State.WITHDRAWN]


def test_an_older_ask_does_not_supersede_a_newer_one_with_another_input(desk: Desk) -> None:
    desk.take(Frame(10, asks=LS))
    desk.take(Frame(12, asks=RM))
    desk.take(Frame(11, lists=(LS,)))
    assert _states(desk) == [State.SUPERSEDED, State.PENDING]


def test_a_tools_return_told_twice_does_not_end_the_next_request_of_the_same_id(desk: Desk) -> None:
    desk.take(Frame(10, asks=LS))
    _approve(desk, Delivered({}))
    desk.take(Frame(11, sign=STARTED))
    desk.take(Frame(20, asks=LS))
    desk.take(Frame(13, sign=("call_1", ToolReturned(error=False, text="done"))))
    assert _states(desk) == [State.DELIVERED, State.PENDING]


def test_an_overtaken_list_does_not_undo_that_it_is_asked_no_longer(desk: Desk) -> None:
    desk.take(Frame(10, asks=LS))
    _approve(desk, Delivered({}))
    desk.take(Frame(12, lists=()))
    desk.take(Frame(11, lists=(LS,)))
    desk.pass_time(6)
    assert _states(desk) == [State.UNCONFIRMED]


def test_a_start_overtaken_by_the_emptied_list_is_still_evidence(desk: Desk) -> None:
    desk.take(Frame(10, asks=LS))
    _approve(desk, Delivered({}))
    desk.take(Frame(14, lists=()))
    desk.take(Frame(12, sign=STARTED))
    assert _states(desk) == [State.DELIVERED]


def test_a_tool_that_was_seen_to_fail_but_not_to_start_is_not_laid_to_somebody_else(desk: Desk) -> None:
    desk.take(Frame(10, asks=LS))
    _approve(desk, Delivered({}))
    desk.take(Frame(13, sign=FAILED))
    assert "somebody outside Slack" not in words(desk.approvals()[0])
    desk.take(Frame(12, sign=STARTED))
    assert _states(desk) == [State.DELIVERED]


@pytest.mark.parametrize("outcome", [Retry("offline", away=True), Refused("401")])
def test_what_surely_never_arrived_is_withdrawn_and_not_said_to_be_sent(desk: Desk, outcome: Outcome) -> None:
    desk.take(Frame(10, asks=LS))
    _approve(desk, outcome)
    desk.reconnect()  # the device lost everything, and said nothing
    desk.take(Frame(1, lists=()))
    [approval] = desk.approvals()
    assert approval.state is State.WITHDRAWN
    assert "not delivered" in words(approval)


@pytest.mark.parametrize("outcome", [Retry("offline", away=True), Refused("401")])
def test_a_tool_that_starts_though_ours_never_arrived_was_allowed_by_another(
    desk: Desk, outcome: Outcome
) -> None:
    desk.take(Frame(10, asks=LS))
    _approve(desk, outcome)
    desk.take(Frame(12, sign=STARTED))
    assert _states(desk) == [State.DECIDED_ELSEWHERE]


def test_an_attempt_without_an_answer_may_be_what_started_the_tool(desk: Desk) -> None:
    desk.take(Frame(10, asks=LS))
    _approve(desk, Retry("no answer", uncertain=True))
    desk.take(Frame(12, sign=STARTED))
    assert _states(desk) == [State.DELIVERED]


def test_an_attempt_that_may_have_arrived_is_not_forgotten_when_the_next_is_refused(desk: Desk) -> None:
    desk.take(Frame(10, asks=LS))
    _approve(desk, Retry("no answer", uncertain=True))
    desk.pass_time(1)
    desk.claim()
    desk.settle(desk.attempts.pop(), Refused("401"))
    desk.take(Frame(12, lists=()))
    assert _states(desk) == [State.UNCONFIRMED]


def test_a_decision_refused_after_the_request_was_gone_offers_no_retry(desk: Desk) -> None:
    desk.take(Frame(10, asks=LS))
    _approve(desk)
    desk.take(Frame(11, lists=()))
    desk.settle(desk.attempts.pop(), Refused("401"))
    desk.pass_time(6)
    assert _states(desk) == [State.WITHDRAWN]


def test_an_answered_request_that_is_asked_again_gets_the_same_decision_again(desk: Desk) -> None:
    desk.take(Frame(10, asks=LS))
    _approve(desk, Delivered({}))
    desk.reconnect()
    desk.take(Frame(11, asks=LS))
    desk.claim()
    [again] = desk.attempts
    assert (again.delivery.body["approve"], len(desk.approvals())) == (True, 1)


def test_an_answered_request_that_is_only_listed_is_not_answered_again_by_that(desk: Desk) -> None:
    desk.take(Frame(10, asks=LS))
    _approve(desk, Delivered({}))
    desk.take(Frame(11, lists=(LS,)))
    desk.claim()
    assert desk.attempts == []


def test_a_superseded_decision_that_has_not_left_never_leaves(desk: Desk) -> None:
    desk.take(Frame(10, asks=LS))
    approval = desk.approvals()[0]
    desk.click(approval, ADA, desk.key(), approval.input_hash, approve=True)
    desk.take(Frame(12, asks=RM))
    desk.claim()
    assert desk.attempts == []
    assert _states(desk) == [State.SUPERSEDED, State.PENDING]


def test_the_button_of_a_superseded_card_decides_nothing_on_the_new_one(desk: Desk) -> None:
    desk.take(Frame(10, asks=LS))
    desk.take(Frame(12, asks=RM))
    old, new = desk.approvals()
    assert not desk.click(old, GRACE, desk.key(), old.input_hash, approve=True)
    assert not desk.click(new, GRACE, desk.key(), old.input_hash, approve=True)
    assert _states(desk) == [State.SUPERSEDED, State.PENDING]


def test_a_failed_decision_leaves_again_when_somebody_presses_retry(desk: Desk) -> None:
    desk.take(Frame(10, asks=LS))
    approval = _approve(desk, Refused("401"))
    assert desk.retry(approval, MEMBER)
    desk.claim()
    desk.settle(desk.attempts.pop(), Delivered({}))
    desk.take(Frame(12, sign=STARTED))
    assert _states(desk) == [State.DELIVERED]
