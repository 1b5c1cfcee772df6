"""A quorum that surely cannot be reached: of who may approve too few are left."""

import pytest

from relay.domain.foresight import falls_short
from relay.domain.rules import Ask, Circle

ADA, GRACE, LINUS = "U0ADA", "U0GRACE", "U0LINUS"


def people(*users: str) -> Circle:
    return Circle(users=frozenset(users))


@pytest.mark.parametrize(
    ("approvers", "quorum", "requesters", "short"),
    [
        (people(GRACE), 1, (), False),
        (people(GRACE), 2, (), True),
        (people(GRACE, LINUS), 2, (), False),
        (people(GRACE, LINUS), 2, (ADA,), False),
        (people(GRACE, LINUS), 2, (GRACE,), True),
        (people(ADA, GRACE, LINUS), 2, (GRACE,), False),
        (people(ADA, GRACE, LINUS), 2, (GRACE, ADA), True),
        (people(), 1, (), True),
        # Nobody can tell how many these are.
        (Circle(everybody=True), 10, (GRACE,), False),
        (Circle(users=frozenset({GRACE}), groups=frozenset({"S0LEADS"})), 10, (GRACE,), False),
        (Circle(users=frozenset({GRACE}), channels=frozenset({"C0LEADS"})), 10, (GRACE,), False),
    ],
)
def test_who_asked_is_not_among_those_who_are_left(
    approvers: Circle, quorum: int, requesters: tuple[str, ...], short: bool
) -> None:
    ask = Ask(quorum=quorum, requester_may_approve=False)
    assert falls_short(ask, approvers, requesters) is short


def test_where_requesters_may_approve_they_are() -> None:
    ask = Ask(quorum=2, requester_may_approve=True)
    assert not falls_short(ask, people(GRACE, LINUS), (GRACE,))
    assert falls_short(ask, people(GRACE), (GRACE,))
