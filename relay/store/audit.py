"""The audit entries of a store.

The head of the chain that is written stands in memory, so that a record costs one INSERT and nothing more.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Connection,
    Integer,
    Row,
    Text,
    bindparam,
    delete,
    func,
    insert,
    select,
    type_coerce,
    update,
)

from relay import __version__
from relay.domain.audit import BEFORE_CHAINS, OPENED, PRUNED, Anchor, Entry, Keys, signed_text
from relay.domain.canonical import canonical_json
from relay.domain.ids import new_id
from relay.domain.moments import moment_of
from relay.store import tables
from relay.store.dialects import as_bytes
from relay.store.statement import Statement

t = tables.audit
_NAMES = ("chain", "number", "at", "team_id", "action", "actor", "subject_id", "facts", "mac")
# The facts are written once, for the signature and for the row.
_ADD = Statement(insert(t).inline().values(facts=bindparam("facts", type_=Text)), columns=_NAMES)
_NUMBERS = ("number", "at")
# What somebody edited need not be JSON, nor text, nor a number any more, and has to be read all the same.
_READ = select(
    t.c.seq,
    *(
        type_coerce(t.c[name], Integer) if name in _NUMBERS else as_bytes(t.c[name]).label(name)
        for name in _NAMES
    ),
)


@dataclass
class Chain:
    """What one opening of a store records. Only its writer thread moves the head.

    It begins with the first entry, so that an opening that records nothing leaves nothing.
    """

    keys: Keys
    after: Anchor | None = None  # where the record ended when the store was opened
    after_key: str = ""  # and the key of that chain: a base put in its place shows by it
    before_chains: int | None = None  # of the first chain: how many entries are older than chains
    head: Anchor | None = None

    def opening(self) -> dict[str, Any]:
        """Return the facts of its first entry."""
        return {
            "key": self.keys.id,
            "version": __version__,
            "after": self.after.written() if self.after else None,
            "after_key": self.after_key,
            "before_chains": self.before_chains,
        }


def opened_chain(connection: Connection, keys: Keys) -> Chain:
    """Return the chain of a store that is being opened."""
    row = connection.execute(_READ.order_by(t.c.seq.desc()).limit(1)).first()
    last = None if row is None else _entry(row)
    if last is not None and last.chain != BEFORE_CHAINS:
        return Chain(keys, last.anchor, _key_of(connection, last.chain))
    before_chains = connection.execute(select(func.count()).select_from(t)).scalar_one()
    return Chain(keys, before_chains=before_chains)


def _key_of(connection: Connection, chain: str) -> str:
    row = connection.execute(_READ.where(t.c.chain == chain).order_by(t.c.seq).limit(1)).first()
    facts: Mapping[str, Any] = {} if row is None else _entry(row).facts
    return str(facts.get("chain_key") or facts.get("key") or "")


class Audit:
    """Adds to the record, and reads it in the order in which it was written."""

    def __init__(self, connection: Connection, chain: Chain) -> None:
        self._connection = connection
        self._chain = chain

    @property
    def chain(self) -> Chain:
        """The chain that is written."""
        return self._chain

    def record(
        self, team_id: str, now: datetime, action: str, actor: str, subject: str, facts: Mapping[str, Any]
    ) -> None:
        """Add an entry to the chain, behind its opening."""
        head = self._chain.head
        if head is None:
            first = Anchor(new_id("chn", now), 0, "")
            head = self._add(first, "", now, (OPENED, "", ""), self._chain.opening())
        self._chain.head = self._add(head, team_id, now, (action, actor, subject), facts)

    def _add(
        self,
        head: Anchor,
        team_id: str,
        now: datetime,
        who_what: tuple[str, str, str],
        facts: Mapping[str, Any],
    ) -> Anchor:
        written = canonical_json(facts)
        place = Anchor(head.chain, head.number + 1, "")
        mac = self._chain.keys.sign(head.mac, signed_text(place, now, team_id, who_what, written))
        values = (place.chain, place.number, now, team_id, *who_what, written, mac)
        _ADD.leave(self._connection, dict(zip(_NAMES, values, strict=True)))
        return Anchor(head.chain, place.number, mac)

    def page(self, after: int, most: int) -> list[tuple[int, Entry]]:
        """Return up to `most` entries behind a position, each with its own."""
        rows = self._connection.execute(_READ.where(t.c.seq > after).order_by(t.c.seq).limit(most))
        return [(row.seq, _entry(row)) for row in rows]

    def oldest(self, most: int) -> list[tuple[int, Entry]]:
        """Return up to `most` entries from the beginning, but for the bases of what was pruned."""
        rows = self._connection.execute(_READ.where(t.c.action != PRUNED).order_by(t.c.seq).limit(most))
        return [(row.seq, _entry(row)) for row in rows]

    def up_to(self, position: int) -> list[Entry]:
        """Return everything up to a position."""
        rows = self._connection.execute(_READ.where(t.c.seq <= position).order_by(t.c.seq))
        return [_entry(row) for row in rows]

    def forget(self, positions: Sequence[int]) -> None:
        """Remove entries that are older than chains."""
        self._connection.execute(delete(t).where(t.c.seq.in_(positions), t.c.chain == BEFORE_CHAINS))

    def end_of(self, chain: str) -> tuple[Anchor, str] | None:
        """Return where a chain ended, and the key it is signed with."""
        row = self._connection.execute(
            _READ.where(t.c.chain == chain).order_by(t.c.seq.desc()).limit(1)
        ).first()
        return None if row is None else (_entry(row).anchor, _key_of(self._connection, chain))

    def rebase(
        self, position: int, last: Entry, chain_key: str, now: datetime, accepts: Sequence[Anchor] = ()
    ) -> None:
        """Put a signed base in the place of the entry at a position and of all of its chain before it.

        `accepts` are the ends of other chains for which what is removed stood.
        """
        keys = self._chain.keys
        facts: dict[str, Any] = {"key": keys.id, "chain_key": chain_key, "mac": last.anchor.mac}
        facts |= {"accepts": [end.written() for end in accepts]} if accepts else {}
        base = Entry(last.chain, last.number, now, "", PRUNED, "", "", facts)
        text = signed_text(base.anchor, now, "", (PRUNED, "", ""), canonical_json(facts))
        values = {**vars(base), "mac": keys.sign("", text)}
        self._connection.execute(delete(t).where(t.c.seq < position, t.c.chain == last.chain))
        self._connection.execute(update(t).where(t.c.seq == position).values(values))


def _entry(row: Row[*tuple[Any, ...]]) -> Entry:
    _, chain, number, at, team_id, action, actor, subject_id, facts, mac = row
    return Entry(
        chain=_text(chain),
        number=number if isinstance(number, int) else 0,
        at=_moment(at),
        team_id=_text(team_id),
        action=_text(action),
        actor=_text(actor),
        subject_id=_text(subject_id),
        facts=_facts(_text(facts)),
        mac=_text(mac),
    )


def _text(kept: Any) -> str:
    return kept.decode("utf-8", "replace") if isinstance(kept, bytes) else ""


def _moment(kept: Any) -> datetime:
    try:
        return moment_of(kept)
    except (TypeError, OverflowError):
        return moment_of(0)


def _facts(written: str) -> Mapping[str, Any]:
    try:
        facts = json.loads(written)
    except (ValueError, RecursionError):
        facts = None
    return facts if isinstance(facts, dict) else {"unreadable": written}
