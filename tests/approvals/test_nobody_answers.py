"""Silence, rest and another policy, as the use cases write them: one transaction each, on a real file."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest

from relay.domain.approvals import Approval, State
from relay.domain.deliveries import Delivery, Kind
from relay.domain.people import Person
from relay.domain.rules import Action, Ask, Circle, Ruling, Silence
from relay.domain.silence import HEARING
from relay.use_cases.apply_policy import apply_policy
from relay.use_cases.ask_again import Press, ask_again
from relay.use_cases.asking_others import ask_others
from relay.use_cases.open_approval import Audience, Sighting, open_approval
from relay.use_cases.pass_silence import after_start, pass_silence
from relay.use_cases.record_decision import Answer, Click, record_decision
from relay.use_cases.snooze import snooze
from relay.use_cases.whisper import Listener
from tests.approvals.desk import ADA, AUTHORITY, GRACE, HOME, KEY, MEMBER, PLACE, RIGHTS, Desk, asked_of
from tests.approvals.environment_model import Call

MINUTE = timedelta(minutes=1)
BOTH = Circle(users=frozenset({ADA.user_id, GRACE.user_id}))
CAREFUL = Ask(rule="careful", approvers=BOTH, editors=BOTH, quorum=2, expires_after=30 * MINUTE)


@dataclass
class Silent:
    """One request by a rule, and what comes of it while nobody, or somebody, answers."""

    desk: Desk

    def asked(self, ask: Ask, *, posted: bool = True) -> Approval:
        audience, call = (
            Audience(HOME, (PLACE,), KEY, lambda _: Ruling(Action.ASK, ask=ask)),
            Call("tc", "make", fails=False),
        )
        self.desk.transact(
            lambda tx: open_approval(tx, asked_of(call), Sighting("pair-1", 1), audience, (), self.desk.now)
        )
        if posted:
            self.desk.claim()
        return self.now

    @property
    def now(self) -> Approval:
        return self.desk.approvals()[-1]

    def after(self, length: timedelta) -> Approval:
        self.desk.now += length
        self.desk.transact(lambda tx: pass_silence(tx, self.desk.now))
        return self.now

    def vote(self, person: Person) -> None:
        listener, at = Listener(HOME, PLACE, person.user_id, None), self.now
        click = Click(person, listener, self.desk.key(), at.id, "tc", at.shown_hash, None)
        self.desk.transact(
            lambda tx: record_decision(tx, click, Answer(approve=True), AUTHORITY, self.desk.now)
        )

    def voters(self) -> set[str]:
        which = self.now.id
        return {vote.user_id for vote in self.desk.transact(lambda tx: tx.votes.of(which))}

    def press(self, person: Person) -> Press:
        return Press(person, Listener(HOME, PLACE, person.user_id, None), self.desk.key(), self.now.id)

    def ask_again(self, person: Person = GRACE) -> bool:
        press = self.press(person)
        return self.desk.transact(lambda tx: ask_again(tx, press, RIGHTS, self.desk.now))

    def snooze(self, person: Person = GRACE) -> bool:
        press = self.press(person)
        return self.desk.transact(lambda tx: snooze(tx, press, RIGHTS, self.desk.now))

    def ruled(self, ruling: Ruling) -> Approval:
        audience = Audience(HOME, (PLACE,), KEY, lambda _: ruling)
        self.desk.transact(lambda tx: apply_policy(tx, lambda *_: audience, self.desk.now))
        return self.now

    def reminders(self) -> list[Delivery]:
        which = self.now.id
        return self.desk.transact(lambda tx: tx.deliveries.of_subject(which, Kind.REMINDER))

    def places(self) -> list[tuple[str, ...]]:
        which = self.now.id
        return [copy.places for copy in self.desk.transact(lambda tx: tx.approvals.copies(which))]


@pytest.fixture
def silent(store_url: str) -> Iterator[Silent]:
    made = Silent(Desk(store_url))
    yield made
    made.desk.close()


def test_each_reminder_is_made_once_however_often_time_is_looked_at(silent: Silent) -> None:
    silent.asked(replace(CAREFUL, approvers=Circle(groups=frozenset({"S0A"})), remind_after=(5 * MINUTE,)))
    for _ in range(3):
        silent.after(5 * MINUTE)
    assert len(silent.reminders()) == 1
    assert silent.now.nudges == 1


def test_reminders_that_were_missed_are_made_up_for_by_one(silent: Silent) -> None:
    ask = replace(CAREFUL, approvers=Circle(groups=frozenset({"S0A"})))
    silent.asked(replace(ask, remind_after=(5 * MINUTE, 10 * MINUTE, 15 * MINUTE)))
    silent.after(20 * MINUTE)
    assert (len(silent.reminders()), silent.now.nudges) == (1, 3)


def test_who_has_voted_is_not_called(silent: Silent) -> None:
    silent.asked(replace(CAREFUL, remind_after=(5 * MINUTE,)))
    silent.vote(ADA)
    silent.after(5 * MINUTE)
    assert {one.body["user_id"] for one in silent.reminders()} == {"", GRACE.user_id}


def test_what_is_over_is_never_looked_at_again(silent: Silent) -> None:
    approval = silent.asked(replace(CAREFUL, on_silence=Silence.DENY))
    silent.desk.transact(lambda tx: tx.approvals.change(approval.id, {"state": State.WITHDRAWN}))
    assert silent.after(31 * MINUTE).state is State.WITHDRAWN
    assert silent.now.nudge_at is None


def test_silence_never_denies_what_nobody_was_shown(silent: Silent) -> None:
    silent.asked(replace(CAREFUL, on_silence=Silence.DENY), posted=False)
    assert silent.after(31 * MINUTE).state is State.PENDING
    silent.desk.claim()
    assert silent.after(HEARING).state is State.DECIDED


def test_after_a_start_a_denial_waits_until_people_had_a_moment(silent: Silent) -> None:
    silent.asked(replace(CAREFUL, on_silence=Silence.DENY))
    silent.desk.now += 40 * MINUTE
    silent.desk.transact(lambda tx: after_start(tx, silent.desk.now))
    assert silent.after(HEARING / 2).state is State.PENDING
    assert silent.after(HEARING).state is State.DECIDED


def test_a_denial_by_silence_names_the_rule_and_nobody(silent: Silent) -> None:
    silent.asked(replace(CAREFUL, on_silence=Silence.DENY))
    silent.vote(ADA)
    decision = silent.after(31 * MINUTE).decision
    assert decision is not None
    assert (decision.approve, decision.user_id, decision.by, decision.rule) == (False, "", (), "careful")


def test_where_only_people_have_cards_a_group_that_is_asked_as_well_gets_them_too(silent: Silent) -> None:
    group = Circle(groups=frozenset({"S0B"}))
    ask = replace(CAREFUL, on_silence=Silence.ESCALATE, escalate_to=group, cards=("dm",))
    silent.asked(ask, posted=False)
    silent.after(31 * MINUTE)
    assert ("S0B",) in silent.places()
    assert silent.now.escalated
    assert silent.now.ask.approvers == BOTH | group


def test_what_expired_is_asked_again_with_no_vote_from_before(silent: Silent) -> None:
    silent.asked(CAREFUL)
    silent.vote(ADA)
    assert silent.after(31 * MINUTE).state is State.EXPIRED
    assert silent.ask_again()
    assert silent.voters() == set()
    assert silent.now.state is State.PENDING
    assert silent.now.expires_at is not None
    assert silent.now.expires_at - silent.desk.now == pytest.approx(30 * MINUTE, abs=timedelta(seconds=1))


def test_it_is_asked_again_once_whoever_else_presses(silent: Silent) -> None:
    silent.asked(CAREFUL)
    silent.after(31 * MINUTE)
    assert [silent.ask_again(), silent.ask_again(ADA)] == [True, False]


def test_whoever_is_no_approver_asks_nothing_again_and_snoozes_nothing(silent: Silent) -> None:
    silent.asked(CAREFUL)
    assert not silent.snooze(MEMBER)
    silent.after(31 * MINUTE)
    assert not silent.ask_again(MEMBER)
    assert silent.now.state is State.EXPIRED


def test_a_rest_moves_the_end_of_what_only_expires(silent: Silent) -> None:
    silent.asked(replace(CAREFUL, remind_after=(5 * MINUTE,)))
    assert silent.snooze()
    assert silent.after(31 * MINUTE).state is State.PENDING
    assert silent.reminders() == []
    assert silent.after(30 * MINUTE).nudges == 1
    assert silent.after(30 * MINUTE).state is State.EXPIRED


def test_the_present_policy_keeps_the_votes_of_those_who_surely_may_still_vote(silent: Silent) -> None:
    silent.asked(replace(CAREFUL, quorum=3))
    silent.vote(ADA)
    silent.vote(GRACE)
    only_ada = Circle(users=frozenset({ADA.user_id}))
    silent.ruled(Ruling(Action.ASK, ask=replace(CAREFUL, quorum=3, approvers=only_ada)))
    assert silent.voters() == {ADA.user_id}


def test_more_approvers_take_no_vote_away(silent: Silent) -> None:
    silent.asked(CAREFUL)
    silent.vote(ADA)
    more = BOTH | Circle(groups=frozenset({"S0A"}))
    silent.ruled(Ruling(Action.ASK, ask=replace(CAREFUL, approvers=more)))
    assert silent.voters() == {ADA.user_id}


def test_the_same_policy_changes_nothing(silent: Silent) -> None:
    before = silent.asked(CAREFUL)
    assert silent.ruled(Ruling(Action.ASK, ask=CAREFUL)) == before


def test_others_who_were_asked_stay_asked_under_the_same_policy(silent: Silent) -> None:
    ask = replace(CAREFUL, on_silence=Silence.ESCALATE, escalate_to=Circle(users=frozenset({"U0MEMBER"})))
    silent.asked(ask)
    before = silent.after(31 * MINUTE)
    assert before.escalated
    assert silent.ruled(Ruling(Action.ASK, ask=ask)) == before


def test_another_length_begins_when_it_is_in_force(silent: Silent) -> None:
    silent.asked(CAREFUL)
    silent.desk.now += 20 * MINUTE
    now = silent.ruled(Ruling(Action.ASK, ask=replace(CAREFUL, expires_after=5 * MINUTE)))
    assert now.expires_at is not None
    assert now.expires_at > silent.desk.now + 4 * MINUTE


def test_what_expired_is_denied_too_by_a_rule_that_denies(silent: Silent) -> None:
    silent.asked(CAREFUL)
    silent.after(31 * MINUTE)
    decided = silent.ruled(Ruling(Action.DENY, rule="frozen", reason="Frozen."))
    assert decided.decision is not None
    assert (decided.state, decided.decision.reason, decided.decision.rule) == (
        State.DECIDED,
        "Frozen.",
        "frozen",
    )


def test_what_would_be_allowed_now_waits_for_people(silent: Silent) -> None:
    before = silent.asked(CAREFUL)
    assert silent.ruled(Ruling(Action.ALLOW, rule="look")) == before


def test_a_damaged_request_keeps_no_other_from_being_looked_at(silent: Silent) -> None:
    damaged = silent.asked(replace(CAREFUL, expires_after=10 * MINUTE))
    silent.desk.transact(lambda tx: tx.approvals.change(damaged.id, {"diffs": {"no": "list"}, "ask": [1]}))
    counts = silent.desk.transact(
        lambda tx: [pass_silence(tx, silent.desk.now + 11 * MINUTE) for _ in range(2)]
    )
    assert counts == [1, 0]
    nothing = Audience(HOME, (PLACE,), KEY, lambda _: Ruling(Action.ALLOW))
    assert silent.desk.transact(lambda tx: apply_policy(tx, lambda *_: nothing, silent.desk.now)) == ""


NEW = replace(CAREFUL, approvers=Circle(users=frozenset({"U0NEW"}), groups=frozenset({"S0B"})), cards=("dm",))


def test_approvers_the_present_policy_names_get_cards_are_called_and_have_all_the_time(
    silent: Silent,
) -> None:
    before = silent.asked(replace(CAREFUL, on_silence=Silence.DENY, cards=("dm",)))
    silent.desk.now += 29 * MINUTE
    now = silent.ruled(Ruling(Action.ASK, ask=replace(NEW, on_silence=Silence.DENY)))
    assert {places[0] for places in silent.places()} == {ADA.user_id, GRACE.user_id, "U0NEW", "S0B"}
    assert "U0NEW" in {one.body["user_id"] for one in silent.reminders()}
    assert now.expires_at is not None and before.expires_at is not None
    assert now.expires_at - before.expires_at == pytest.approx(29 * MINUTE, abs=timedelta(seconds=1))


def test_cards_of_another_ask_are_posted_once_however_often_it_is_ruled(silent: Silent) -> None:
    silent.asked(replace(CAREFUL, cards=("dm",)))
    for quorum in (2, 1):
        silent.ruled(Ruling(Action.ASK, ask=replace(NEW, quorum=quorum)))
    assert len(silent.places()) == len(set(silent.places())) == 4
    assert len([one for one in silent.reminders() if one.body["user_id"] == "U0NEW"]) == 1


def test_where_the_rule_places_no_card_any_more_the_route_has_one(silent: Silent) -> None:
    approval = silent.asked(replace(CAREFUL, cards=("C0OTHER",)), posted=False)
    [copy] = silent.desk.transact(lambda tx: tx.approvals.copies(approval.id))
    silent.desk.transact(lambda tx: tx.approvals.change_copy(copy.id, {"places": ["C0OTHER"]}))
    silent.ruled(Ruling(Action.ASK, ask=CAREFUL))
    assert silent.places() == [("C0OTHER",), (PLACE,)]


def test_who_is_asked_as_before_is_not_called_and_has_no_more_time(silent: Silent) -> None:
    before = silent.asked(CAREFUL)
    silent.desk.now += 20 * MINUTE
    now = silent.ruled(Ruling(Action.ASK, ask=replace(CAREFUL, quorum=1)))
    assert (now.expires_at, silent.reminders()) == (before.expires_at, [])


def test_an_edit_that_decides_at_once_asks_nobody(silent: Silent) -> None:
    approval = silent.asked(replace(CAREFUL, cards=("dm",)))
    silent.desk.transact(lambda tx: tx.approvals.change(approval.id, {"state": State.DECIDED}))
    decided = replace(silent.now, ask=NEW)
    silent.desk.transact(lambda tx: ask_others(tx, decided, CAREFUL, silent.desk.now))
    assert (len(silent.places()), silent.reminders()) == (2, [])
