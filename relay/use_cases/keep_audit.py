"""The record is ended, read page by page, and relieved of what is too old."""

from dataclasses import dataclass
from datetime import datetime
from itertools import takewhile

from relay.domain.audit import ACCEPTED, BEFORE_CHAINS, CLOSED, Anchor, Entry
from relay.domain.verification import Problem, Verification, Wrong
from relay.store.transaction import Transaction
from relay.use_cases.grants import OPERATOR

# So many are read or removed at once, within a few milliseconds: what people send is stored in between.
_PAGE = 200
_BATCH = 100


@dataclass(frozen=True)
class Wanted:
    """Which entries are asked for; what is empty asks for all."""

    subject_id: str = ""
    action: str = ""
    since: datetime | None = None
    until: datetime | None = None

    def takes(self, entry: Entry) -> bool:
        """Return whether an entry is one of them."""
        return (
            self.subject_id in ("", entry.subject_id)
            and self.action in ("", entry.action)
            and (self.since is None or entry.at >= self.since)
            and (self.until is None or entry.at < self.until)
        )


@dataclass(frozen=True)
class Page:
    """Some entries, where the chains are behind all that were looked at, and from where to go on."""

    entries: tuple[Entry, ...]
    anchors: tuple[Anchor, ...]
    after: int | None


@dataclass(frozen=True)
class Pruned:
    """How many entries were removed; or what is wrong with them, which keeps them all."""

    entries: int = 0
    problems: tuple[Problem, ...] = ()

    @property
    def more(self) -> bool:
        """Whether there may be more to remove."""
        return self.entries == _BATCH


def end_chain(tx: Transaction, now: datetime) -> None:
    """Close the chain of this opening of the store, if it recorded anything."""
    if tx.audit.chain.head is not None:
        tx.record("", now, CLOSED)


class NotAcceptedError(Exception):
    """A chain cannot be accepted; the message says why."""


def accept_chain(tx: Transaction, chain: str, now: datetime) -> Anchor:
    """Put on the record that a chain which the store's own key signed was the owner's: their key says so.

    Raises NotAcceptedError.
    """
    keys, found = tx.audit.chain.keys, tx.audit.end_of(chain)
    if keys.id == keys.weak_id:
        raise NotAcceptedError("only RELAY_AUDIT_KEY stands for another chain: give it to the relay, or here")
    if found is None or chain == BEFORE_CHAINS:
        raise NotAcceptedError(f"there is no chain {chain!r}: `relay audit verify` names them")
    end, key_id = found
    if key_id != keys.weak_id:
        raise NotAcceptedError(f"{chain} is not signed with the store's own key: there is nothing to accept")
    tx.record("", now, ACCEPTED, actor=OPERATOR, subject=chain, facts=end.written())
    return end


def audit_page(tx: Transaction, after: int, wanted: Wanted) -> Page:
    """Return the next page of the record."""
    rows = tx.audit.page(after, _PAGE)
    anchors = {entry.chain: entry.anchor for _, entry in rows if entry.chain != BEFORE_CHAINS}
    taken = tuple(entry for _, entry in rows if wanted.takes(entry))
    return Page(taken, tuple(anchors.values()), rows[-1][0] if len(rows) == _PAGE else None)


def prune_audit(tx: Transaction, before: datetime, now: datetime) -> Pruned:
    """Remove some of the entries from before a moment; what is left of their chains begins with a base.

    Only what is as it was written is removed: a base says so for ever. A chain that the store's own key
    signed while another was to sign goes with the others, and its base goes on saying with which key.
    """
    old = list(takewhile(lambda row: row[1].at < before, tx.audit.oldest(_BATCH)))
    if not old:
        return Pruned()
    verification = Verification(tx.audit.chain.keys)
    for entry in tx.audit.up_to(old[-1][0]):
        verification.take(entry)
    problems = tuple(one for one in verification.finish() if one.wrong is not Wrong.WEAK_KEY)
    if problems:
        return Pruned(problems=problems)
    last = {entry.chain: (position, entry) for position, entry in old}
    for chain, (position, entry) in last.items():
        if chain != BEFORE_CHAINS:
            seen = verification.chains[chain]
            # What is read up to here is at most what is removed, and what was removed before.
            tx.audit.rebase(position, entry, seen.key_id, now, seen.accepts)
    tx.audit.forget([position for position, entry in old if entry.chain == BEFORE_CHAINS])
    return Pruned(len(old))
