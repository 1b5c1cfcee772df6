"""What was done to a record is told, entry by entry: each chain here is signed as a store signs it."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from relay.domain.audit import (
    ACCEPTED,
    BEFORE_CHAINS,
    CLOSED,
    OPENED,
    PRUNED,
    Anchor,
    Entry,
    Keys,
    key_id,
    signed_text,
)
from relay.domain.canonical import canonical_json
from relay.domain.verification import Seen, Verification

AT = datetime(2026, 11, 21, 12, tzinfo=UTC)
STRONG, WEAK, STRANGE = b"the owner's", b"the store's own", b"nobody's"
OLD = Entry(BEFORE_CHAINS, 0, AT, "T0", "old", "U1", "", {})


def signed(entry: Entry, before: str, key: bytes) -> Entry:
    """Return an entry with its signature, behind one whose signature is `before`."""
    who_what = (entry.action, entry.actor, entry.subject_id)
    text = signed_text(entry.anchor, entry.at, entry.team_id, who_what, canonical_json(entry.facts))
    return replace(entry, mac=Keys((key,)).sign(before, text))


class Chain:
    """Writes one chain."""

    def __init__(self, name: str, key: bytes = STRONG) -> None:
        self.name, self.key = name, key
        self.written: list[Entry] = []

    def entry(self, action: str = "vote.given", **facts: Any) -> Entry:
        before = self.written[-1].mac if self.written else ""
        entry = Entry(self.name, len(self.written) + 1, AT, "T0", action, "U1", "", facts)
        self.written.append(signed(entry, before, self.key))
        return self.written[-1]

    def opening(self, **facts: Any) -> Entry:
        return self.entry(OPENED, **{"key": key_id(self.key), "after": None, "before_chains": None, **facts})

    def run(self, count: int, **facts: Any) -> list[Entry]:
        """Return so many entries, the opening among them."""
        return [self.opening(**facts), *(self.entry(number=number) for number in range(count - 1))]

    def base(self, number: int, key: bytes = STRONG, **facts: Any) -> Entry:
        """Return what stands for all entries up to a number."""
        mac = self.written[number - 1].mac
        facts = {"key": key_id(key), "chain_key": key_id(self.key), "mac": mac, **facts}
        return signed(Entry(self.name, number, AT, "", PRUNED, "", "", facts), "", key)

    def end(self, number: int = 0) -> dict[str, Any]:
        """Return the anchor of an entry as JSON has it."""
        return self.written[number - 1].anchor.written()


def read(record: Iterable[Entry], anchors: Iterable[Anchor] = (), **how: bool) -> Verification:
    verification = Verification(Keys((STRONG, WEAK)), anchors, **how)
    for entry in record:
        verification.take(entry)
    assert verification.finish() is verification.problems
    return verification


def wrong(record: Iterable[Entry], anchors: Iterable[Anchor] = (), **how: bool) -> list[Any]:
    found = read(record, anchors, **how).problems
    return [(one.chain, one.wrong.value, one.first, one.last) for one in found]


def changed(entry: Entry) -> Entry:
    return replace(entry, actor="U9")


def test_a_record_that_nobody_touched_is_as_it_was_written() -> None:
    a, b = Chain("a"), Chain("b")
    first = [*a.run(3), a.entry(CLOSED)]
    second = b.run(2, after=a.end(), after_key=key_id(STRONG), before_chains=2)
    found = read([OLD, OLD, *first, *second], [first[1].anchor, first[3].anchor, second[1].anchor])
    assert (found.problems, found.before_chains, found.accepted) == ([], 2, set())
    assert found.chains == {
        "a": Seen("a", key_id(STRONG), 1, 4, first[3].mac, 4, closed=True),
        "b": Seen("b", key_id(STRONG), 1, 2, second[1].mac, 2, closed=False),
    }


def test_the_entries_of_two_chains_may_alternate() -> None:
    a, b = Chain("a").run(4), Chain("b").run(4)
    assert wrong(entry for both in zip(a, b, strict=True) for entry in both) == []


def test_what_comes_behind_the_end_of_a_chain_leaves_it_open() -> None:
    a = Chain("a")
    assert not read([a.opening(), a.entry(CLOSED), a.entry()]).chains["a"].closed


@pytest.mark.parametrize(
    ("order", "found"),
    [
        ([1, 2, 4, 5], [("removed", 3, 3)]),
        ([1, 4, 5], [("removed", 2, 3)]),
        ([2, 3], [("removed", 1, 1)]),
        ([3], [("removed", 1, 2)]),
        ([1, 3, 5], [("removed", 2, 2), ("removed", 4, 4)]),
        ([1, 2, 4, 3, 5], [("reordered", 3, 3)]),
        ([1, 4, 2, 5], [("reordered", 2, 2), ("removed", 3, 3)]),
        ([2, 1, 3], [("reordered", 1, 1)]),
        ([1, 2, 2, 3], [("added", 2, 2)]),
        ([1, 2, 3, 1, 4], [("added", 1, 1)]),
        ([1, 2, 4, 3, 3, 5], [("reordered", 3, 3), ("added", 3, 3)]),
        ([1, 2, 3, 2, 2, 2], [("added", 2, 2)]),
        ([1, 2, 3, 3, 2], [("added", 3, 3), ("added", 2, 2)]),
    ],
)  # fmt: skip
def test_where_entries_stand_and_what_is_told(order: list[int], found: list[Any]) -> None:
    a = Chain("a").run(5)
    assert wrong(a[number - 1] for number in order) == [("a", *one) for one in found]


def test_what_is_wrong_on_both_sides_of_another_chain_is_told_of_each() -> None:
    a, b = Chain("a").run(3), Chain("b").run(3)
    record = [a[0], *b[:2], changed(a[1]), changed(b[2]), changed(a[2])]
    assert wrong(record) == [
        ("a", "edited", 2, 2), ("b", "edited", 3, 3), ("a", "edited", 3, 3),
    ]  # fmt: skip


def test_of_what_does_not_follow_one_another_each_is_told() -> None:
    a = Chain("a").run(5)
    assert wrong([*a[:1], changed(a[1]), a[2], changed(a[3]), changed(a[4])]) == [
        ("a", "edited", 2, 2),
        ("a", "edited", 4, 5),
    ]


@pytest.mark.parametrize("number", [1, 2, 3])
def test_an_entry_that_was_changed_is_named(number: int) -> None:
    a = Chain("a").run(3)
    a[number - 1] = changed(a[number - 1])
    assert wrong(a) == [("a", "edited", number, number)]


def test_behind_an_entry_with_another_signature_the_next_is_wrong_too() -> None:
    a = Chain("a").run(4)
    a[1] = replace(a[1], mac="0" * 32)
    assert wrong(a) == [("a", "edited", 2, 3)]


def test_behind_a_gap_one_entry_cannot_be_compared_and_all_others_are() -> None:
    a = Chain("a").run(5)
    assert wrong([a[0], changed(a[2]), changed(a[3]), a[4]]) == [
        ("a", "edited", 4, 4),
        ("a", "removed", 2, 2),
    ]


def test_behind_a_gap_at_its_beginning_a_chain_is_compared_by_every_key() -> None:
    for key in (STRONG, WEAK):
        a = Chain("a", key).run(4)
        assert wrong(a[1:]) == [("a", "removed", 1, 1)]
        assert wrong([*a[1:3], changed(a[3])]) == [("a", "edited", 4, 4), ("a", "removed", 1, 1)]


def test_a_chain_is_compared_by_its_own_key_alone() -> None:
    a = Chain("a").run(2)
    third = signed(Entry("a", 3, AT, "T0", "vote.given", "U1", "", {}), a[1].mac, WEAK)
    assert wrong([*a, third]) == [("a", "edited", 3, 3)]


def test_of_a_long_gap_the_beginning_is_told() -> None:
    a = Chain("a").run(2)
    far = replace(a[1], number=5_000)
    assert wrong([a[0], far]) == [("a", "removed", 2, 1_001)]
    assert wrong([a[0], replace(far, number=1_002)]) == [("a", "removed", 2, 1_001)]


def test_an_opening_stands_first_and_nothing_else_does() -> None:
    a, b = Chain("a"), Chain("b")
    assert wrong([a.entry(key=key_id(STRANGE)), a.entry()]) == [("a", "edited", 1, 1)]
    assert wrong([b.opening(), b.opening(), b.entry()]) == [("b", "edited", 2, 2)]


def test_an_opening_that_names_no_key_is_no_opening() -> None:
    opening = Entry("a", 1, AT, "T0", OPENED, "U1", "", {"after": None, "before_chains": None})
    assert wrong([signed(opening, "", STRONG)]) == [("a", "edited", 1, 1)]


def test_a_key_that_is_not_known_is_told_once_of_a_chain() -> None:
    a = Chain("a", STRANGE).run(3)
    assert wrong(a) == [("a", "unknown_key", 1, 1)]
    assert wrong([a[0], a[2]]) == [("a", "unknown_key", 1, 1), ("a", "removed", 2, 2)]


@pytest.mark.parametrize(
    "facts",
    [
        {"after": 7},
        {"after": {}},
        {"after": {"chain": "b", "number": "x", "mac": ""}},
        {"before_chains": "x"},
        {"before_chains": []},
    ],
)
def test_an_opening_that_goes_on_from_nonsense_was_changed(facts: dict[str, Any]) -> None:
    assert wrong(Chain("a").run(2, **facts)) == [("a", "edited", 1, 1)]


@pytest.mark.parametrize("missing", ["after", "before_chains"])
def test_an_opening_says_where_the_record_was(missing: str) -> None:
    facts = {"key": key_id(STRONG), "after": None, "before_chains": None}
    del facts[missing]
    assert wrong([Chain("a").entry(OPENED, **facts)]) == [("a", "edited", 1, 1)]


def test_what_is_older_than_all_chains_stands_before_them_and_is_as_much_as_it_was() -> None:
    a = Chain("a").run(2, before_chains=2)
    more = replace(OLD, number=7)
    assert wrong([OLD, OLD, *a]) == []
    assert wrong([OLD, *a]) == []  # they went for their age
    assert wrong([OLD, OLD, more, *a]) == [("", "added", 3, 3)]
    assert wrong([OLD, *a, OLD, more]) == [("", "added", 2, 3)]
    assert wrong([OLD, *Chain("b").run(1, before_chains=0)]) == [("", "added", 1, 1)]


def test_the_end_of_the_record_stands_in_the_next_opening() -> None:
    a, b = Chain("a"), Chain("b")
    first = a.run(4)
    second = b.run(2, after=a.end())
    assert wrong([*first, *second]) == []
    assert wrong([*first[:2], *second]) == [("a", "cut", 4, 4)]
    assert wrong(second) == [("a", "missing", 4, 4)]
    assert wrong([*first, *Chain("b").run(2, after=a.end(2))]) == []  # it went on, elsewhere
    other = Chain("b").run(2, after={**a.end(), "mac": "0" * 32})
    assert wrong([*first, *other]) == [("a", "replaced", 4, 4)]
    other = Chain("b").run(2, after={**a.end(2), "mac": "0" * 32})
    assert wrong([*first, *other]) == []  # only its end is compared


def test_anchors_that_were_kept_elsewhere_show_what_is_gone() -> None:
    a = Chain("a").run(4)
    anchors = [a[1].anchor, a[3].anchor, a[2].anchor]
    assert wrong(a, anchors) == []
    assert wrong(a[:3], anchors) == [("a", "cut", 4, 4)]
    assert wrong([], anchors) == [("a", "missing", 4, 4)]
    assert wrong(a, [*anchors, a[2].anchor._replace(mac="0" * 32)]) == [("a", "replaced", 3, 3)]
    assert wrong(a, [Anchor("b", 2, "00")]) == [("b", "missing", 2, 2)]


@pytest.mark.parametrize("key", [STRONG, WEAK])
def test_a_base_stands_for_what_went_for_its_age(key: bytes) -> None:
    a = Chain("a", key)
    rest = a.run(5)[3:]
    base = a.base(3, key)
    found = read([base, *rest], [a.written[2].anchor, a.written[4].anchor, a.written[0].anchor])
    assert found.problems == []
    assert found.chains["a"] == Seen(
        "a", key_id(key), 4, 5, rest[1].mac, 2, pruned_to=3, pruned_at=AT, closed=False
    )
    assert wrong([base, changed(rest[0])]) == [("a", "edited", 4, 4)]
    assert wrong([base, rest[1]]) == [("a", "removed", 4, 4)]


def test_a_base_has_to_be_signed_and_to_come_first() -> None:
    a = Chain("a")
    entries = a.run(5)
    assert wrong([replace(a.base(3), team_id="T9"), *entries[3:]]) == [("a", "edited", 3, 3)]
    assert wrong([*entries[:4], a.base(3), entries[4]]) == [
        ("a", "edited", 3, 3),
        ("a", "removed", 4, 4),
    ]
    assert wrong([*entries[:3], a.base(3), *entries[3:]]) == []


def test_a_base_behind_entries_leaves_the_first_number_as_it_was() -> None:
    a = Chain("a")
    entries = a.run(5)
    assert read([*entries[:2], a.base(3), *entries[3:]]).chains["a"].first == 1


def test_a_base_is_compared_with_what_was_kept_elsewhere() -> None:
    a = Chain("a")
    a.run(3)
    assert wrong([a.base(3)], [Anchor("a", 3, "0" * 32)]) == [("a", "replaced", 3, 3)]


def test_a_base_of_a_key_that_is_not_known_stands_for_nothing() -> None:
    a, b = Chain("a"), Chain("b", STRANGE)
    rest, strange = a.run(4)[3:], b.run(4)[3:]
    assert wrong([a.base(3, STRANGE), *rest]) == [("a", "unknown_key", 3, 3)]
    assert wrong([b.base(3), *strange]) == [("b", "unknown_key", 3, 4)]


def test_a_base_that_names_no_key_of_its_chain_stands_for_nothing_and_the_rest_is_compared() -> None:
    a = Chain("a")
    rest = a.run(5)[3:]
    facts = {"key": key_id(STRONG), "mac": a.written[2].mac}
    base = signed(Entry("a", 3, AT, "", PRUNED, "", "", facts), "", STRONG)
    assert wrong([base, *rest]) == [("a", "unknown_key", 3, 3)]
    assert wrong([base, rest[0], changed(rest[1])]) == [("a", "unknown_key", 3, 3), ("a", "edited", 5, 5)]


def test_the_stores_own_key_stands_for_nothing_of_the_owners() -> None:
    a = Chain("a")
    rest = a.run(5)[3:]
    assert wrong([a.base(3, WEAK), *rest]) == [("a", "weak_base", 3, 3)]


def test_the_owners_key_stands_for_what_the_stores_own_signed() -> None:
    a = Chain("a", WEAK)
    rest = a.run(5)[3:]
    assert wrong([a.base(3, STRONG), *rest]) == []


def test_where_nothing_was_to_be_removed_a_base_is_wrong() -> None:
    a = Chain("a")
    rest = a.run(5)[3:]
    assert wrong([a.base(3), *rest], never_pruned=True) == [("a", "pruned", 3, 3)]
    assert wrong([a.base(3), *rest]) == []
    assert wrong(a.written, never_pruned=True) == []


def test_what_is_older_than_all_chains_went_before_any_of_them() -> None:
    a = Chain("a")
    rest = a.run(5)[3:]
    assert wrong([OLD, OLD, a.base(3), *rest]) == [("", "added", 2, 2)]


def test_a_chain_of_the_stores_own_key_behind_one_of_the_owners_is_told() -> None:
    a, b, c = Chain("a"), Chain("b", WEAK), Chain("c", WEAK)
    strong, weak, rest = a.run(2), b.run(2), c.run(5)[3:]
    assert wrong([*strong, *weak]) == [("b", "weak_key", 1, 1)]
    assert wrong([*strong, c.base(3, WEAK), *rest]) == [("c", "weak_key", 3, 3)]
    assert wrong([a.base(2), *weak]) == [("b", "weak_key", 1, 1)]
    assert wrong([*weak, *strong]) == []
    assert wrong([*weak, c.base(3, WEAK), *rest, *strong]) == []


def test_who_began_behind_a_chain_knows_which_key_signed_it() -> None:
    for name, told in (
        (key_id(STRONG), [("b", "weak_base", 2, 2)]),
        (key_id(WEAK), []),
        ("", []),
        (None, []),
    ):
        b, c = Chain("b", WEAK), Chain("c")
        rest = b.run(3)[2:]
        after = c.run(2, after=b.end(), after_key=name)
        assert wrong([b.base(2, WEAK), *rest, *after]) == told
        assert wrong([*b.written, *after]) == []  # its entries are there, and were compared
    b, c = Chain("b", WEAK), Chain("c")
    b.run(3)
    assert wrong([b.base(2, WEAK), *b.written[2:], *c.run(1, after=b.end())]) == []
    a, c = Chain("a"), Chain("c")
    a.run(3)
    after = c.run(1, after=a.end(), after_key=key_id(STRONG))
    assert wrong([a.base(2), *a.written[2:], *after]) == []


class TestAccepted:
    """The owner stands for a chain that the store's own key signed behind the owner's."""

    def test_it_is_good_as_it_ended(self) -> None:
        a, b = Chain("a"), Chain("b", WEAK)
        record = [*a.run(2), *b.run(3), a.entry(ACCEPTED, **b.end())]
        found = read(record)
        assert (found.problems, found.accepted) == ([], {"b"})
        assert found.chains["a"].accepts == [b.written[2].anchor]

    def test_what_else_is_wrong_with_it_is_told_all_the_same(self) -> None:
        a, b, c = Chain("a"), Chain("b", WEAK), Chain("c", WEAK)
        record = [
            *a.run(2),
            b.opening(),
            changed(b.entry()),
            b.entry(),
            *c.run(1),
            a.entry(ACCEPTED, **b.end()),
        ]
        assert wrong(record) == [("b", "edited", 2, 2), ("c", "weak_key", 1, 1)]

    def test_what_was_added_since_was_not_accepted(self) -> None:
        a, b = Chain("a"), Chain("b", WEAK)
        record = [*a.run(2), *b.run(3), a.entry(ACCEPTED, **b.end()), b.entry()]
        assert wrong(record) == [("b", "weak_key", 1, 1)]

    @pytest.mark.parametrize(
        ("kept", "mac", "found"),
        [
            (3, "", [("b", "replaced", 3, 3)]),
            (2, None, [("b", "weak_key", 1, 1), ("b", "cut", 3, 3)]),
            (0, None, [("b", "missing", 3, 3)]),
        ],
    )
    def test_it_has_to_be_there_as_it_was(self, kept: int, mac: str | None, found: list[Any]) -> None:
        a, b = Chain("a"), Chain("b", WEAK)
        record = [*a.run(2), *b.run(3)[:kept]]
        end = b.end() if mac is None else {**b.end(), "mac": mac}
        assert wrong([*record, a.entry(ACCEPTED, **end)]) == found

    def test_the_stores_own_key_accepts_nothing(self) -> None:
        a, b, c = Chain("a"), Chain("b", WEAK), Chain("c", WEAK)
        record = [*a.run(2), *b.run(3), *c.run(2), c.entry(ACCEPTED, **b.end())]
        assert wrong(record) == [("b", "weak_key", 1, 1), ("c", "weak_key", 1, 1)]

    @pytest.mark.parametrize(
        "facts", [{}, {"chain": "b", "number": "x", "mac": ""}, {"chain": "b", "number": []}]
    )
    def test_an_acceptance_of_nonsense_was_changed(self, facts: dict[str, Any]) -> None:
        a = Chain("a")
        assert wrong([*a.run(2), a.entry(ACCEPTED, **facts)]) == [("a", "edited", 3, 3)]

    def test_an_acceptance_that_was_changed_is_none(self) -> None:
        a, b = Chain("a"), Chain("b", WEAK)
        record = [*a.run(2), *b.run(3), changed(a.entry(ACCEPTED, **b.end()))]
        assert wrong(record) == [("b", "weak_key", 1, 1), ("a", "edited", 3, 3)]

    def test_a_base_stands_for_the_acceptances_that_went_with_the_rest(self) -> None:
        a, b = Chain("a"), Chain("b", WEAK)
        a.run(4)
        record = [*b.run(3)]
        base = a.base(3, accepts=[b.end()])
        assert wrong([a.base(3), *record, a.written[3]]) == [("b", "weak_key", 1, 1)]
        found = read([*record, base, a.written[3]])
        assert (found.problems, found.accepted) == ([], {"b"})
        assert wrong([a.base(3, accepts=7), a.written[3]]) == [("a", "edited", 3, 3)]

    def test_a_base_of_the_stores_own_key_accepts_nothing(self) -> None:
        a, b, c = Chain("a"), Chain("b", WEAK), Chain("c", WEAK)
        c.run(3)
        record = [*a.run(1), *b.run(3), c.base(3, WEAK, accepts=[b.end()])]
        assert wrong(record) == [("b", "weak_key", 1, 1), ("c", "weak_key", 3, 3)]
        c = Chain("c")
        c.run(3)
        record = [*b.written, c.base(3, WEAK, accepts=[b.end()])]
        assert read(record).accepted == set()

    def test_it_may_go_for_its_age_afterwards(self) -> None:
        a, b = Chain("a"), Chain("b", WEAK)
        b.run(3)
        record = [*a.run(2), b.base(2, WEAK), b.written[2], a.entry(ACCEPTED, **b.end())]
        assert wrong(record) == []


def test_no_more_than_a_thousand_problems_are_kept() -> None:
    a = Chain("a").run(1)
    chains = [replace(a[0], chain=f"x{number}") for number in range(1_002)]
    assert len(wrong(chains[:999])) == 999
    assert len(wrong(chains)) == 1_000
    assert wrong(chains)[-1] == ("x999", "edited", 1, 1)
    many = [*chains, replace(a[0], chain="x999", number=2, action="vote.given")]
    assert wrong(many)[-1] == ("x999", "edited", 1, 2)
