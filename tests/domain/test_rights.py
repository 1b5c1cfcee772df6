"""Who may do what, by default."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.domain.people import Person, Standing
from relay.domain.policy import Reason, Rights, may_decide, may_send

HOME = "T0HOME"
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


@pytest.mark.parametrize(("standing", "reason"), NEVER)
def test_who_is_no_full_member_may_neither_send_nor_decide(standing: Standing, reason: Reason) -> None:
    rights = Rights(HOME, approvers=frozenset({"U1"}))
    assert may_send(rights, _person(standing)).reason is reason
    assert may_decide(rights, _person(standing)).reason is reason


def test_without_approvers_any_full_member_may_decide() -> None:
    assert may_decide(Rights(HOME), _person(Standing.MEMBER)).allowed


def test_with_approvers_only_they_may_decide_and_everybody_may_send() -> None:
    rights = Rights(HOME, approvers=frozenset({"U2"}))
    assert may_decide(rights, _person(Standing.MEMBER)).reason is Reason.NOT_APPROVER
    assert may_send(rights, _person(Standing.MEMBER)).allowed
    assert may_decide(rights, _person(Standing.MEMBER, user_id="U2")).allowed


def test_people_of_a_listed_workspace_may_act() -> None:
    rights = Rights(HOME, allowed_teams=frozenset({"T0FRIEND"}))
    assert may_decide(rights, _person(Standing.FOREIGN, "T0FRIEND")).allowed
    assert may_decide(rights, _person(Standing.FOREIGN, "T0OTHER")).reason is Reason.FOREIGN


def test_a_guest_of_a_listed_workspace_is_still_a_guest() -> None:
    rights = Rights(HOME, allowed_teams=frozenset({"T0FRIEND"}))
    assert may_send(rights, _person(Standing.GUEST, "T0FRIEND")).reason is Reason.GUEST


@given(PEOPLE, USERS)
def test_who_may_decide_may_send(person: Person, approvers: frozenset[str]) -> None:
    rights = Rights(HOME, approvers=approvers)
    assert may_send(rights, person).allowed or not may_decide(rights, person).allowed


@given(PEOPLE, USERS.filter(bool), st.sampled_from(["U1", "U2", "U3"]))
def test_another_approver_takes_nobodys_right_away(
    person: Person, approvers: frozenset[str], more: str
) -> None:
    before = may_decide(Rights(HOME, approvers=approvers), person).allowed
    after = may_decide(Rights(HOME, approvers=approvers | {more}), person).allowed
    assert after or not before
