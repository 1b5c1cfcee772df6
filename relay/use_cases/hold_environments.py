"""A relay looks which environments are its own to hold, and says that it is alive."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from relay.domain.leases import LASTS, MISSED_AFTER, RENEWED_AFTER, Standing, to_release, to_take
from relay.store.leases import Row
from relay.store.transaction import Transaction


@dataclass(frozen=True)
class Mine:
    """An environment that is held here: since which change of holder, and until when."""

    epoch: int
    until: datetime


@dataclass(frozen=True)
class Looked:
    """What is held here, and by others, and what other relays serve, or did a moment ago."""

    mine: Mapping[str, Mine]
    others: Mapping[str, str]
    served: frozenset[str]
    uneven: bool  # another relay is to have one of mine, which something goes on in
    at: datetime | None = None


def hold_environments(
    tx: Transaction, me: str, serves: Collection[str], busy: Collection[str], now: datetime
) -> Looked:
    """Renew what is held, take what is free and due to this relay, and let go what is another's share."""
    relays, environments = tx.leases.all()
    if me not in relays or _is_due(relays[me], now) or set(relays[me].serves) != set(serves):
        tx.leases.appear(me, serves, now, now + LASTS)
    serving = {who: row.serves for who, row in relays.items() if row.until > now and who != me}
    # What ran out and was taken by nobody is still of the same epoch.
    mine = {name: row for name, row in environments.items() if row.holder == me and name in serves}
    holder = {name: row.holder for name, row in environments.items() if row.holder and row.until > now}
    standing = Standing({**serving, me: tuple(serves)}, {**holder, **dict.fromkeys(mine, me)})
    leaves = to_release(me, standing, busy)
    if leaves is not None:
        tx.leases.release(leaves, me, now)
        del mine[leaves]
    held = {name: _renewed(tx, name, me, row, now) for name, row in mine.items()}
    for name in to_take(me, standing):
        epoch = environments[name].epoch + 1 if name in environments else 1
        tx.leases.hold(name, me, epoch, now + LASTS)
        held[name] = Mine(epoch, now + LASTS)
    return Looked(
        mine=held,
        others={name: who for name, who in holder.items() if who != me},
        served=_served(serving, environments, now),
        uneven=leaves is None and to_release(me, standing, ()) is not None,
        at=now,
    )


def _served(
    serving: Mapping[str, Collection[str]], environments: Mapping[str, Row], now: datetime
) -> frozenset[str]:
    recently = (name for name, row in environments.items() if row.until > now - MISSED_AFTER)
    return frozenset(recently).union(*serving.values())


def _is_due(row: Row, now: datetime) -> bool:
    return row.until - now <= LASTS - RENEWED_AFTER


def _renewed(tx: Transaction, name: str, me: str, row: Row, now: datetime) -> Mine:
    if not _is_due(row, now):
        return Mine(row.epoch, row.until)
    tx.leases.hold(name, me, row.epoch, now + LASTS)
    return Mine(row.epoch, now + LASTS)
