"""Environments are shared out evenly among the relays that serve them, and none moves without need."""

from hypothesis import given
from hypothesis import strategies as st

from relay.domain.leases import Standing, to_release, to_take

RELAYS, ENVIRONMENTS = ("r1", "r2", "r3"), ("a", "b", "c", "d", "e")
SERVING = st.dictionaries(
    st.sampled_from(RELAYS), st.frozensets(st.sampled_from(ENVIRONMENTS)), min_size=1, max_size=3
)


def everybody(**held: str) -> Standing:
    """Three relays that serve everything, and who holds what."""
    return Standing(dict.fromkeys(RELAYS, ENVIRONMENTS), {name: held[name] for name in held})


def test_a_relay_that_is_alone_takes_everything_at_once() -> None:
    assert to_take("r1", Standing({"r1": ENVIRONMENTS}, {})) == list(ENVIRONMENTS)


def test_what_is_held_is_taken_from_nobody() -> None:
    assert to_take("r1", everybody(a="r2", b="r2", c="r2", d="r3", e="gone")) == []


def test_what_is_free_is_shared_out_with_what_is_held() -> None:
    standing = everybody(a="r1", b="r1")
    assert to_take("r1", standing) == []
    assert len(to_take("r2", standing)) == len(to_take("r3", standing)) == 2


def test_what_one_relay_alone_serves_it_takes_however_much_it_holds() -> None:
    standing = Standing({"r1": ("a", "b", "c"), "r2": ("a",)}, {"a": "r1", "b": "r1"})
    assert to_take("r1", standing) == ["c"]
    assert to_take("r2", standing) == []


def test_one_with_two_more_than_another_lets_one_go_that_is_at_rest() -> None:
    standing = everybody(a="r1", b="r1", c="r2", d="r2", e="r2")
    assert to_release("r1", standing, ()) == "a"
    assert to_release("r1", standing, {"a"}) == "b"
    assert to_release("r1", standing, {"a", "b"}) is None
    assert to_release("r3", standing, ()) is None


def test_one_more_than_another_is_no_reason_to_move_anything() -> None:
    assert to_release("r1", everybody(a="r1", b="r1", c="r2", d="r2", e="r3"), ()) is None


def test_nothing_is_let_go_while_something_is_free_or_to_who_does_not_serve_it() -> None:
    assert to_release("r1", everybody(a="r1", b="r1", c="r1", d="r1"), ()) is None
    alone = Standing({"r1": ("a", "b"), "r2": ("c",)}, {"a": "r1", "b": "r1", "c": "r2"})
    assert to_release("r1", alone, ()) is None


@given(SERVING, st.lists(st.sampled_from(RELAYS), max_size=60))
def test_in_whatever_order_they_look_everything_served_is_held_evenly_in_the_end(
    serving: dict[str, frozenset[str]], order: list[str]
) -> None:
    holder: dict[str, str] = {}
    for me in [one for one in order if one in serving] + sorted(serving) * 12:
        standing = Standing(serving, dict(holder))
        leaves = to_release(me, standing, ())
        if leaves is not None:
            del holder[leaves]
        holder.update(dict.fromkeys(to_take(me, standing), me))
    settled = Standing(serving, holder)
    assert settled.free == []
    assert all(environment in serving[who] for environment, who in holder.items())
    assert [to_release(me, settled, ()) for me in serving] == [None] * len(serving)


def test_what_is_taken_counts_for_what_is_taken_next() -> None:
    serving = dict.fromkeys(("r1", "r2"), ("a", "b", "c", "d", "e", "f"))
    assert to_take("r2", Standing(serving, {"a": "r1", "b": "r1", "c": "r2"})) == ["d", "e"]


def test_what_nobody_serves_any_more_is_let_go_first_by_one_who_holds_more() -> None:
    assert to_release("r1", Standing({"r1": ("b",)}, {"a": "r1", "b": "r1"}), ()) == "a"
