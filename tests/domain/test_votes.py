"""What votes come to: people are counted, not clicks."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from relay.domain.rules import Ask
from relay.domain.votes import Vote, tally

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
VOTES = st.lists(
    st.builds(
        Vote,
        user_id=st.sampled_from(["U1", "U2", "U3", "U4"]),
        approve=st.booleans(),
        reason=st.just(""),
        shown_hash=st.sampled_from(["shown", "before"]),
        voted_at=st.integers(0, 60).map(lambda seconds: NOON + timedelta(seconds=seconds)),
    ),
    max_size=12,
)


def _approval(user_id: str, shown: str = "shown") -> Vote:
    return Vote(user_id, True, "", shown, NOON)


def test_the_same_person_twice_is_one_of_a_quorum() -> None:
    counted = tally(Ask(quorum=2), [_approval("U1"), _approval("U1")], "shown")
    assert (counted.approving, counted.approved) == (("U1",), False)


def test_two_people_are_a_quorum_of_two() -> None:
    counted = tally(Ask(quorum=2), [_approval("U1"), _approval("U2")], "shown")
    assert (counted.approved, counted.needed, counted.denied_by) == (True, 2, "")


def test_a_vote_on_what_was_shown_before_does_not_count() -> None:
    assert not tally(Ask(), [_approval("U1", "before")], "shown").approved


def test_one_denial_is_enough_whoever_approved() -> None:
    denial = Vote("U3", False, "no", "shown", NOON)
    counted = tally(Ask(quorum=2), [_approval("U1"), _approval("U2"), denial], "shown")
    assert (counted.denied_by, counted.approved) == ("U3", False)


def test_whoever_changed_the_input_counts_unless_the_rule_wants_another() -> None:
    assert tally(Ask(), [_approval("U1")], "shown", "U1").approved
    other = Ask(edit_needs_another=True)
    assert not tally(other, [_approval("U1")], "shown", "U1").approved
    assert tally(other, [_approval("U1"), _approval("U2")], "shown", "U1").approved


@given(VOTES, st.integers(1, 4))
def test_nothing_is_approved_by_fewer_people_than_the_quorum(votes: list[Vote], quorum: int) -> None:
    counted = tally(Ask(quorum=quorum), votes, "shown")
    people = {one.user_id for one in votes if one.approve and one.shown_hash == "shown"}
    assert set(counted.approving) == people
    assert not counted.approved or len(people) >= quorum


@given(VOTES, VOTES)
def test_an_approval_never_overrules_a_denial(votes: list[Vote], more: list[Vote]) -> None:
    denied = bool(tally(Ask(), votes, "shown").denied_by)
    assert not denied or not tally(Ask(), votes + more, "shown").approved
