"""What a claim costs when much waits: the work in which the dispatcher takes what it sends next."""

from dataclasses import dataclass
from datetime import datetime
from functools import partial
from statistics import median
from time import perf_counter

from bench.goals import goal_line, ratio
from relay.domain.circuits import Hold
from relay.domain.deliveries import LEASE, Delivered, Delivery, Kind
from relay.domain.room import Room
from relay.store import Store, Transaction
from relay.use_cases.hold_back import hold_back
from relay.use_cases.settle_delivery import claim_deliveries, settle_delivery

TEAM = "T0BENCH00"
FEW, MANY = 100, 10_000
_MOST = 64  # as many as the dispatcher claims at once
_CLAIMS = 50
_AT_ONCE = 500


@dataclass(frozen=True)
class Claimed:
    """Seconds that a claim took with few and with many waiting, on one engine."""

    engine: str
    few: float
    many: float


async def claims(engine: str, few: str, many: str) -> Claimed:
    """Measure it in two empty stores, named by their URLs, in turns."""
    backlogs = [await _Backlog.open(few, FEW), await _Backlog.open(many, MANY)]
    taken: list[list[float]] = [[], []]
    try:
        for _ in range(_CLAIMS):
            for backlog, own in zip(backlogs, taken, strict=True):
                own.append(await backlog.claim())
    finally:
        for backlog in backlogs:
            await backlog.store.close()
    return Claimed(engine, median(taken[0]), median(taken[1]))


def report(found: Claimed) -> str:
    """Return what the goal's line does not say."""
    title = f"a claim, {found.engine}"
    beside = f"with {MANY:,} waiting {found.many * 1e3:.2f} ms"
    return f"{title:33} {FEW} waiting {found.few * 1e3:.2f} ms; {beside}"


def goal(found: Claimed) -> str:
    """Return the goal's line."""
    name = f"claim-10000-vs-100-{found.engine.lower()}"
    return goal_line(name, ratio(found.many, found.few), "<=", 1.2)


class _Backlog:
    """A store in which always as many messages wait, all of them due: no two of one conversation."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._made = 0

    @classmethod
    async def open(cls, url: str, count: int) -> "_Backlog":
        backlog = cls(Store.open(url))
        while backlog._made < count:
            numbers = backlog.next(min(_AT_ONCE, count - backlog._made))
            await backlog.store.transact(partial(_add, numbers=numbers, now=backlog.store.now()))
        return backlog

    def next(self, count: int) -> range:
        """Return the numbers of some more messages."""
        first, self._made = self._made, self._made + count
        return range(first, self._made)

    async def claim(self) -> float:
        """Return how long one claim takes, but for its commit; then it is done, and as many wait again."""
        claimed, taken = await self.store.transact(partial(_claim, now=self.store.now()))
        assert len(claimed) == _MOST
        numbers, now = self.next(_MOST), self.store.now()
        await self.store.transact(partial(_replace, claimed=claimed, numbers=numbers, now=now))
        return taken


def _add(tx: Transaction, numbers: range, now: datetime) -> None:
    for number in numbers:
        body = {
            "agent_id": "agent-bench",
            "conversation_id": f"conv-{number}",
            "content": f"Grace (U0BENCH000) in #bench:\n\ndeploy the site, please (number {number})",
        }
        tx.deliveries.add(
            Kind.MESSAGE, team_id=TEAM, ordering_key=f"conversation/{number}",
            subject_id=f"msg_{number}", environment="default", body=body, now=now,
        )  # fmt: skip


def _replace(tx: Transaction, claimed: list[Delivery], numbers: range, now: datetime) -> None:
    for delivery in claimed:
        settle_delivery(tx, delivery, Delivered({}), now, 0.5)
    _add(tx, numbers, now)


def _claim(tx: Transaction, now: datetime) -> tuple[list[Delivery], float]:
    """Do what the dispatcher does in a claim while nothing is under way; return the seconds, too."""
    began, room = perf_counter(), Room()
    tx.deliveries.renew({}, now + LEASE)
    hold_back(tx, Hold(), room, now)
    claimed = claim_deliveries(tx, _MOST, now, room)
    tx.deliveries.next_due(room)
    return claimed, perf_counter() - began
