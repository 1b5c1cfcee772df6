"""Who may do what, by default."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.domain.people import Membership, Person, Standing
from relay.domain.policy import Reason, Rights, Verdict, may_edit, may_send, may_vote
from relay.domain.rules import EVERYBODY, Ask, Circle

HOME = "T0HOME"
AT_HOME = Rights(HOME)
NEVER = [
    (Standing.GUEST, Reason.GUEST),
    (Standing.DEACTIVATED, Reason.DEACTIVATED),
    (Standing.FOREIGN, Reason.FOREIGN),
    (Standing.BOT, Reason.BOT),
    (Standing.UNKNOWN, Reason.LOOKUP_FAILED),
]
PEOPLE = st.builds(
    Person,
    user_id=st.sampled_from(["U1", "U2", "U3"]),
    team_id=st.sampled_from([HOME, "T0FRIEND", "T0OTHER"]),
    name=st.just("ada"),
    standing=st.sampled_from(list(Standing)),
)
USERS = st.frozensets(st.sampled_from(["U1", "U2", "U3"]))


def _person(standing: Standing, team_id: str = HOME, user_id: str = "U1") -> Person:
    return Person(user_id, team_id, "ada", standing)


def _may(
    person: Person, circle: Circle = EVERYBODY, rights: Rights = AT_HOME, *, approve: bool = True
) -> Verdict:
    return may_vote(rights, Ask(approvers=circle), (), person, approve=approve)


def _named(*users: str) -> Circle:
    return Circle(users=frozenset(users))


@pytest.mark.parametrize(("standing", "reason"), NEVER)
def test_who_is_no_full_member_may_neither_send_nor_vote_nor_edit(standing: Standing, reason: Reason) -> None:
    person = _person(standing)
    assert may_send(Rights(HOME), person).reason is reason
    assert _may(person, _named("U1")).reason is reason
    assert may_edit(Rights(HOME), Ask(editors=_named("U1")), (), person).reason is reason


def test_where_everybody_approves_any_full_member_may_vote() -> None:
    assert _may(_person(Standing.MEMBER)).allowed


def test_where_nobody_approves_nobody_may_vote() -> None:
    assert _may(_person(Standing.MEMBER), Circle()).reason is Reason.NOT_APPROVER


def test_with_approvers_only_they_may_vote_and_everybody_may_send() -> None:
    assert _may(_person(Standing.MEMBER), _named("U2")).reason is Reason.NOT_APPROVER
    assert may_send(Rights(HOME), _person(Standing.MEMBER)).allowed
    assert _may(_person(Standing.MEMBER, user_id="U2"), _named("U2")).allowed


def test_people_of_a_listed_workspace_may_act() -> None:
    rights = Rights(HOME, allowed_teams=frozenset({"T0FRIEND"}))
    assert _may(_person(Standing.FOREIGN, "T0FRIEND"), rights=rights).allowed
    assert _may(_person(Standing.FOREIGN, "T0OTHER"), rights=rights).reason is Reason.FOREIGN
    assert may_send(rights, _person(Standing.MEMBER, "T0OTHER")).reason is Reason.FOREIGN


def test_a_guest_of_a_listed_workspace_is_still_a_guest() -> None:
    rights = Rights(HOME, allowed_teams=frozenset({"T0FRIEND"}))
    assert may_send(rights, _person(Standing.GUEST, "T0FRIEND")).reason is Reason.GUEST


@pytest.mark.parametrize(
    ("member", "reason"),
    [(True, Reason.ALLOWED), (False, Reason.NOT_APPROVER), (None, Reason.LOOKUP_FAILED)],
)
def test_a_member_of_an_approving_group_may_vote_and_who_cannot_be_looked_up_may_not(
    member: bool | None, reason: Reason
) -> None:
    person = Person("U1", HOME, "ada", Standing.MEMBER, (Membership("S0LEADS", member, 3),))
    assert _may(person, Circle(groups=frozenset({"S0LEADS"}))).reason is reason


def test_a_requester_may_deny_where_they_may_not_approve() -> None:
    ask, person = Ask(requester_may_approve=False), _person(Standing.MEMBER)
    assert may_vote(Rights(HOME), ask, ("U1",), person, approve=True).reason is Reason.REQUESTER
    assert may_vote(Rights(HOME), ask, ("U1",), person, approve=False).allowed
    assert may_edit(Rights(HOME), ask, ("U1",), person).reason is Reason.REQUESTER


def test_a_requester_who_may_approve_may_edit_and_where_they_may_not_others_may() -> None:
    person = _person(Standing.MEMBER)
    assert may_edit(AT_HOME, Ask(), ("U1",), person).allowed
    assert may_edit(AT_HOME, Ask(requester_may_approve=False), ("U2",), person).allowed


@pytest.mark.parametrize(
    "circle",
    [
        EVERYBODY,
        _named("U1"),
        Circle(groups=frozenset({"S1"})),
        Circle(channels=frozenset({"C1"})),
    ],
)
def test_a_circle_is_nobody_only_where_it_names_nobody_in_any_way(circle: Circle) -> None:
    assert circle
    assert not Circle()


def test_two_circles_together_are_whoever_is_in_either() -> None:
    one = Circle(frozenset({"U1"}), frozenset({"S1"}), frozenset({"C1"}))
    other = Circle(frozenset({"U2"}), frozenset({"S2"}), frozenset({"C2"}))
    both = Circle(frozenset({"U1", "U2"}), frozenset({"S1", "S2"}), frozenset({"C1", "C2"}))
    assert (one | other, one | EVERYBODY) == (both, replace(one, everybody=True))


def test_editing_is_a_right_of_its_own() -> None:
    ask, person = Ask(editors=_named("U2")), _person(Standing.MEMBER)
    assert may_vote(Rights(HOME), ask, (), person, approve=True).allowed
    assert may_edit(Rights(HOME), ask, (), person).reason is Reason.NOT_EDITOR


@given(PEOPLE, USERS)
def test_who_may_vote_may_send(person: Person, approvers: frozenset[str]) -> None:
    assert may_send(Rights(HOME), person).allowed or not _may(person, Circle(users=approvers)).allowed


@given(PEOPLE, USERS, st.sampled_from(["U1", "U2", "U3"]))
def test_another_approver_takes_nobodys_right_away(
    person: Person, approvers: frozenset[str], more: str
) -> None:
    before = _may(person, Circle(users=approvers)).allowed
    assert _may(person, Circle(users=approvers | {more})).allowed or not before


def test_of_what_was_not_asked_nothing_is_known() -> None:
    person = Person("U1", HOME, "Ada", Standing.MEMBER, (Membership("S1", member=True, age=0),))
    assert (person.in_("S1"), person.in_("S2")) == (True, None)
