"""An approval's life in any order of arrivals: one decision a request, and a card that tells the truth.

The witness is a small device (environment_model): what it still waits for and which answer took effect
there is known for sure, whatever the relay was told of it, late, twice or not at all.
"""

import tempfile
from dataclasses import dataclass

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from relay.domain.approvals import Approval, Decision, State
from relay.domain.deliveries import Delivered, Delivery, Kind, Outcome, Refused, Retry
from relay.domain.people import Person
from tests.approvals.desk import (
    ADA,
    GRACE,
    GUEST,
    MAY_DECIDE,
    MEMBER,
    STRANGER,
    Attempt,
    Desk,
    buttons,
    words,
)
from tests.approvals.environment_model import OWN_WORDS, Device

S = State
# What the design's table lets follow a state. `failed → unconfirmed` and `decided → unconfirmed`: the
# environment asks no longer and an attempt of ours may have arrived.
MAY_FOLLOW: dict[State, set[State]] = {
    S.PENDING: {S.DECIDED, S.WITHDRAWN, S.SUPERSEDED, S.DECIDED_ELSEWHERE},
    S.DECIDED: {
        S.DELIVERED, S.FAILED, S.WITHDRAWN, S.SUPERSEDED, S.DECIDED_ELSEWHERE, S.UNCONFIRMED,
    },
    S.FAILED: {S.DECIDED, S.DELIVERED, S.WITHDRAWN, S.SUPERSEDED, S.DECIDED_ELSEWHERE, S.UNCONFIRMED},
    S.WITHDRAWN: {S.DECIDED_ELSEWHERE},
    S.UNCONFIRMED: {S.DELIVERED, S.DECIDED_ELSEWHERE},
    S.DELIVERED: set(),
    S.SUPERSEDED: set(),
    S.DECIDED_ELSEWHERE: set(),
}  # fmt: skip
BEFORE_ARRIVING: dict[str, tuple[Outcome, str]] = {
    "away": (Retry("offline", away=True), "no"),
    "busy": (Retry("429"), "no"),
    "refused": (Refused("401"), "no"),
    "silence": (Retry("no answer", uncertain=True), "maybe"),
    "forwarded, but not taken": (Delivered({}), "maybe"),
}
TROUBLE = [
    "the_device_asks_again",
    "the_device_lists_what_it_waits_for",
    "the_turn_is_aborted",
    "the_sockets_are_opened_anew",
    "the_device_restarts",
    "the_relay_restarts_before_its_decisions_arrive",
    "the_relay_restarts_after_its_decisions_arrived",
]
AFTER_ARRIVING: dict[str, tuple[Outcome, str]] = {
    "taken": (Delivered({}), "maybe"),
    "silence": (Retry("no answer", uncertain=True), "maybe"),
}


@dataclass
class Known:
    """What was last seen of a request."""

    state: State
    decision: Decision | None


class ApprovalLife(RuleBasedStateMachine):
    """Everything that may happen to approval requests, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory()
        self.desk = Desk(f"sqlite:///{self._folder.name}/relay.db")
        self.device = Device()
        self.known: dict[str, Known] = {}

    def teardown(self) -> None:
        try:
            self._let_everything_arrive()
        finally:
            self.desk.close()
            self._folder.cleanup()

    # What the environment does.

    @rule(number=st.integers(1, 2), command=st.sampled_from(["ls", "rm"]), fails=st.booleans())
    def the_agent_asks(self, number: int, command: str, fails: bool) -> None:
        if self.device.may_ask(f"call_{number}", command):
            self.device.ask(f"call_{number}", command, fails=fails)

    @precondition(lambda self: self.device.on_the_way)
    @rule(overtaking=st.integers(0, 3))
    def a_frame_comes(self, overtaking: int) -> None:
        self.desk.take(self.device.next_frame(overtaking))

    @precondition(lambda self: self.device.on_the_way)
    @rule()
    def every_frame_comes(self) -> None:
        while self.device.on_the_way:
            self.desk.take(self.device.next_frame())

    @precondition(lambda self: self.device.pending())
    @rule(which=st.integers(0, 1), approve=st.booleans())
    def somebody_answers_at_the_terminal(self, which: int, approve: bool) -> None:
        call = self.device.pending()[which % len(self.device.pending())]
        reason = "" if approve else OWN_WORDS
        self.device.answer(call.tool_call_id, approve=approve, reason=reason, by_relay=False)

    @rule(what=st.sampled_from(TROUBLE))
    def something_rare_happens(self, what: str) -> None:
        getattr(self, what)()

    def the_device_asks_again(self) -> None:
        for call in self.device.pending():
            self.device.replay(call)

    def the_device_lists_what_it_waits_for(self) -> None:
        self.device.tell_list()

    def the_turn_is_aborted(self) -> None:
        self.device.abort()

    def the_sockets_are_opened_anew(self) -> None:
        self.desk.reconnect()
        self.device.greet()

    def the_device_restarts(self) -> None:
        self.device.restart()
        self.the_sockets_are_opened_anew()

    def the_relay_restarts_before_its_decisions_arrive(self) -> None:
        for attempt in self._on_their_way():
            attempt.end = "maybe"
        self.desk.restart()
        self.device.greet()

    def the_relay_restarts_after_its_decisions_arrived(self) -> None:
        for attempt in self._on_their_way():
            self._arrive(attempt)
        self.the_relay_restarts_before_its_decisions_arrive()

    # What people do.

    @precondition(lambda self: self.known)
    @rule(
        which=st.integers(0, 5), person=st.sampled_from([ADA, GRACE, MEMBER, GUEST, STRANGER]),
        approve=st.booleans(), stale=st.booleans(), twice=st.booleans(),
    )  # fmt: skip
    def somebody_clicks(self, which: int, person: Person, approve: bool, stale: bool, twice: bool) -> None:
        approval = self._some_approval(which)
        digest = "of something else" if stale else approval.input_hash
        key = self.desk.key()
        decided = self.desk.click(approval, person, key, digest, approve=approve)
        may = person.user_id in MAY_DECIDE and not stale and approval.state is State.PENDING
        assert decided == may
        if twice:
            assert not self.desk.click(approval, person, key, digest, approve=approve)

    @precondition(lambda self: self.known)
    @rule(which=st.integers(0, 5))
    def an_approver_approves(self, which: int) -> None:
        self.somebody_clicks(which, ADA, approve=True, stale=False, twice=False)

    @precondition(lambda self: self.known)
    @rule(which=st.integers(0, 5), person=st.sampled_from([MEMBER, GUEST]))
    def somebody_presses_retry(self, which: int, person: Person) -> None:
        approval = self._some_approval(which)
        retried = self.desk.retry(approval, person)
        assert retried == (person is MEMBER and approval.state is State.FAILED)

    # What the relay does.

    @rule()
    def what_is_due_leaves(self) -> None:
        by_id = {approval.id: approval for approval in self.desk.approvals()}
        for delivery in self.desk.claim():
            if delivery.subject_id not in by_id:
                continue
            decision = by_id[delivery.subject_id].decision
            assert decision is not None
            left = (delivery.body["approve"], delivery.body["reason"], delivery.body["tool_call_id"])
            asked = by_id[delivery.subject_id].asked
            assert left == (decision.approve, decision.reason, asked.tool_call_id)

    @precondition(lambda self: self._on_their_way())
    @rule(which=st.integers(0, 2))
    def a_decision_arrives(self, which: int) -> None:
        self._arrive(self._on_their_way()[which % len(self._on_their_way())])

    @precondition(lambda self: self._on_their_way())
    @rule(which=st.integers(0, 2), how=st.sampled_from(sorted(BEFORE_ARRIVING)))
    def an_attempt_ends(self, which: int, how: str) -> None:
        attempt = self._on_their_way()[which % len(self._on_their_way())]
        self._end(attempt, how)

    @rule(seconds=st.sampled_from([0.5, 6.0, 40.0]))
    def time_passes(self, seconds: float) -> None:
        self.desk.pass_time(seconds)

    def _some_approval(self, which: int) -> Approval:
        approvals = self.desk.approvals()
        return approvals[-1 - which % len(approvals)]

    def _on_their_way(self) -> list[Attempt]:
        return [attempt for attempt in self.desk.attempts if not attempt.end]

    def _arrive(self, attempt: Attempt) -> None:
        if not attempt.arrived:
            attempt.arrived = True
            attempt.taken = self._answered_by(attempt.delivery)
            if attempt.delivery.kind is Kind.ANSWER:  # a socket answers on the spot
                said = Delivered({}) if attempt.taken else Refused("no longer pending")
                attempt.end = "maybe"
                self.desk.settle(attempt, said)

    def _answered_by(self, delivery: Delivery) -> bool:
        if self._is_another_requests(delivery):
            return False
        body = delivery.body
        return self.device.answer(
            body["tool_call_id"], approve=body["approve"], reason=body["reason"], by_relay=True
        )

    def _is_another_requests(self, delivery: Delivery) -> bool:
        """Whether the device now asks something else under the id that this decision names.

        A real device would take it all the same: the wire names the id alone. No relay closes that
        gap once a decision has left, so this witness leaves it out.
        """
        [approval] = [one for one in self.desk.approvals() if one.id == delivery.subject_id]
        waiting = self.device.waits_for(approval.asked.tool_call_id)
        if waiting is None or waiting is self.desk.calls[approval.id]:
            return False
        others = [call for which, call in self.desk.calls.items() if which != approval.id]
        same = waiting.command == approval.asked.tool_input["command"] and waiting not in others
        return not (same and approval.open)

    def _end(self, attempt: Attempt, how: str) -> None:
        if attempt.arrived:
            how = how if how in AFTER_ARRIVING else "taken"
            outcome, attempt.end = AFTER_ARRIVING[how]
        elif attempt.delivery.kind is Kind.ANSWER:
            outcome, attempt.end = BEFORE_ARRIVING["silence" if how == "silence" else "away"]
        else:
            outcome, attempt.end = BEFORE_ARRIVING[how]
        self.desk.settle(attempt, outcome)

    def _may_have_arrived(self, approval: Approval) -> bool:
        ours = [one for one in self.desk.attempts if one.delivery.subject_id == approval.id]
        return any(one.end != "no" for one in ours)

    # What is always true.

    @invariant()
    def a_request_is_decided_once_by_somebody_who_may_and_moves_by_the_table(self) -> None:
        for approval in self.desk.approvals():
            before = self.known.get(approval.id, Known(State.PENDING, None))
            assert approval.state is before.state or approval.state in MAY_FOLLOW[before.state]
            if before.decision is not None:
                assert approval.decision == before.decision
            if approval.decision is not None:
                assert approval.decision.user_id in MAY_DECIDE
            if approval.state in (State.DELIVERED, State.UNCONFIRMED) and approval.state is not before.state:
                assert self._may_have_arrived(approval)
            self.known[approval.id] = Known(approval.state, approval.decision)

    @invariant()
    def every_card_tells_the_truth(self) -> None:
        for approval in self.desk.approvals():
            shown = words(approval)
            answers = {"approve", "deny", "deny_reason", "edit", "details", "more"}
            expected = {State.PENDING: answers, State.FAILED: {"retry"}}
            assert buttons(approval) == expected.get(approval.state, set())
            assert ("Delivered." in shown) == (approval.state is State.DELIVERED)
            assert ("no longer asked" in shown) == (approval.state is State.WITHDRAWN)
            self._is_true_of_the_device(approval)

    def _is_true_of_the_device(self, approval: Approval) -> None:
        call, decision = self.desk.calls[approval.id], approval.decision
        if approval.state is State.DELIVERED:
            assert decision is not None
            assert call.approve == decision.approve
            assert decision.approve or call.reason == decision.reason
        elif approval.state is State.WITHDRAWN:
            assert call.state != "pending"
            assert not call.by_relay
        elif approval.state is State.DECIDED_ELSEWHERE:
            assert call.state == "answered"
            assert not call.by_relay
        elif approval.state is State.UNCONFIRMED:
            assert call.state != "pending"
        elif approval.state is State.PENDING:
            assert not call.by_relay

    # What is true in the end.

    def _let_everything_arrive(self) -> None:
        for _ in range(6):
            for attempt in self._on_their_way():
                self._arrive(attempt)
                if not attempt.end:
                    self._end(attempt, "taken")
            self.desk.reconnect()
            self.device.greet()
            self.every_frame_comes_and_time_goes_by()
        self.every_card_tells_the_truth()
        self.what_was_told_is_what_the_device_waits_for()

    def every_frame_comes_and_time_goes_by(self) -> None:
        while self.device.on_the_way:
            self.desk.take(self.device.next_frame())
        self.desk.pass_time(4000)  # longer than a tool may run and keep another's sign back
        while self.desk.claim():
            pass

    def what_was_told_is_what_the_device_waits_for(self) -> None:
        approvals = self.desk.approvals()
        # No tool starts while another call of its turn is asked about: a sign may yet come.
        kept_back = bool(self.device.pending())
        approvals = [one for one in approvals if not (kept_back and one.gone_at and one.sent)]
        still_open = [self.desk.calls[one.id] for one in approvals if one.open]
        assert sorted(map(id, still_open)) == sorted(map(id, self.device.pending()))
        assert {one.state for one in approvals if one.open} <= {State.PENDING, State.FAILED}
        for approval in approvals:
            assert self.desk.posted[approval.id] == words(approval)


TestApprovalLife = ApprovalLife.TestCase
