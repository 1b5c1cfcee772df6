"""Who holds what, by name, and until when."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, bindparam, delete, select, update

from relay.store.dialects import upsert
from relay.store.statement import Statement
from relay.store.tables import Instant
from relay.store.tables import leases as t

_FORGOTTEN_AFTER = timedelta(minutes=5)
_ALIVE = "relay/"
_ENVIRONMENT = "environment/"

_EVERY = select(t.c.name, t.c.holder, t.c.epoch, t.c.until, t.c.serves)
_EPOCH = Statement(select(t.c.epoch).where(t.c.name == bindparam("which"), t.c.holder == bindparam("who")))
_PUT = upsert(t)
_KEEP = _PUT.on_conflict_do_update(
    index_elements=["name"],
    set_={name: _PUT.excluded[name] for name in ("holder", "epoch", "until", "serves")},
)
_RELEASE = (
    update(t)
    .where(t.c.name == bindparam("which"), t.c.holder == bindparam("who"))
    .values(holder="", until=bindparam("now", type_=Instant))
)
_FORGET = delete(t).where(t.c.name.startswith(_ALIVE), t.c.until < bindparam("before", type_=Instant))


@dataclass(frozen=True)
class Row:
    """One lease as it stands, whether it has run out or not; the holder is empty once it was released."""

    holder: str
    epoch: int
    until: datetime
    serves: tuple[str, ...] = ()


class Leases:
    """Reads and writes leases within one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def all(self) -> tuple[dict[str, Row], dict[str, Row]]:
        """Return those of relays, by whose they are, and those of environments, by their names."""
        relays, environments = {}, {}
        for row in self._connection.execute(_EVERY):
            found = Row(row.holder, row.epoch, row.until, tuple(row.serves))
            if row.name.startswith(_ALIVE):
                relays[row.holder] = found
            else:
                environments[row.name.removeprefix(_ENVIRONMENT)] = found
        return relays, environments

    def appear(self, who: str, serves: Collection[str], now: datetime, until: datetime) -> None:
        """Be known to be alive until then, and forget who has not been for long."""
        row = {"name": _ALIVE + who, "holder": who, "epoch": 0, "until": until, "serves": sorted(serves)}
        self._connection.execute(_KEEP, row)
        self._connection.execute(_FORGET, {"before": now - _FORGOTTEN_AFTER})

    def hold(self, environment: str, who: str, epoch: int, until: datetime) -> None:
        """Have an environment held until then."""
        row = {
            "name": _ENVIRONMENT + environment,
            "holder": who,
            "epoch": epoch,
            "until": until,
            "serves": [],
        }
        self._connection.execute(_KEEP, row)

    def release(self, environment: str, who: str, now: datetime) -> None:
        """Let go of an environment; not if somebody else has it by now."""
        self._connection.execute(_RELEASE, {"which": _ENVIRONMENT + environment, "who": who, "now": now})

    def leave(self, who: str, now: datetime) -> None:
        """Let go of all that somebody holds, who is no longer alive."""
        left = update(t).where(t.c.holder == who, t.c.name.startswith(_ENVIRONMENT))
        self._connection.execute(left.values(holder="", until=now))
        self._connection.execute(delete(t).where(t.c.name == _ALIVE + who))

    def is_alive(self, who: str, now: datetime) -> bool:
        """Return whether a relay is known to be alive."""
        found = select(t.c.name).where(t.c.name == _ALIVE + who, t.c.until > now)
        return self._connection.execute(found).first() is not None

    def epoch(self, environment: str, who: str) -> int | None:
        """Return in which epoch somebody holds an environment, if nobody else has taken it."""
        row = _EPOCH.run(self._connection, {"which": _ENVIRONMENT + environment, "who": who}).fetchone()
        return None if row is None else int(row[0])
