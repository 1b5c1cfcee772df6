"""Of relays on one database one at a time holds an environment, by the database's clock."""

import asyncio
import contextlib
import io
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta, tzinfo

import pytest

from relay.app import json_log
from relay.app.holding import Holding
from relay.app.stops_elsewhere import StopsElsewhere
from relay.dispatcher import Dispatcher, Doors
from relay.domain.deliveries import Delivered, Delivery, Kind, Outcome, Refused, Retry, State
from relay.domain.leases import LASTS, MISSED_AFTER
from relay.domain.room import Room
from relay.domain.runtime import Runtime
from relay.store import FencedError, Store, Transaction
from tests import postgres
from tests.store.beside import rows
from tests.store.lossy import Lossy

ALL = ("one", "two", "three", "four")
LEASES = "SELECT name, holder, epoch FROM leases WHERE name LIKE 'environment/%' ORDER BY name"


class Relay:
    """What holds environments of one relay, and what it was told of that."""

    def __init__(
        self, store: Store, environments: tuple[str, ...] = ALL, bound: tuple[str, ...] = ()
    ) -> None:
        self.store = store
        self.busy: frozenset[str] = frozenset()
        self.told: list[tuple[frozenset[str], frozenset[str]]] = []
        self.log = io.StringIO()
        self.holding = Holding(
            store, environments, json_log(self.log), busy=lambda: self.busy, bound=bound,
            changed=lambda held, taken: self.told.append((held, taken)),
        )  # fmt: skip

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["Relay"]:
        """Hold until the end, and leave then."""
        await self.holding.begin()
        running = asyncio.create_task(self.holding.run())
        try:
            yield self
        finally:
            running.cancel()
            await asyncio.wait([running])
            await self.holding.leave()

    async def until(self, so: Callable[[], bool]) -> None:
        """Wait until it is so."""
        async with asyncio.timeout(20):
            while not so():  # noqa: ASYNC110 - of two relays, neither tells the other
                await asyncio.sleep(0.02)


@pytest.fixture
async def stores(database_url: str) -> AsyncIterator[list[Store]]:
    """The stores of three relays on one database."""
    opened = [Store.open(database_url) for _ in range(3)]
    yield opened
    for one in opened:
        await one.close()


async def let_run_out(store: Store, who: Store) -> None:
    """Have all that somebody holds have run out a moment ago."""
    past = store.now() - timedelta(seconds=1)

    def work(tx: Transaction) -> None:
        relays, environments = tx.leases.all()
        tx.leases.appear(who.writer, relays[who.writer].serves, past, past)
        for name, row in environments.items():
            if row.holder == who.writer:
                tx.leases.hold(name, who.writer, row.epoch, past)

    await store.transact(work)


async def test_a_relay_with_a_file_holds_everything_and_writes_nothing_of_it(
    file_store: Store, file_url: str
) -> None:
    relay = Relay(file_store)
    async with relay.running():
        assert relay.holding.held == set(ALL)
        assert all(relay.holding.holds(name) for name in (*ALL, "another"))
        assert list(relay.holding.elsewhere()) == []
        await file_store.transact(relay.holding.fence("one"))
    assert rows(file_url, "SELECT count(*) FROM leases") == [(0,)]


async def test_a_relay_that_is_alone_on_a_database_holds_everything_at_once(stores: list[Store]) -> None:
    relay = Relay(stores[0])
    await relay.holding.begin()
    assert relay.holding.held == set(ALL)
    assert relay.told == [(frozenset(ALL), frozenset(ALL))]


async def test_environments_are_shared_out_again_as_relays_come_and_go(stores: list[Store]) -> None:
    first, second, third = (Relay(store) for store in stores)
    async with first.running(), second.running():
        await second.until(lambda: len(second.holding.held) == 2)
        assert len(first.holding.held) == 2
        assert first.holding.held.isdisjoint(second.holding.held)
        async with third.running():
            await third.until(lambda: len(third.holding.held) == 1)
        await first.until(lambda: len(first.holding.held) + len(second.holding.held) == 4)
        assert first.holding.held | second.holding.held == set(ALL)


async def test_what_is_busy_stays_where_it_is(stores: list[Store]) -> None:
    first, second = Relay(stores[0]), Relay(stores[1])
    first.busy = frozenset({"one", "two", "four"})
    async with first.running(), second.running():
        await second.until(lambda: bool(second.holding.held))
        assert second.holding.held == {"three"}
        await first.holding._look()
        assert first.holding.held == {"one", "two", "four"}


async def test_what_is_busy_and_bound_stays_however_long(
    stores: list[Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("relay.app.holding._PATIENCE", 0.0)
    first, second = Relay(stores[0], bound=("one", "two")), Relay(stores[1])
    first.busy = frozenset(ALL)
    async with first.running(), second.running():
        await second.until(lambda: len(second.holding.held) == 2)
        assert first.holding.held == {"one", "two"}


async def test_what_a_relay_does_not_know_is_left_for_who_does_until_nobody_had_it_for_long(
    stores: list[Store],
) -> None:
    newer, older = Relay(stores[0], (*ALL, "new")), Relay(stores[1])
    await newer.holding.begin()
    await newer.holding.leave()
    await older.holding.begin()
    assert not older.holding.holds("new")
    assert "new" in older.holding.elsewhere()
    long_ago = stores[1].now() - MISSED_AFTER - timedelta(seconds=1)
    await stores[1].transact(lambda tx: tx.leases.hold("new", "", 1, long_ago))
    await older.holding._look()
    assert older.holding.holds("new")


async def test_each_new_holder_has_a_greater_epoch_and_the_one_before_stores_nothing_more(
    stores: list[Store], database_url: str
) -> None:
    first, second = Relay(stores[0]), Relay(stores[1])
    await first.holding.begin()
    fence = first.holding.fence("one")
    await stores[0].transact(fence)
    await let_run_out(stores[1], stores[0])
    await second.holding.begin()
    assert second.holding.held == set(ALL)
    assert {(holder, epoch) for _, holder, epoch in rows(database_url, LEASES)} == {(stores[1].writer, 2)}
    # The first one was stopped all the while: it believes still that it holds them.
    assert first.holding.holds("one")
    with pytest.raises(FencedError, match="another relay holds one by now"):
        await stores[0].transact(fence)
    await stores[1].transact(second.holding.fence("one"))
    await first.holding._look()
    assert first.holding.held == set()
    assert first.told[1:] == [(frozenset(), frozenset())]


async def test_what_was_lost_and_taken_back_meanwhile_is_let_go_before_it_is_held_anew(
    stores: list[Store],
) -> None:
    first, second = Relay(stores[0], ("one",)), Relay(stores[1], ("one",))
    await first.holding.begin()
    fence = first.holding.fence("one")
    await let_run_out(stores[1], stores[0])
    await second.holding.begin()
    await second.holding.leave()
    await first.holding._look()
    assert first.told[1:] == [(frozenset(), frozenset()), (frozenset({"one"}), frozenset({"one"}))]
    with pytest.raises(FencedError):
        await stores[0].transact(fence)
    await stores[0].transact(first.holding.fence("one"))


async def test_a_relay_cut_off_from_its_database_lets_go_before_another_may_take_it(
    cutter: Lossy, postgresql: postgres.Server, database_url: str
) -> None:
    far = Store.open(cutter.url(database_url))
    relay = Relay(far)
    async with relay.running():
        began = far.now()
        cutter.shut = True
        cutter.drop()
        await relay.until(lambda: not relay.holding.held)
        assert far.now() - began < LASTS
        [(until,)] = postgresql.run(
            "SELECT min(until) FROM leases", database=postgres.database_of(database_url)
        )
        assert far.now() < datetime.fromtimestamp(until / 1_000_000, UTC)
        assert set(relay.holding.elsewhere()) == set(ALL)
        cutter.shut = False
        await relay.until(lambda: relay.holding.held == set(ALL))
    await far.close()


async def test_who_could_not_look_for_ten_seconds_says_that_it_does_not_know(stores: list[Store]) -> None:
    first, second = Relay(stores[0]), Relay(stores[1])
    await first.holding.begin()
    await second.holding.begin()
    assert second.holding.where("one") == "another relay has its sockets"
    for age, known in ((LASTS - timedelta(seconds=1), True), (LASTS, False)):
        at = stores[1].now() - age
        second.holding._looked = replace(second.holding._looked, at=at)
        unknown = f"which relay has its sockets is not known since {at:%Y-%m-%d %H:%M:%SZ}"
        assert (second.holding.where("one") == "another relay has its sockets") is known
        assert (second.holding.health()["environment one"].words == unknown) is not known
    await second.holding._look()
    assert second.holding.where("one") == "another relay has its sockets"


@pytest.mark.parametrize("wrong", [timedelta(minutes=5), timedelta(minutes=-5)])
async def test_only_the_time_of_the_store_decides(
    stores: list[Store], database_url: str, monkeypatch: pytest.MonkeyPatch, wrong: timedelta
) -> None:
    class WrongClock(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> "WrongClock":
            return cls.fromtimestamp((datetime.now(UTC) + wrong).timestamp(), tz)

    first = Relay(stores[0])
    await first.holding.begin()
    monkeypatch.setattr("relay.store.postgresql.datetime", WrongClock)
    misdated = Store.open(database_url)
    second = Relay(misdated)
    await second.holding.begin()
    assert second.holding.held == set()
    await let_run_out(stores[0], stores[0])
    await second.holding._look()
    assert second.holding.held == set(ALL)
    assert all(second.holding.holds(name) for name in ALL)
    await first.holding._look()
    assert first.holding.held == set()
    await misdated.close()


async def test_deliveries_to_an_environment_are_claimed_where_it_is_held(stores: list[Store]) -> None:
    first, second = Relay(stores[0]), Relay(stores[1])
    await first.holding.begin()
    await second.holding.begin()
    now = stores[0].now()

    def leave(tx: Transaction) -> None:
        for kind, environment in (
            (Kind.MESSAGE, "one"),
            (Kind.STOP, "two"),
            (Kind.CARD, ""),
            (Kind.MESSAGE, "gone"),
        ):
            tx.deliveries.add(
                kind, team_id="T0", ordering_key=f"{kind}/{environment}", subject_id="x", now=now,
                environment=environment,
            )  # fmt: skip

    await stores[0].transact(leave)
    room = Room(elsewhere=frozenset(second.holding.elsewhere()))

    def claim(tx: Transaction, room: Room) -> tuple[list[str], datetime | None]:
        claimed = tx.deliveries.claim(10, now, now + LASTS, room)
        return [one.environment for one in claimed], tx.deliveries.next_due(room)

    # What no configuration has any more is nobody's: whoever looks says so.
    assert await stores[1].transact(lambda tx: claim(tx, room)) == (["", "gone"], None)
    assert (await stores[0].transact(lambda tx: claim(tx, Room())))[0] == ["one", "two"]


async def stopping(store: Store, answer: bool | None) -> tuple[list[Runtime], StopsElsewhere]:
    """Return what stops turns for a relay that does not hold them."""
    stopped: list[Runtime] = []

    async def here(runtime: Runtime) -> bool | None:
        stopped.append(runtime)
        return answer

    return stopped, StopsElsewhere(store, "T0", lambda _: False, here)


@contextlib.asynccontextmanager
async def taking_out(store: Store, stops: StopsElsewhere) -> AsyncIterator[None]:
    """Run what takes stops out."""

    async def others(delivery: Delivery) -> Outcome:
        return Refused("nobody asked for that")

    take = stops.taking(others)
    dispatcher = Dispatcher(
        store, Doors(others, others, others, take, others), clock=store.now, chance=lambda: 0.5,
        log=json_log(io.StringIO()),
    )  # fmt: skip
    store.on_due = dispatcher.wake
    store.listen(lambda *_, **__: None)
    running = asyncio.create_task(dispatcher.run())
    try:
        yield
    finally:
        running.cancel()
        await asyncio.wait([running])
        await dispatcher.finish(5)


@pytest.mark.parametrize("answer", [True, False, None])
async def test_a_stop_from_elsewhere_is_carried_out_by_the_holder_who_says_what_came_of_it(
    stores: list[Store], answer: bool | None
) -> None:
    runtime = Runtime("one", "agent-1", "default")
    _, asked = await stopping(stores[0], None)
    stopped, holder = await stopping(stores[1], answer)
    async with taking_out(stores[1], holder):
        assert await asked.stop_turn(runtime) is answer
    assert stopped == [runtime]


async def test_a_stop_that_no_holder_takes_in_time_is_carried_out_by_none(
    stores: list[Store], database_url: str
) -> None:
    runtime = Runtime("one", "agent-1", "default")
    stopped, stops = await stopping(stores[0], True)
    assert await stops.stop_turn(runtime) is None
    assert rows(database_url, "SELECT state FROM deliveries") == [(State.DROPPED.value,)]
    assert stopped == []


async def test_what_was_let_go_since_it_was_claimed_is_not_sent(stores: list[Store]) -> None:
    relay = Relay(stores[0])
    sent: list[Delivery] = []

    async def send(delivery: Delivery) -> Outcome:
        sent.append(delivery)
        return Delivered({})

    now = stores[0].now()
    delivery = Delivery(
        "dlv_1", "T0", Kind.MESSAGE, "key", "x", "one", {}, State.SENDING, 1, uncertain=False, created_at=now,
        next_attempt_at=None, deadline=None, receipt={}, last_error="",
    )  # fmt: skip
    assert isinstance(await relay.holding.only_here(send)(delivery), Retry)
    await relay.holding.begin()
    assert isinstance(await relay.holding.only_here(send)(delivery), Delivered)
    assert len(sent) == 1


async def test_how_an_environment_is_that_others_hold_is_said(stores: list[Store]) -> None:
    first, second = Relay(stores[0]), Relay(stores[1])
    await first.holding.begin()
    await second.holding.begin()
    words = {health.words for health in second.holding.health().values()}
    assert words == {"another relay has its sockets"}
    assert first.holding.health() == {}
    await first.holding.leave()
    await second.holding._look()
    assert second.holding.health() == {}
    taken = list(map(json.loads, second.log.getvalue().splitlines()))
    assert {(line["event"], line["epoch"]) for line in taken} == {("environment.taken", 2)}
