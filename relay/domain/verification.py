"""Whether a record is as it was written: reads it once, entry by entry, and says what was done to it."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from relay.domain.audit import (
    ACCEPTED,
    BEFORE_CHAINS,
    CLOSED,
    OPENED,
    PRUNED,
    Anchor,
    Entry,
    Keys,
    is_right,
    is_same,
)

_MOST_PROBLEMS = 1_000  # of a record that was rewritten nobody reads every line


class Wrong(StrEnum):
    """What was done to a chain."""

    EDITED = "edited"
    REMOVED = "removed"
    REORDERED = "reordered"
    ADDED = "added"
    CUT = "cut"
    REPLACED = "replaced"
    MISSING = "missing"
    UNKNOWN_KEY = "unknown_key"
    WEAK_KEY = "weak_key"
    WEAK_BASE = "weak_base"
    PRUNED = "pruned"


_WORDS = {
    Wrong.EDITED: "{numbers} changed afterwards",
    Wrong.REMOVED: "{numbers} removed",
    Wrong.REORDERED: "{numbers} moved from its place",
    Wrong.ADDED: "{numbers} added",
    Wrong.CUT: "its end was cut off: number {last} is known, and it is not there",
    Wrong.REPLACED: "number {first} is another than the one that is known",
    Wrong.MISSING: "the whole chain is missing: its number {last} is known",
    Wrong.UNKNOWN_KEY: "it is signed with a key that is not known here (see RELAY_AUDIT_KEY)",
    Wrong.WEAK_KEY: (
        "it is signed with the store's own key, behind what RELAY_AUDIT_KEY signed: a relay ran without that "
        "key (give it to every relay and every command), or somebody who has the file wrote it. If it was "
        "your relay, `relay audit accept {chain}` says so on the record, signed with your key"
    ),
    Wrong.WEAK_BASE: (
        "the numbers to {last} are gone, and what stands for them is signed with the store's own key, which "
        "RELAY_AUDIT_KEY was to protect: somebody who has the file removed them"
    ),
    Wrong.PRUNED: "the numbers to {last} were removed for their age, and nothing was to be",
}


@dataclass(frozen=True)
class Problem:
    """What is wrong, and with which numbers of which chain."""

    chain: str
    wrong: Wrong
    first: int
    last: int

    def __str__(self) -> str:
        numbers = f"number {self.first} was"
        if self.last > self.first:
            numbers = f"numbers {self.first} to {self.last} were"
        words = _WORDS[self.wrong].format(numbers=numbers, first=self.first, last=self.last, chain=self.chain)
        return f"{self.chain or 'entries without a chain'}: {words}"


@dataclass
class Seen:
    """What was read of one chain so far."""

    id: str
    key_id: str = ""
    first: int = 0
    last: int = 0
    mac: str | None = None  # of the last one; None: the one that was there is not known
    entries: int = 0
    pruned_to: int = 0
    pruned_at: datetime | None = None
    closed: bool = False
    accepts: list[Anchor] = field(default_factory=list)  # ends of weak chains that it stands for
    gaps: set[int] = field(default_factory=set)


class Verification:
    """Takes the entries of a record in the order of the store; `problems` grow with them."""

    def __init__(self, keys: Keys, anchors: Iterable[Anchor] = (), *, never_pruned: bool = False) -> None:
        self._keys = keys.by_id
        self._weak_id = keys.weak_id
        self._never_pruned = never_pruned
        self._strong = False  # whether anything was signed with another key than the store's own
        self._known: dict[str, dict[int, str]] = {}
        for anchor in anchors:
            self._known.setdefault(anchor.chain, {})[anchor.number] = anchor.mac
        self.chains: dict[str, Seen] = {}
        self.before_chains = 0
        self.problems: list[Problem] = []

    def take(self, entry: Entry) -> None:
        """Look at the next entry."""
        if entry.chain == BEFORE_CHAINS:
            self.before_chains += 1
            if self.chains:
                self._wrong(entry.chain, Wrong.ADDED, self.before_chains)
            return
        seen = self.chains.get(entry.chain)
        if seen is None:
            seen = self.chains[entry.chain] = Seen(entry.chain)
        if entry.action == PRUNED:
            self._take_base(seen, entry)
        elif entry.number <= seen.last:
            self._take_late(seen, entry)
        else:
            self._take_next(seen, entry)

    def finish(self) -> list[Problem]:
        """Return everything that is wrong, now that all was read."""
        for seen in self.chains.values():
            for number in sorted(seen.gaps):
                self._wrong(seen.id, Wrong.REMOVED, number)
        accepted = self.accepted
        self.problems[:] = [
            one for one in self.problems if one.wrong is not Wrong.WEAK_KEY or one.chain not in accepted
        ]
        for chain, numbers in self._known.items():
            found = self.chains.get(chain)
            if found is None:
                self._wrong(chain, Wrong.MISSING, max(numbers))
            elif found.last < max(numbers):
                self._wrong(chain, Wrong.CUT, max(numbers))
        return self.problems

    @property
    def accepted(self) -> set[str]:
        """The chains of the store's own key for which the owner's stands: nothing was added since."""
        return {
            end.chain
            for seen in self.chains.values()
            for end in seen.accepts
            if end.chain in self.chains and self.chains[end.chain].last == end.number
        }

    def _take_accepted(self, seen: Seen, ends: Iterable[Any], number: int) -> None:
        """Take the owner's word for chains that the store's own key signed: for them as they ended."""
        try:
            anchors = [Anchor.read(end) for end in ends]
        except (KeyError, TypeError, ValueError):
            self._wrong(seen.id, Wrong.EDITED, number)
            return
        for anchor in anchors if seen.key_id != self._weak_id else ():
            seen.accepts.append(anchor)
            self._take_end(anchor, "")

    def _take_base(self, seen: Seen, base: Entry) -> None:
        """Go on from a base: whoever signed it had seen that all before it was good."""
        signer, seen.key_id = str(base.facts.get("key")), str(base.facts.get("chain_key", ""))
        key = self._keys.get(signer)
        if key is None or seen.key_id not in self._keys:
            self._wrong(seen.id, Wrong.UNKNOWN_KEY, base.number)
        elif not is_right(base, "", key) or base.number < seen.last:
            self._wrong(seen.id, Wrong.EDITED, base.number)
        elif signer == self._weak_id != seen.key_id:
            self._wrong(seen.id, Wrong.WEAK_BASE, base.number)
        else:
            self._take_key(seen, base.number)
            if signer != self._weak_id:
                self._take_accepted(seen, base.facts.get("accepts", ()), base.number)
        if self._never_pruned:
            self._wrong(seen.id, Wrong.PRUNED, base.number)
        if self.before_chains:  # they are older, and went first
            self._wrong(BEFORE_CHAINS, Wrong.ADDED, self.before_chains)
        seen.first = seen.first or base.number + 1
        seen.last = seen.pruned_to = base.number
        seen.mac, seen.pruned_at = base.anchor.mac, base.at
        self._compare(base.anchor)

    def _take_late(self, seen: Seen, entry: Entry) -> None:
        wrong = Wrong.REORDERED if entry.number in seen.gaps else Wrong.ADDED
        seen.gaps.discard(entry.number)
        self._wrong(seen.id, wrong, entry.number)

    def _take_next(self, seen: Seen, entry: Entry) -> None:
        seen.first = seen.first or entry.number
        if entry.number > seen.last + 1:
            seen.gaps.update(range(seen.last + 1, min(entry.number, seen.last + 1 + _MOST_PROBLEMS)))
            seen.mac = None
        elif entry.number == 1:
            seen.mac, seen.key_id = "", str(entry.facts.get("key", "")) if entry.action == OPENED else ""
        if seen.key_id and seen.key_id not in self._keys:
            self._wrong(seen.id, Wrong.UNKNOWN_KEY, seen.first)
        elif not self._is_right(seen, entry):
            self._wrong(seen.id, Wrong.EDITED, entry.number)
        elif entry.action == OPENED:
            self._take_opening(seen, entry)
        elif entry.action == ACCEPTED:
            self._take_accepted(seen, [entry.facts], entry.number)
        seen.last, seen.mac, seen.closed = entry.number, entry.mac, entry.action == CLOSED
        seen.entries += 1
        self._compare(entry.anchor)

    def _take_key(self, seen: Seen, number: int) -> None:
        """Know what signs a chain, now that it is proven."""
        if seen.key_id != self._weak_id:
            self._strong = True
        elif self._strong:
            self._wrong(seen.id, Wrong.WEAK_KEY, number)

    def _take_opening(self, seen: Seen, opening: Entry) -> None:
        """Compare with where the record ended when a chain began: an anchor that nobody had to keep."""
        facts = opening.facts
        try:
            after = Anchor.read(facts["after"]) if facts["after"] is not None else None
            before_chains = None if facts["before_chains"] is None else int(facts["before_chains"])
        except (KeyError, TypeError, ValueError):
            self._wrong(seen.id, Wrong.EDITED, opening.number)
            return
        self._take_key(seen, opening.number)
        if before_chains is not None and self.before_chains > before_chains:
            self._wrong(BEFORE_CHAINS, Wrong.ADDED, self.before_chains)
        if after is not None:
            self._take_end(after, str(facts.get("after_key") or ""))

    def _take_end(self, known: Anchor, key_id: str) -> None:
        other = self.chains.get(known.chain)
        if other is None:
            self._wrong(known.chain, Wrong.MISSING, known.number)
        elif other.last < known.number:
            self._wrong(known.chain, Wrong.CUT, known.number)
        elif other.last == known.number and not is_same(str(other.mac), known.mac):
            self._wrong(known.chain, Wrong.REPLACED, known.number)
        elif other.pruned_at and other.key_id == self._weak_id and key_id not in ("", self._weak_id):
            # Its entries were signed with another key, says who began behind them.
            self._wrong(known.chain, Wrong.WEAK_BASE, other.pruned_to)

    def _is_right(self, seen: Seen, entry: Entry) -> bool:
        is_first = entry.number == 1
        if is_first != (entry.action == OPENED) or (is_first and not seen.key_id):
            return False
        keys = [self._keys[seen.key_id]] if seen.key_id else list(self._keys.values())
        before = seen.mac
        return before is None or any(is_right(entry, before, key) for key in keys)

    def _compare(self, anchor: Anchor) -> None:
        known = self._known.get(anchor.chain, {}).get(anchor.number)
        if known is not None and not is_same(known, anchor.mac):
            self._wrong(anchor.chain, Wrong.REPLACED, anchor.number)

    def _wrong(self, chain: str, wrong: Wrong, number: int) -> None:
        last = self.problems[-1] if self.problems else None
        if last is not None and (last.chain, last.wrong, last.last + 1) == (chain, wrong, number):
            self.problems[-1] = Problem(chain, wrong, last.first, number)
        elif (
            len(self.problems) < _MOST_PROBLEMS and Problem(chain, wrong, number, number) not in self.problems
        ):
            self.problems.append(Problem(chain, wrong, number, number))
