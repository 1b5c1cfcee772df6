"""A store in a PostgreSQL database: lost connections, other relays beside this one, and its clock."""

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial

import psycopg
import pytest

from relay.domain.deliveries import LEASE, Kind
from relay.store import DoubtError, Store, StoreError, Transaction
from relay.store.opening import place_at
from relay.store.postgresql import _TURN, Clock
from relay.store.schema import upgrade
from tests import postgres
from tests.store.beside import rows
from tests.store.lossy import Lossy
from tests.store.records import verified
from tests.store.stores import migrate, store_at

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.fixture
async def far(cutter: Lossy, database_url: str) -> AsyncIterator[Store]:
    """A store behind it."""
    async with store_at(cutter.url(database_url)) as made:
        yield made


@pytest.fixture
async def one(database_url: str) -> AsyncIterator[Store]:
    """The store of one relay."""
    async with store_at(database_url) as made:
        yield made


@pytest.fixture
async def other(database_url: str) -> AsyncIterator[Store]:
    """The store of another relay, on the same database."""
    async with store_at(database_url) as made:
        yield made


@pytest.fixture(scope="module")
def mortal() -> Iterator[postgres.Server]:
    """A server that may be stopped and started: it syncs to the disk."""
    with postgres.server(fsync=True) as made:
        yield made


def record(action: str) -> Callable[[Transaction], str]:
    """Return a work that records something, and says what."""

    def work(tx: Transaction) -> str:
        tx.record("T0", NOW, action)
        return action

    return work


def recorded(url: str) -> list[str]:
    """Return what is on the record, without openings and ends."""
    found = rows(url, "SELECT action FROM audit WHERE number > 1 AND team_id = 'T0' ORDER BY seq")
    return [action for (action,) in found]


@pytest.mark.parametrize("cut", ["before", "after"])
async def test_a_commit_whose_connection_is_cut_is_kept_once_and_answered(
    far: Store, cutter: Lossy, database_url: str, cut: str
) -> None:
    await far.transact(record("first"))
    cutter.cut = cut
    answers = await asyncio.gather(*(far.transact(record(f"work {number}")) for number in range(20)))
    assert cutter.cuts == 1
    assert answers == [f"work {number}" for number in range(20)]
    await far.transact(record("last"))
    assert recorded(database_url) == ["first", *answers, "last"]
    assert (await verified(database_url, keys=())).problems == []


async def test_the_first_entry_of_a_chain_may_be_lost_and_kept_as_well(
    far: Store, cutter: Lossy, database_url: str
) -> None:
    cutter.cut = "after"
    await far.transact(record("first"))
    await far.transact(record("second"))
    assert recorded(database_url) == ["first", "second"]
    assert (await verified(database_url, keys=())).problems == []


@pytest.mark.parametrize(("cut", "kept"), [("before", False), ("after", True)])
@pytest.mark.parametrize("begun", [False, True])
async def test_where_nobody_can_be_asked_what_was_kept_the_waiter_is_told_so_and_may_bring_it_again(
    far: Store, cutter: Lossy, database_url: str, monkeypatch: pytest.MonkeyPatch,
    cut: str, kept: bool, begun: bool,
) -> None:  # fmt: skip
    def arrive(tx: Transaction) -> bool:
        new = tx.first_time("T0", "arrival", NOW)
        if new:
            tx.record("T0", NOW, "message.queued")
        return new

    if begun:
        await far.transact(record("before"))
    for patience in ("_PATIENCE", "_PATIENCE_IN_DOUBT"):
        monkeypatch.setattr(f"relay.store.postgresql.{patience}", 0.3)
    cutter.cut, cutter.shut_after_cut = cut, True
    with pytest.raises(DoubtError, match="may be kept"):
        await far.transact(arrive)
    for _ in range(2):  # what comes next was not in that commit, whatever became of it
        with pytest.raises(StoreError, match="cannot be reached"):
            await far.transact(record("never"))
    cutter.shut = False
    assert await far.transact(record("next")) == "next"
    assert await far.transact(arrive) is not kept
    await far.transact(record("after"))
    arrived = ["message.queued", "next"] if kept else ["next", "message.queued"]
    assert recorded(database_url) == [*(["before"] if begun else []), *arrived, "after"]
    assert (await verified(database_url, keys=())).problems == []


async def test_a_connection_that_is_lost_between_works_is_opened_again_unseen(
    far: Store, cutter: Lossy, database_url: str
) -> None:
    for number in range(3):
        await far.transact(record(str(number)))
        cutter.drop()
    assert recorded(database_url) == ["0", "1", "2"]


async def test_a_connection_lost_in_the_middle_of_works_runs_them_again(
    far: Store, cutter: Lossy, database_url: str
) -> None:
    runs: list[int] = []

    def lose(tx: Transaction) -> None:
        runs.append(len(runs))
        if len(runs) == 1:
            cutter.drop()
        tx.record("T0", NOW, "lost once")

    await asyncio.gather(far.transact(record("before")), far.transact(lose), far.transact(record("after")))
    assert len(runs) == 2
    assert sorted(recorded(database_url)) == ["after", "before", "lost once"]


async def test_without_its_database_a_store_says_so_soon_and_goes_on_when_it_is_back(
    far: Store, cutter: Lossy, database_url: str
) -> None:
    cutter.shut = True
    cutter.drop()
    began = time.monotonic()
    with pytest.raises(StoreError, match="the database cannot be reached"):
        await far.transact(record("lost"))
    assert time.monotonic() - began < 3
    cutter.shut = False
    await far.transact(record("kept"))
    assert recorded(database_url) == ["kept"]


@pytest.mark.parametrize("crash", [True, False], ids=["crash", "restart"])
async def test_a_server_that_is_started_anew_under_load_loses_and_doubles_nothing(
    mortal: postgres.Server, crash: bool
) -> None:
    url = mortal.new_database()
    store = Store.open(url)
    stored: list[str] = []
    progress = asyncio.Condition()

    async def keep_storing(name: int) -> None:
        for number in range(60):
            action = f"{name}/{number}"
            while True:
                try:
                    stored.append(await store.transact(once(action)))
                    break
                except StoreError:
                    continue  # it says so only after a while
            async with progress:
                progress.notify_all()

    async def more(count: int) -> None:
        wanted = len(stored) + count
        async with progress:
            await progress.wait_for(lambda: len(stored) >= wanted)

    load = asyncio.gather(*(keep_storing(name) for name in range(8)))
    for _ in range(2):
        await more(40)
        await asyncio.to_thread(partial(mortal.stop, crash=crash))
        await asyncio.to_thread(mortal.start)
    await load
    await store.close()
    assert len(stored) == 480
    assert sorted(recorded(url)) == sorted(stored)
    assert (await verified(url, keys=())).problems == []


def once(action: str) -> Callable[[Transaction], str]:
    """Return a work that records an arrival which may come again."""

    def work(tx: Transaction) -> str:
        if tx.first_time("T0", action, NOW):
            tx.record("T0", NOW, action)
        return action

    return work


async def test_what_is_read_by_one_relay_is_still_so_when_it_writes(one: Store, other: Store) -> None:
    """A work that reads and then writes, of two relays at once: no count is lost."""

    def count(tx: Transaction) -> None:
        taken = sum(tx.seen_before("T0", f"number/{number}") for number in range(50))
        assert tx.first_time("T0", f"number/{taken}", NOW)

    works = [store.transact(count) for _ in range(25) for store in (one, other)]
    await asyncio.gather(*works)


async def test_of_two_relays_each_delivery_is_claimed_by_one_and_in_its_order(
    one: Store, other: Store
) -> None:
    def add(tx: Transaction) -> None:
        for key in range(10):
            tx.deliveries.add(Kind.REPLY, team_id="T0", ordering_key=f"key/{key}", subject_id="", now=NOW)

    await asyncio.gather(*(store.transact(add) for _ in range(10) for store in (one, other)))
    claims = [
        store.transact(lambda tx: tx.deliveries.claim(3, NOW, NOW + LEASE))
        for _ in range(5)
        for store in (one, other)
    ]
    claimed = [delivery for part in await asyncio.gather(*claims) for delivery in part]
    assert len({delivery.ordering_key for delivery in claimed}) == len(claimed) == 10


async def test_two_relays_that_start_at_once_make_one_store(postgresql: postgres.Server) -> None:
    url = postgresql.new_database()
    stores = await asyncio.gather(*(asyncio.to_thread(Store.open, url) for _ in range(4)))
    assert len({store.key for store in stores}) == 1
    await asyncio.gather(*(store.transact(record("one")) for store in stores))
    for store in stores:
        await store.close()
    found = await verified(url, keys=())
    assert (found.problems, len(found.chains)) == ([], 4)


async def test_a_relay_that_is_stopped_in_its_turn_loses_it_and_takes_another(
    one: Store, other: Store, database_url: str
) -> None:
    entered, go_on = threading.Event(), threading.Event()

    def hang(tx: Transaction) -> None:
        tx.record("T0", NOW, "hung")
        entered.set()
        assert go_on.wait(20)

    hanging = asyncio.create_task(one.transact(hang))
    await asyncio.to_thread(entered.wait)
    await other.transact(record("meanwhile"))
    go_on.set()
    await hanging
    assert recorded(database_url) == ["meanwhile", "hung"]


class Woken:
    """Takes what a store says when something is due."""

    def __init__(self, store: Store) -> None:
        self.told: asyncio.Queue[bool] = asyncio.Queue()
        self.warned: list[str] = []
        store.on_due = lambda *, urgent: self.told.put_nowait(urgent)
        store.listen(lambda event, **_: self.warned.append(event))

    async def next(self) -> bool:
        async with asyncio.timeout(30):
            return await self.told.get()


def leave(kind: Kind) -> Callable[[Transaction], str]:
    """Return a work that leaves something to deliver."""
    return lambda tx: tx.deliveries.add(kind, team_id="T0", ordering_key=kind, subject_id="", now=NOW)


async def test_what_one_relay_leaves_wakes_the_others(one: Store, other: Store) -> None:
    woken = Woken(other)
    assert await woken.next()  # once it listens: for what was left before
    await one.transact(leave(Kind.CARD))
    assert await woken.next()
    await one.transact(leave(Kind.MESSAGE))
    assert not await woken.next()
    assert woken.warned == []


async def test_what_others_say_on_the_channel_stops_nobody_from_hearing(
    postgresql: postgres.Server, one: Store, other: Store, database_url: str
) -> None:
    woken = Woken(other)
    assert await woken.next()
    said = ("NOTIFY relay_due", "NOTIFY relay_due, 'writer/of-tomorrow something new'")
    postgresql.run(*said, database=postgres.database_of(database_url))
    await one.transact(leave(Kind.CARD))
    assert await woken.next()
    assert woken.told.empty()


async def test_a_change_of_who_is_served_wakes_the_others_for_that_alone(one: Store, other: Store) -> None:
    served = asyncio.Event()
    other.on_served = served.set
    woken = Woken(other)
    assert await woken.next()
    await served.wait()  # perhaps: once it listens
    served.clear()
    await one.transact(leave(Kind.CARD))
    assert await woken.next()
    assert not served.is_set()
    await one.transact(lambda tx: tx.installations.restore("T0", "why"))
    async with asyncio.timeout(30):
        await served.wait()
    assert woken.told.empty()


async def test_who_cannot_be_woken_looks_every_second_and_says_so_once(
    cutter: Lossy, one: Store, database_url: str
) -> None:
    cutter.mute = True
    deaf = Store.open(cutter.url(database_url))
    woken = Woken(deaf)
    await one.transact(leave(Kind.CARD))
    for _ in range(2):
        assert not await woken.next()
    assert woken.warned == ["store.polling"]
    await deaf.close()


async def test_who_lost_the_connection_it_listens_on_listens_again(
    cutter: Lossy, one: Store, database_url: str
) -> None:
    far = Store.open(cutter.url(database_url))
    woken = Woken(far)
    assert await woken.next()
    cutter.drop()
    while not await woken.next():
        pass  # it looks for what was left while nobody could tell
    await one.transact(leave(Kind.CARD))
    assert await woken.next()
    await far.close()


async def test_time_is_the_database_s_whatever_this_machine_s_clock_says(
    postgresql: postgres.Server, database_url: str
) -> None:
    name = postgres.database_of(database_url)
    ahead = "SELECT pg_catalog.clock_timestamp() + interval '5 minutes'"
    postgresql.run(
        f"CREATE FUNCTION clock_timestamp() RETURNS timestamptz LANGUAGE sql AS $$ {ahead} $$",
        f"ALTER DATABASE {name} SET search_path = public, pg_catalog",
        database=name,
    )
    store = Store.open(database_url)
    first = store.now()
    await store.transact(record("one"))
    assert timedelta(minutes=4) < store.now() - datetime.now(UTC) < timedelta(minutes=6)
    assert timedelta(0) <= store.now() - first < timedelta(minutes=1)
    await store.close()


def test_the_clock_goes_on_between_two_readings() -> None:
    clock = Clock()
    clock.set(NOW)
    first = clock()
    assert NOW <= first <= clock() < NOW + timedelta(minutes=1)


async def test_a_character_that_postgresql_cannot_keep_is_replaced(one: Store) -> None:
    await one.transact(lambda tx: tx.first_time("T0", "a\0b", NOW))
    assert await one.transact(lambda tx: tx.seen_before("T0", "a\N{REPLACEMENT CHARACTER}b"))
    assert await one.transact(lambda tx: tx.seen_before("T0", "a\0b"))


async def test_what_is_answered_is_durable_though_the_server_settles_for_less(
    postgresql: postgres.Server, database_url: str
) -> None:
    postgresql.run(f"ALTER DATABASE {postgres.database_of(database_url)} SET synchronous_commit = 'off'")
    store = Store.open(database_url)

    def ask(tx: Transaction) -> object:
        return tx.connection.exec_driver_sql("SHOW synchronous_commit").scalar()

    assert await store.transact(ask) == "on"
    await store.close()


async def test_a_work_that_only_reads_writes_nothing(one: Store, database_url: str) -> None:
    stamps = "SELECT key, seen_at FROM seen ORDER BY key"
    before = rows(database_url, stamps)
    await one.transact(lambda tx: tx.seen_before("T0", "anything"))
    assert rows(database_url, stamps) == before
    await one.transact(record("one"))
    assert rows(database_url, stamps) != before


async def test_a_database_that_is_not_there_is_named_without_its_password(
    postgresql: postgres.Server,
) -> None:
    url = postgresql.url("nowhere").replace("relay@", "relay:hunter2@")
    with pytest.raises(StoreError, match='database "nowhere" does not exist') as refused:
        Store.open(url)
    assert "postgresql://relay@" in str(refused.value)
    assert "hunter2" not in str(refused.value)


async def test_a_database_that_cannot_keep_every_word_is_refused(postgresql: postgres.Server) -> None:
    postgresql.run("CREATE DATABASE narrow TEMPLATE template0 ENCODING 'SQL_ASCII'")
    with pytest.raises(StoreError, match="its encoding is SQL_ASCII: create it with ENCODING 'UTF8'"):
        Store.open(postgresql.url("narrow"))


async def test_behind_a_pooler_that_mixes_up_its_servers_nothing_is_prepared_any_more(one: Store) -> None:
    runs: list[int | None] = []

    def miss(tx: Transaction) -> None:
        driver = tx.connection.connection.driver_connection
        assert isinstance(driver, psycopg.Connection)
        runs.append(driver.prepare_threshold)
        if len(runs) == 1:
            tx.connection.exec_driver_sql("EXECUTE prepared_on_another_server")

    await one.transact(miss)
    await one.transact(miss)
    assert runs == [5, None, None]


def test_a_url_that_postgresql_does_not_take_is_refused() -> None:
    with pytest.raises(StoreError, match="none of PostgreSQL's"):
        Store.open("postgresql://relay@host/db?nonsense=1")


async def test_the_turn_is_free_when_a_store_is_closed(one: Store, database_url: str) -> None:
    await one.transact(record("one"))
    with psycopg.connect(database_url) as another:
        found = another.execute("SELECT pg_try_advisory_xact_lock(%s)", [_TURN]).fetchone()
    assert found == (True,)


_BEGUN = (
    "BEGIN",
    "SET LOCAL idle_in_transaction_session_timeout = '5s'",
    f"SELECT pg_advisory_xact_lock({_TURN})",
)


def _stop_within_a_pipeline(stopped: "psycopg.Connection[object]") -> None:
    stopped.pgconn.enter_pipeline_mode()
    for statement in _BEGUN:
        stopped.pgconn.send_query_params(statement.encode(), None)
    stopped.pgconn.send_flush_request()
    stopped.pgconn.flush()


def _stop_between_statements(stopped: "psycopg.Connection[object]") -> None:
    for statement in _BEGUN:
        stopped.execute(statement)


@pytest.mark.parametrize("stop", [_stop_within_a_pipeline, _stop_between_statements])
async def test_who_stops_in_the_middle_of_its_turn_loses_it(
    one: Store, database_url: str, stop: Callable[["psycopg.Connection[object]"], None]
) -> None:
    taken = "SELECT granted FROM pg_locks WHERE locktype = 'advisory'"
    with contextlib.closing(psycopg.connect(database_url, autocommit=True)) as stopped:
        stop(stopped)
        while rows(database_url, taken) != [(True,)]:  # noqa: ASYNC110 - the server tells nobody
            await asyncio.sleep(0.01)
        assert await one.transact(record("after all")) == "after all"
    assert recorded(database_url) == ["after all"]


def test_a_migration_takes_as_long_as_it_takes(postgresql: postgres.Server) -> None:
    place = place_at(postgresql.new_database())
    place.open()
    with place.engine.begin() as connection:
        migrate(connection, "0009")
    with place.engine.begin() as connection:
        assert upgrade(connection)
        assert connection.exec_driver_sql("SHOW statement_timeout").scalar() == "0"
    place.close()
