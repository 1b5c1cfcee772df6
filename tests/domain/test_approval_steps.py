"""What one arrival does to an approval request, step by step."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from relay.domain.approvals import (
    AS_DENIAL,
    GRACE,
    Approval,
    Asked,
    Decision,
    Evidence,
    Returned,
    State,
    ToolReturned,
    ToolStarted,
    after_drop,
    after_evidence,
    after_gone,
    after_silence,
    form_of,
    is_gone,
    is_of_an_earlier_call,
    is_old,
    is_over,
    is_replay,
    ran_it,
    wordless_denial,
)

NOW = datetime(2026, 1, 5, 9, tzinfo=UTC)
APPROVED = Decision(approve=True, reason="", user_id="U1", decided_at=NOW)
DENIED = Decision(approve=False, reason="Denied by Ada in Slack.", user_id="U1", decided_at=NOW)
BY_HAND = replace(DENIED, reason="Ada ran this: 3 built", returned=Returned(success=True, output="3 built"))
STARTED, DONE = ToolStarted(), ToolReturned(error=False, text="done")
OUR_DENIAL = ToolReturned(error=True, text="Denied by Ada in Slack.")
FAILED = ToolReturned(error=True, text="exit 1")
PENDING = Approval(
    id="apr_1",
    team_id="T0HOME",
    asked=Asked("workshop", "agent-1", "default", "call_1", "Bash", {"command": "ls"}, (), ""),
    input_hash="hash",
    occurrence=1,
    state=State.PENDING,
    decision=None,
    requesters=(),
    message_id=None,
    epoch="pair-1",
    event_seq=10,
    gone_at=None,
    sent=False,
    note="",
    created_at=NOW,
    revision=1,
)


def _decided(decision: Decision, *, sent: bool, state: State = State.DECIDED) -> Approval:
    return replace(PENDING, state=state, decision=decision, sent=sent)


@pytest.mark.parametrize(
    ("decision", "evidence"), [(APPROVED, STARTED), (APPROVED, DONE), (DENIED, OUR_DENIAL)]
)
def test_a_sign_of_our_decision_after_an_attempt_of_ours_is_delivered(
    decision: Decision, evidence: Evidence
) -> None:
    assert after_evidence(_decided(decision, sent=True), evidence) is State.DELIVERED


@pytest.mark.parametrize(
    ("evidence", "state"),
    [
        (ToolReturned(error=False, text="-> 3 built"), State.DELIVERED),
        (ToolReturned(error=True, text="denied: Ada ran this: 3 built"), State.DELIVERED),
        (DONE, State.DECIDED_ELSEWHERE),
        (STARTED, State.DECIDED_ELSEWHERE),
    ],
)
def test_an_output_by_hand_arrived_where_the_tool_returned_it(evidence: Evidence, state: State) -> None:
    assert after_evidence(_decided(BY_HAND, sent=True), evidence) is state


def test_a_denial_that_says_otherwise_than_the_output_is_still_known_by_its_reason() -> None:
    other = replace(BY_HAND, reason="Ada ran this.")
    said = ToolReturned(error=True, text="Ada ran this.")
    assert after_evidence(_decided(other, sent=True), said) is State.DELIVERED


@pytest.mark.parametrize(
    ("decision", "evidence", "form"),
    [
        (BY_HAND, ToolReturned(error=True, text="denied: Ada ran this: 3 built"), AS_DENIAL),
        (BY_HAND, ToolReturned(error=False, text="3 built"), ""),
        (BY_HAND, STARTED, ""),
        (replace(BY_HAND, reason="X"), STARTED, ""),
        (DENIED, OUR_DENIAL, ""),
        (APPROVED, DONE, ""),
        (None, DONE, ""),
    ],
)
def test_a_card_says_so_only_when_an_output_by_hand_arrived_as_a_denial(
    decision: Decision | None, evidence: Evidence, form: str
) -> None:
    assert form_of(decision, evidence) == form


@pytest.mark.parametrize(
    ("returned", "told"),
    [
        (Returned(True, "3 built"), "Ada ran this themselves instead; it succeeded.\n3 built"),
        (Returned(False, ""), "Ada ran this themselves instead; it failed."),
        (
            Returned(True, "a", "b", "c"),
            "Ada ran this themselves instead; it succeeded.\na\nstdout:\nb\nstderr:\nc",
        ),
    ],
)
def test_the_agent_is_told_who_ran_it_how_it_went_and_what_came_of_it(returned: Returned, told: str) -> None:
    assert ran_it(returned, "Ada") == told


@pytest.mark.parametrize("evidence", [STARTED, DONE, FAILED])
def test_a_sign_of_another_answer_than_our_denial_is_decided_elsewhere(evidence: Evidence) -> None:
    assert after_evidence(_decided(DENIED, sent=True), evidence) is State.DECIDED_ELSEWHERE


@pytest.mark.parametrize("approval", [PENDING, _decided(APPROVED, sent=False)])
def test_what_became_of_a_call_before_anything_was_sent_was_decided_elsewhere(approval: Approval) -> None:
    assert after_evidence(approval, STARTED) is State.DECIDED_ELSEWHERE


def test_an_error_return_after_an_approval_shows_neither_a_failed_tool_nor_a_denial() -> None:
    assert after_evidence(_decided(APPROVED, sent=True), FAILED) is State.UNCONFIRMED


def test_the_start_of_the_tool_may_come_after_its_failure_and_shows_that_our_approval_arrived() -> None:
    unconfirmed = _decided(APPROVED, sent=True, state=State.UNCONFIRMED)
    assert after_evidence(unconfirmed, STARTED) is State.DELIVERED


@pytest.mark.parametrize("state", [State.DELIVERED, State.SUPERSEDED, State.DECIDED_ELSEWHERE])
@pytest.mark.parametrize("evidence", [STARTED, DONE, FAILED, OUR_DENIAL])
def test_no_sign_moves_what_has_ended(state: State, evidence: Evidence) -> None:
    assert after_evidence(_decided(APPROVED, sent=True, state=state), evidence) is state


@pytest.mark.parametrize("state", [State.PENDING, State.DECIDED, State.FAILED])
def test_what_never_arrived_is_withdrawn_when_it_is_asked_no_longer(state: State) -> None:
    assert after_gone(replace(PENDING, state=state)) is State.WITHDRAWN


def test_a_decision_on_its_way_waits_for_evidence_when_it_is_asked_no_longer() -> None:
    assert after_gone(_decided(APPROVED, sent=True)) is State.DECIDED


def test_a_failed_decision_that_may_have_arrived_is_unconfirmed_when_it_is_asked_no_longer() -> None:
    assert after_gone(_decided(APPROVED, sent=True, state=State.FAILED)) is State.UNCONFIRMED


@pytest.mark.parametrize("state", [State.DELIVERED, State.SUPERSEDED, State.WITHDRAWN, State.UNCONFIRMED])
def test_what_has_ended_cannot_be_withdrawn(state: State) -> None:
    assert after_gone(replace(PENDING, state=state)) is state


@pytest.mark.parametrize(("sent", "state"), [(True, State.UNCONFIRMED), (False, State.WITHDRAWN)])
def test_silence_after_the_grace_ends_the_wait_for_evidence(sent: bool, state: State) -> None:
    gone = replace(_decided(APPROVED, sent=sent), gone_at=NOW)
    assert after_silence(gone, NOW + GRACE) is state
    assert after_silence(gone, NOW + GRACE - timedelta(seconds=1)) is State.DECIDED


def test_silence_means_nothing_while_it_is_still_asked() -> None:
    assert after_silence(_decided(APPROVED, sent=True), NOW + timedelta(days=1)) is State.DECIDED


@pytest.mark.parametrize(
    ("epoch", "event_seq", "gone"),
    [("pair-1", 9, False), ("pair-1", 10, False), ("pair-1", 11, True), ("pair-2", 1, True)],
)
def test_only_a_later_list_or_one_of_new_sockets_shows_that_it_is_over(
    epoch: str, event_seq: int, gone: bool
) -> None:
    assert is_gone(PENDING, epoch, event_seq) is gone


@pytest.mark.parametrize(
    ("epoch", "event_seq", "old"),
    [
        ("pair-1", 10, True),
        ("pair-1", 1, True),
        ("pair-1", 11, False),
        ("pair-2", 1, False),
        ("pair-1", 0, False),
    ],
)
def test_an_ask_at_or_before_the_last_known_position_is_old(epoch: str, event_seq: int, old: bool) -> None:
    assert is_old(PENDING, epoch, event_seq) is old


def test_a_sign_from_before_the_ask_is_of_an_earlier_call() -> None:
    assert is_of_an_earlier_call(PENDING, "pair-1", 9)
    assert not is_of_an_earlier_call(PENDING, "pair-1", 11)


def test_a_sign_overtaken_by_the_emptied_list_is_still_of_this_call() -> None:
    gone = replace(_decided(APPROVED, sent=True), gone_at=NOW, event_seq=20)
    assert not is_of_an_earlier_call(gone, "pair-1", 15)


def test_a_replay_is_the_same_open_request_with_the_same_input() -> None:
    assert is_replay(PENDING, "hash")
    assert not is_replay(PENDING, "another")
    assert not is_replay(replace(PENDING, state=State.DELIVERED), "hash")


def test_a_list_that_names_what_has_ended_in_these_sockets_was_made_before() -> None:
    ended = replace(PENDING, state=State.DELIVERED)
    assert is_over(ended, "hash", "pair-1")
    assert not is_over(ended, "hash", "pair-2")
    assert not is_over(ended, "another", "pair-1")
    assert not is_over(PENDING, "hash", "pair-1")


@pytest.mark.parametrize("edited", [{"command": "ls -l"}, {}])
def test_what_would_run_is_the_input_asked_about_until_somebody_changed_it(edited: dict[str, str]) -> None:
    assert PENDING.present_input == {"command": "ls"}
    assert replace(PENDING, edited_input=edited).present_input == edited


@pytest.mark.parametrize("name", ["Ada", "A\nB", "Denied by X in Slack.", ""])
def test_a_denial_without_words_has_a_reason_for_the_agent_and_no_words(name: str) -> None:
    denial = Decision(approve=False, reason=wordless_denial(name), user_id="U1", decided_at=NOW)
    assert denial.reason
    assert denial.in_words == ""


def test_a_denial_with_words_keeps_them() -> None:
    denial = Decision(approve=False, reason="Not on a Friday.", user_id="U1", decided_at=NOW)
    assert denial.in_words == "Not on a Friday."


@pytest.mark.parametrize("sent", [True, False])
@pytest.mark.parametrize("state", State)
def test_a_decision_that_is_given_up_is_over_and_what_may_have_arrived_is_not_confirmed(
    state: State, *, sent: bool
) -> None:
    found = after_drop(replace(PENDING, state=state, sent=sent))
    given_up = State.UNCONFIRMED if sent else State.WITHDRAWN
    assert found is (given_up if state in (State.DECIDED, State.FAILED) else state)
