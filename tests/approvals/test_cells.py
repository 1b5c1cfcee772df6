"""Every cell of the table action × person × state: what comes of it, and what that person is told."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from relay.domain.approvals import Approval, Asked, Returned, State
from relay.domain.canonical import short_code
from relay.domain.people import Person, Standing
from relay.domain.rules import EVERYBODY, Action, Ask, Circle, Request, Ruling
from relay.slack.sentences import whispered
from relay.store.tables import deliveries
from relay.store.transaction import Transaction
from relay.use_cases.open_approval import Audience, Sighting, open_approval
from relay.use_cases.record_decision import Answer, Click, Recorded, record_decision
from relay.use_cases.rulings import Authority
from relay.use_cases.whisper import Listener, Sentence
from tests.approvals.desk import HOME, KEY, PLACE, RIGHTS, RUNTIME, Desk

NAMED = frozenset({"U0ADA", "U0GRACE", "U0ALAN", "U0GUEST", "U0GONE", "U0STRANGER", "U0BOT"})
APPROVERS = Circle(users=NAMED)
ASK = Ask(rule="production", approvers=APPROVERS, editors=APPROVERS, quorum=2, requester_may_approve=False)
CAREFUL = replace(ASK, rule="careful", quorum=3, approvers=Circle(users=NAMED - {"U0ALAN"}))
OTHERS = Circle(users=frozenset({"U0OTHER"}))
LAX = replace(ASK, rule="lax", quorum=1, requester_may_approve=True)
RULINGS = {
    "make careful": Ruling(Action.ASK, "careful", ask=CAREFUL),
    "make lax": Ruling(Action.ASK, "lax", ask=LAX),
    "make denied": Ruling(Action.DENY, "never", "Never."),
    "make allowed": Ruling(Action.ALLOW, "free"),
    "make other": Ruling(Action.ASK, "theirs", ask=replace(ASK, rule="theirs", approvers=OTHERS)),
    "make wide": Ruling(Action.ASK, "wide", ask=replace(ASK, rule="wide", approvers=EVERYBODY)),
}


def _policy(request: Request) -> Ruling:
    found = RULINGS.get(str(request.tool_input["command"]))
    return found or Ruling(Action.ASK, "production", ask=ASK)


AUTHORITY = Authority(RIGHTS, KEY, _policy)
PEOPLE = {
    "approver": Person("U0GRACE", HOME, "Grace", Standing.MEMBER),
    "requester": Person("U0ADA", HOME, "Ada", Standing.MEMBER),
    "other member": Person("U0OTHER", HOME, "Other", Standing.MEMBER),
    "guest": Person("U0GUEST", HOME, "Guest", Standing.GUEST),
    "deactivated": Person("U0GONE", HOME, "Gone", Standing.DEACTIVATED),
    "foreign": Person("U0STRANGER", "T0OTHER", "Stranger", Standing.FOREIGN),
    "bot": Person("U0BOT", HOME, "Bot", Standing.BOT),
    "unknown": Person("U0GRACE", HOME, "Grace", Standing.UNKNOWN),
}
ALAN = Person("U0ALAN", HOME, "Alan", Standing.MEMBER)
ANSWERS = {
    "approve": Answer(approve=True),
    "comment": Answer(approve=True, reason="with care"),
    "deny": Answer(approve=False),
    "deny with reason": Answer(approve=False, reason="not today"),
    "edit": Answer(approve=True, updated_input={"command": "make less"}),
    "ran it": Answer(approve=False, returned=Returned(True, "done by hand")),
}
SETTLED = {
    "decided": "is decided already: approved by <@U0GRACE> and <@U0ALAN>",
    "delivered": "is decided already: approved by <@U0GRACE> and <@U0ALAN>",
    "failed": "could not be delivered",
    "expired": "expired",
    "withdrawn": "no longer asks",
    "superseded": "on a newer card",
    "decided elsewhere": "outside Slack",
    "unconfirmed": "Whether it arrived in time is not known",
}
OPEN = ("pending", "half-voted", "changed")
NEVER = {
    "other member": "you are not one of",
    "guest": "guests cannot",
    "deactivated": "your account is deactivated",
    "foreign": "only members of this workspace",
    "bot": "bots and workflows cannot",
    "unknown": "could not ask Slack who you are",
}


@dataclass
class Cell:
    """One request in one state, and what one person's answer made of it."""

    desk: Desk
    approval_id: str

    @property
    def approval(self) -> Approval:
        found = self.desk.transact(lambda tx: tx.approvals.get(self.approval_id))
        assert found is not None
        return found

    def answer(self, person: Person, answer: Answer, digest: str = "") -> Recorded:
        approval = self.approval
        listener = Listener(HOME, PLACE, person.user_id, None)
        shown = (approval.asked.tool_call_id, digest or approval.shown_hash)
        click = Click(person, listener, self.desk.key(), approval.id, *shown, None)
        return self.desk.transact(lambda tx: record_decision(tx, click, answer, AUTHORITY, self.desk.now))

    def told(self) -> str:
        """Return the last sentence that somebody was told in private, as they see it."""

        def read(tx: Transaction) -> dict[str, Any]:
            rows = tx.connection.execute(
                deliveries.select().where(deliveries.c.kind == "whisper").order_by(deliveries.c.seq.desc())
            )
            row = rows.first()
            return {} if row is None else dict(row.body)

        body = self.desk.transact(read)
        return whispered(Sentence(body["sentence"]), body["facts"], self.approval) if body else ""

    def put_into(self, state: str) -> None:
        """Bring the request into a state the way it gets there."""
        if state == "half-voted":
            assert self.answer(ALAN, ANSWERS["approve"]) is Recorded.VOTED
        elif state == "changed":
            self.answer(ALAN, ANSWERS["edit"])
        elif state in SETTLED:
            self._settle(state)

    def _settle(self, state: str) -> None:
        if state not in ("expired", "withdrawn", "superseded", "decided elsewhere"):
            self.answer(Person("U0GRACE", HOME, "Grace", Standing.MEMBER), ANSWERS["approve"])
            assert self.answer(ALAN, ANSWERS["approve"]) is Recorded.DECIDED
        which = {"state": State(state.replace(" ", "_")), "note": "the key was refused"}
        self.desk.transact(lambda tx: tx.approvals.change(self.approval_id, which))


@pytest.fixture
def cell(file_url: str) -> Iterator[Cell]:
    desk = Desk(file_url)
    audience = Audience(HOME, (PLACE,), KEY, _policy)
    runtime = (RUNTIME.environment, RUNTIME.agent_id, RUNTIME.conversation_id)
    asked = Asked(*runtime, "call-1", "Bash", {"command": "make all"}, (), "")

    def work(tx: Transaction) -> str | None:
        found = open_approval(tx, asked, Sighting("pair-1", 1), audience, (), desk.now)
        tx.connection.exec_driver_sql("UPDATE approvals SET requesters = '[\"U0ADA\"]'")
        return found

    approval_id = desk.transact(work)
    assert approval_id is not None
    yield Cell(desk, approval_id)
    desk.close()


@pytest.mark.parametrize("action", ANSWERS)
@pytest.mark.parametrize("state", [*OPEN, *SETTLED])
@pytest.mark.parametrize("who", NEVER)
def test_whoever_may_not_is_told_why_and_changes_nothing(
    cell: Cell, who: str, state: str, action: str
) -> None:
    cell.put_into(state)
    before = (cell.approval.state, cell.approval.shown_hash, cell.approval.decision)
    votes = cell.desk.transact(lambda tx: tx.votes.of(cell.approval_id))
    assert cell.answer(PEOPLE[who], ANSWERS[action]) is Recorded.REFUSED
    assert NEVER[who] in cell.told()
    assert (cell.approval.state, cell.approval.shown_hash, cell.approval.decision) == before
    assert cell.desk.transact(lambda tx: tx.votes.of(cell.approval_id)) == votes


@pytest.mark.parametrize("action", ["approve", "comment", "edit", "ran it"])
@pytest.mark.parametrize("state", [*OPEN, *SETTLED])
def test_a_requester_may_not_approve_in_any_form(cell: Cell, state: str, action: str) -> None:
    cell.put_into(state)
    assert cell.answer(PEOPLE["requester"], ANSWERS[action]) is Recorded.REFUSED
    assert "you asked for it, so somebody else has to approve it" in cell.told()


@pytest.mark.parametrize("action", ["deny", "deny with reason"])
@pytest.mark.parametrize("state", OPEN)
@pytest.mark.parametrize("who", ["approver", "requester"])
def test_one_denial_decides_and_gives_its_reason(cell: Cell, who: str, state: str, action: str) -> None:
    cell.put_into(state)
    person = PEOPLE[who]
    assert cell.answer(person, ANSWERS[action]) is Recorded.DECIDED
    decision = cell.approval.decision
    assert decision is not None
    assert (decision.approve, decision.user_id, decision.updated_input) == (False, person.user_id, None)
    expected = "not today" if "reason" in action else f"Denied by {person.name} in Slack."
    assert decision.reason == expected


@pytest.mark.parametrize("action", ANSWERS)
@pytest.mark.parametrize("state", SETTLED)
def test_an_approver_who_comes_too_late_is_told_how_it_stands(cell: Cell, state: str, action: str) -> None:
    cell.put_into(state)
    before = cell.approval.decision
    assert cell.answer(PEOPLE["approver"], ANSWERS[action]) is Recorded.REFUSED
    assert SETTLED[state] in cell.told()
    assert cell.approval.decision == before


@pytest.mark.parametrize("action", ["approve", "comment"])
def test_the_first_of_two_approvals_is_counted_and_said(cell: Cell, action: str) -> None:
    assert cell.answer(PEOPLE["approver"], ANSWERS[action]) is Recorded.VOTED
    assert "1 of 2" in cell.told()
    assert cell.approval.state is State.PENDING


@pytest.mark.parametrize("action", ["approve", "comment"])
@pytest.mark.parametrize("state", ["half-voted", "changed"])
def test_the_second_of_two_approvals_decides_what_is_shown(cell: Cell, state: str, action: str) -> None:
    cell.put_into(state)
    assert cell.answer(PEOPLE["approver"], ANSWERS[action]) is Recorded.DECIDED
    decision = cell.approval.decision
    assert decision is not None
    assert decision.approve and decision.by == ("U0ALAN", "U0GRACE")
    assert decision.updated_input == ({"command": "make less"} if state == "changed" else None)
    assert decision.reason == ANSWERS[action].reason


@pytest.mark.parametrize("action", ["approve", "comment"])
def test_the_same_person_twice_is_still_one_of_two_and_is_told_so(cell: Cell, action: str) -> None:
    cell.answer(PEOPLE["approver"], ANSWERS["approve"])
    votes = cell.desk.transact(lambda tx: tx.votes.of(cell.approval_id))
    assert cell.answer(PEOPLE["approver"], ANSWERS[action]) is Recorded.REFUSED
    assert cell.told() == "You have approved already; 1 more is needed."
    assert cell.desk.transact(lambda tx: tx.votes.of(cell.approval_id)) == votes
    assert cell.answer(ALAN, ANSWERS["approve"]) is Recorded.DECIDED


def test_who_approved_what_fewer_have_to_approve_by_now_decides_it(cell: Cell) -> None:
    cell.answer(PEOPLE["approver"], ANSWERS["approve"])
    cell.answer(PEOPLE["approver"], ANSWERS["approve"])
    ask = replace(cell.approval.ask, quorum=1)
    cell.desk.transact(lambda tx: tx.approvals.change(cell.approval_id, {"ask": ask.written()}))
    assert cell.answer(PEOPLE["approver"], ANSWERS["approve"]) is Recorded.DECIDED


def test_who_approved_may_still_deny_or_change_it(cell: Cell) -> None:
    cell.answer(PEOPLE["approver"], ANSWERS["approve"])
    assert cell.answer(PEOPLE["approver"], ANSWERS["edit"]) is Recorded.VOTED
    assert cell.answer(PEOPLE["approver"], ANSWERS["deny"]) is Recorded.DECIDED


@pytest.mark.parametrize("state", ["pending", "half-voted"])
def test_an_edit_sets_the_votes_of_others_back(cell: Cell, state: str) -> None:
    cell.put_into(state)
    before = cell.approval.shown_hash
    assert cell.answer(PEOPLE["approver"], ANSWERS["edit"]) is Recorded.VOTED
    approval = cell.approval
    assert approval.shown_hash != before
    assert (approval.edited_input, approval.edited_by) == ({"command": "make less"}, "U0GRACE")
    assert "1 of 2" in cell.told()


def test_an_edit_to_what_another_had_made_of_it_is_an_approval(cell: Cell) -> None:
    cell.put_into("changed")
    assert cell.answer(PEOPLE["approver"], ANSWERS["edit"]) is Recorded.DECIDED
    decision = cell.approval.decision
    assert decision is not None
    assert decision.updated_input == {"command": "make less"}


@pytest.mark.parametrize("state", OPEN)
def test_a_run_by_hand_decides_with_its_output(cell: Cell, state: str) -> None:
    cell.put_into(state)
    assert cell.answer(PEOPLE["approver"], ANSWERS["ran it"]) is Recorded.DECIDED
    decision = cell.approval.decision
    assert decision is not None and decision.returned == Returned(True, "done by hand")
    assert not decision.approve
    assert "Grace ran this themselves instead" in decision.reason and "done by hand" in decision.reason


@pytest.mark.parametrize("action", ANSWERS)
def test_an_answer_to_what_is_no_longer_shown_changes_nothing(cell: Cell, action: str) -> None:
    shown = cell.approval.shown_hash
    cell.put_into("changed")
    before = (cell.approval.shown_hash, cell.approval.state)
    assert cell.answer(PEOPLE["approver"], ANSWERS[action], shown) is Recorded.REFUSED
    assert "shows something else than what is asked now" in cell.told()
    assert (cell.approval.shown_hash, cell.approval.state) == before


def test_of_fifty_people_on_one_card_two_decide_and_all_others_are_told_who(cell: Cell) -> None:
    crowd = [Person(f"U0C{number:02d}", HOME, f"P{number}", Standing.MEMBER) for number in range(50)]
    everybody = Ask(rule="all", approvers=Circle(everybody=True), editors=Circle(everybody=True), quorum=2)
    cell.desk.transact(lambda tx: tx.approvals.change(cell.approval_id, {"ask": everybody.written()}))
    came = [cell.answer(person, ANSWERS["approve"]) for person in crowd]
    assert came == [Recorded.VOTED, Recorded.DECIDED] + [Recorded.REFUSED] * 48
    assert "is decided already: approved by <@U0C00> and <@U0C01>" in cell.told()


def _changed_to(command: str) -> Answer:
    return Answer(approve=True, updated_input={"command": command})


def test_an_edit_is_asked_about_by_the_rule_that_its_outcome_falls_under(cell: Cell) -> None:
    assert cell.answer(PEOPLE["approver"], _changed_to("make careful")) is Recorded.VOTED
    assert (cell.approval.ask.rule, cell.approval.ask.quorum) == ("careful", 3)
    assert "1 of 3" in cell.told()
    assert cell.answer(ALAN, ANSWERS["approve"]) is Recorded.REFUSED
    assert "you are not one of the approvers" in cell.told()


def test_an_edit_towards_a_laxer_rule_is_asked_about_no_more_lightly(cell: Cell) -> None:
    assert cell.answer(PEOPLE["approver"], _changed_to("make lax")) is Recorded.VOTED
    assert (cell.approval.ask.quorum, cell.approval.ask.requester_may_approve) == (2, False)


def test_an_edit_towards_what_is_allowed_is_still_asked_about(cell: Cell) -> None:
    assert cell.answer(PEOPLE["approver"], _changed_to("make allowed")) is Recorded.VOTED
    assert cell.approval.ask.rule == "production"


def test_an_edit_towards_what_a_rule_denies_changes_nothing(cell: Cell) -> None:
    before = cell.approval.shown_hash
    assert cell.answer(PEOPLE["approver"], _changed_to("make denied")) is Recorded.REFUSED
    assert cell.told() == "Nothing was changed: the rule `never` denies what you made of it."
    assert (cell.approval.shown_hash, cell.approval.state) == (before, State.PENDING)


def test_an_edit_back_to_what_was_asked_is_asked_about_as_at_first(cell: Cell) -> None:
    cell.answer(PEOPLE["approver"], _changed_to("make careful"))
    assert cell.answer(PEOPLE["approver"], _changed_to("make all")) is Recorded.VOTED
    assert (cell.approval.ask.rule, cell.approval.edited_input) == ("production", None)


def test_an_edit_towards_what_other_people_are_asked_about_changes_nothing(cell: Cell) -> None:
    before = cell.approval.shown_hash
    assert cell.answer(PEOPLE["approver"], _changed_to("make other")) is Recorded.REFUSED
    assert "the rule `theirs` asks other people" in cell.told()
    assert cell.approval.shown_hash == before


def test_an_edit_lets_nobody_approve_who_could_not_before(cell: Cell) -> None:
    cell.answer(PEOPLE["approver"], _changed_to("make wide"))
    assert cell.answer(PEOPLE["other member"], ANSWERS["approve"]) is Recorded.REFUSED
    assert "you are not one of the approvers" in cell.told()


SUGGESTED = Answer(approve=True, suggestions=("save-default",))


def test_what_the_environment_suggests_is_not_taken_up_by_one_of_two(cell: Cell) -> None:
    both = replace(ASK, suggestions=True)
    cell.desk.transact(lambda tx: tx.approvals.change(cell.approval_id, {"ask": both.written()}))
    assert cell.answer(PEOPLE["approver"], SUGGESTED) is Recorded.REFUSED
    assert "cannot be taken up with this request" in cell.told()


@pytest.mark.parametrize(("offered", "came"), [(True, Recorded.DECIDED), (False, Recorded.REFUSED)])
def test_what_the_environment_suggests_is_taken_up_where_the_rule_lets_one_do_it(
    cell: Cell, offered: bool, came: Recorded
) -> None:
    alone = replace(ASK, quorum=1, suggestions=offered)
    cell.desk.transact(lambda tx: tx.approvals.change(cell.approval_id, {"ask": alone.written()}))
    assert cell.answer(PEOPLE["approver"], SUGGESTED) is came


def test_the_audit_says_how_many_suggestions_were_taken_up_and_not_which(cell: Cell) -> None:
    alone = replace(ASK, quorum=1, suggestions=True)
    cell.desk.transact(lambda tx: tx.approvals.change(cell.approval_id, {"ask": alone.written()}))
    cell.answer(PEOPLE["approver"], SUGGESTED)
    entries = cell.desk.transact(lambda tx: [entry for _, entry in tx.audit.page(0, 100)])
    [decided] = [entry.facts for entry in entries if entry.action == "decision.recorded"]
    assert decided["suggestions"] == 1


@pytest.mark.parametrize(("call", "came"), [("", Recorded.VOTED), ("call-2", Recorded.REFUSED)])
def test_a_button_that_names_another_call_answers_nothing_and_one_that_names_none_does(
    cell: Cell, call: str, came: Recorded
) -> None:
    approval, listener = cell.approval, Listener(HOME, PLACE, ALAN.user_id, None)
    click = Click(ALAN, listener, cell.desk.key(), approval.id, call, approval.shown_hash, None)
    answer = ANSWERS["approve"]
    done = cell.desk.transact(lambda tx: record_decision(tx, click, answer, AUTHORITY, cell.desk.now))
    assert done is came


def test_the_same_call_asked_twice_has_two_codes(cell: Cell) -> None:
    shown = cell.approval.shown_hash
    assert short_code("apr_1", shown) != short_code("apr_2", shown)
    assert cell.approval.code == short_code(cell.approval_id, shown)
