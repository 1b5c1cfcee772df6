"""A record in a store, for tests: written by runs of a store, tampered with by hand, and verified."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from functools import partial

from relay.domain.audit import Anchor, Entry, Keys, derived_key
from relay.domain.verification import Problem, Verification
from relay.store import Store, Transaction
from relay.use_cases.keep_audit import Pruned, Wanted, audit_page, end_chain, prune_audit
from tests.store.beside import change, rows

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
KEY = b"a key of the owner's, with 32 or more characters"


def opened(url: str, keys: tuple[bytes, ...] = (KEY,)) -> Store:
    """Return the store, open, as a relay with these keys opens it."""
    return Store.open(url, audit_keys=keys)


async def write(store: Store, count: int, now: datetime = NOW) -> None:
    """Record so many entries, each in a work of its own, a second after one another."""
    for number in range(count):
        await store.transact(partial(one_entry, number=number, now=now + timedelta(seconds=number)))


def one_entry(tx: Transaction, number: int = 0, now: datetime = NOW) -> None:
    """Record one entry."""
    facts = {"approve": True, "where": {"b": 1.5, "a": "für alle\n"}, "by": ["U2", "U1"]}
    tx.record("T0", now, "decision.recorded", actor="U1", subject=f"apr_{number}", facts=facts)


async def run(url: str, count: int, now: datetime = NOW, keys: tuple[bytes, ...] = (KEY,)) -> None:
    """Open the store, record so many entries, and end in order."""
    store = opened(url, keys)
    await write(store, count, now)
    await store.transact(partial(end_chain, now=now + timedelta(seconds=count)))
    await store.close()


async def entries(store: Store) -> list[Entry]:
    """Return the whole record."""
    found: list[Entry] = []
    after: int | None = -(2**63)
    while after is not None:
        page = await store.transact(partial(audit_page, after=after, wanted=Wanted()))
        found, after = [*found, *page.entries], page.after
    return found


async def anchors_of(url: str) -> list[Anchor]:
    """Return the anchors of a record, as an export ends with them."""
    store = opened(url)
    found: dict[str, Entry] = {entry.chain: entry for entry in await entries(store)}
    await store.close()
    return [entry.anchor for entry in found.values()]


async def verified(
    url: str,
    anchors: Iterable[Anchor] = (),
    keys: tuple[bytes, ...] = (KEY,),
    *,
    never_pruned: bool = False,
) -> Verification:
    """Return what a verification of the whole record finds."""
    store = opened(url, keys)
    verification = Verification(Keys((*keys, derived_key(store.key))), anchors, never_pruned=never_pruned)
    for entry in await entries(store):
        verification.take(entry)
    await store.close()
    verification.finish()
    return verification


async def wrong(url: str, anchors: Iterable[Anchor] = ()) -> list[tuple[str, int, int]]:
    """Return what is wrong with the record, and with which numbers."""
    problems: list[Problem] = (await verified(url, anchors)).problems
    return [(one.wrong.value, one.first, one.last) for one in problems]


async def prune(url: str, before: datetime, now: datetime, keys: tuple[bytes, ...] = (KEY,)) -> list[Pruned]:
    """Remove what is from before a moment, as a relay does; return what came of each batch."""
    store = opened(url, keys)
    done = [await store.transact(partial(prune_audit, before=before, now=now))]
    while done[-1].more:
        done.append(await store.transact(partial(prune_audit, before=before, now=now)))
    await store.close()
    return done


def by_hand(url: str, *statements: str) -> None:
    """Change the store behind the relay's back."""
    change(url, *statements)


def chains(url: str) -> list[str]:
    """Return the ids of the chains in the store, oldest first."""
    found = rows(url, "SELECT chain FROM audit GROUP BY chain ORDER BY min(seq)")
    return [row[0] for row in found]
