"""The command line on a store in a database: moved there, looked at, and what goes only with a file."""

import json
import sys
import time
from pathlib import Path

import pytest

from relay.domain.deliveries import Kind
from relay.domain.findings import Finding, Level
from relay.domain.store_urls import is_database, store_name
from relay.store import Store, StoreError
from relay.store.examine import examined
from tests import postgres
from tests.crash.relay_process import Said, relay_in_thread
from tests.scenarios.acts import ask_tool
from tests.store.beside import rows
from tests.store.lossy import lossy
from tests.store.records import NOW, by_hand, run, verified
from tests.world import ADA, APPROVALS, GRACE, OPS, World


@pytest.fixture
def empty(postgresql: postgres.Server) -> str:
    """A database with nothing in it."""
    return postgresql.new_database()


@pytest.fixture
async def shared(idle: World, database_url: str) -> World:
    """A world whose relay keeps its store in a database, and runs."""
    idle.variables["RELAY_STORE_URL"] = database_url
    await idle.start_relay()
    return idle


async def moved(world: World, url: str, *more: str) -> Said:
    """Move the store of a world."""
    return await relay_in_thread(world, "store", "copy", url, *more)


async def test_a_store_is_moved_with_all_that_is_in_it_and_a_relay_goes_on_there(
    idle: World, empty: str
) -> None:
    await idle.start_relay()
    card = await ask_tool(idle, {"command": "make \"x\" 'y' \\ ü"})
    idle.environment.offline = True
    await idle.slack.slash(ADA, OPS, "this waits")
    await idle.stop_relay()
    file = idle.variables["RELAY_STORE_URL"]
    said = await moved(idle, empty)
    assert (said.status, said.err) == (0, "")
    tables = ("approvals", "audit", "copies", "deliveries", "messages", "settings")
    for table in tables:
        count = f"SELECT count(*) FROM {table}"  # noqa: S608
        assert rows(empty, count) == rows(file, count), table
    idle.variables["RELAY_STORE_URL"] = empty
    idle.environment.offline = False
    await idle.start_relay()
    assert (await idle.slack.click(GRACE, APPROVALS, card.ts, "approve")).ok
    await idle.card_says("Delivered.")
    await idle.environment.wait_for(
        lambda seen: any(one.last_line == "this waits" for one in seen.received), 20
    )
    await idle.stop_relay()
    assert (await verified(empty, keys=())).problems == []


async def test_what_was_moved_is_counted(idle: World, empty: str) -> None:
    await run(idle.variables["RELAY_STORE_URL"], 3, keys=())
    said = await moved(idle, empty, "--json")
    assert json.loads(said.out) == {"deliveries": 0, "entries": 5, "store": store_name(empty)}
    await run(empty, 2, keys=())  # its numbers go on behind the last
    assert (await verified(empty, keys=())).problems == []


async def test_nothing_is_moved_onto_another_store(idle: World, empty: str) -> None:
    await run(empty, 1, keys=())
    await run(idle.variables["RELAY_STORE_URL"], 1, keys=())
    said = await moved(idle, empty)
    assert said.status == 2
    assert "has a store in it already: name an empty database" in said.problem


async def test_nothing_is_moved_from_under_a_running_relay(here: World, empty: str) -> None:
    said = await moved(here, empty)
    assert said.status == 1
    assert "in use by another relay" in said.problem


async def test_what_cannot_be_moved_is_named_and_then_nothing_is(idle: World, empty: str) -> None:
    file = idle.variables["RELAY_STORE_URL"]
    await run(file, 3, keys=())
    by_hand(file, "UPDATE audit SET number = 'three' WHERE number = 3")
    said = await moved(idle, empty)
    assert said.status == 1
    assert "row 3 of audit, number" in said.problem
    assert rows(empty, "SELECT to_regclass('audit') IS NULL") == [(True,)]


@pytest.mark.parametrize("url", ["sqlite:///other.db", "mysql://host/database"])
async def test_a_store_is_moved_into_a_database_and_nowhere_else(idle: World, url: str) -> None:
    said = await moved(idle, url)
    assert said.status == 2
    assert "goes from a file" in said.problem


async def test_a_file_of_another_version_is_brought_to_this_one_first(idle: World, empty: str) -> None:
    file = idle.variables["RELAY_STORE_URL"]
    await run(file, 1, keys=())
    by_hand(file, "UPDATE alembic_version SET version_num = '0006'")
    said = await moved(idle, empty)
    assert said.status == 2
    assert "start this relay on it once" in said.problem


async def test_a_backup_of_a_database_is_left_to_pg_dump(shared: World, tmp_path: Path) -> None:
    said = await relay_in_thread(shared, "store", "backup", str(tmp_path / "copy.db"))
    assert said.status == 2
    assert "pg_dump" in said.problem
    await shared.stop_relay()


async def test_the_command_line_opens_the_database_beside_the_relay(shared: World) -> None:
    await shared.slack.slash(ADA, OPS, "hello")
    await shared.thread_says("echo: hello")
    for command in (
        ("deliveries", "list"), ("grants", "list"), ("audit", "verify"), ("audit", "export"),
        ("policy", "replay"), ("environments",), ("check",),
    ):  # fmt: skip
        said = await relay_in_thread(shared, *command)
        assert (said.status, said.err) == (0, ""), command
    assert not list(shared.folder.glob("*.sock"))
    await shared.stop_relay()


async def test_where_no_relay_has_been_the_command_line_makes_nothing(idle: World, empty: str) -> None:
    idle.variables["RELAY_STORE_URL"] = empty
    said = await relay_in_thread(idle, "deliveries", "list")
    assert said.status == 1
    assert f"there is no store at {store_name(empty)}" in said.problem
    assert rows(empty, "SELECT to_regclass('audit') IS NULL") == [(True,)]


async def test_a_failed_delivery_is_sent_again_beside_the_relay(shared: World) -> None:
    shared.environment.offline = True
    await shared.slack.slash(ADA, OPS, "hello")
    url = shared.variables["RELAY_STORE_URL"]
    await shared.slack.wait_for(lambda _: rows(url, "SELECT 1 FROM deliveries WHERE away"))
    by_hand(url, "UPDATE deliveries SET state = 'failed', next_attempt_at = NULL WHERE kind = 'message'")
    shared.environment.offline = False
    [(which,)] = rows(url, "SELECT id FROM deliveries WHERE kind = 'message'")
    said = await relay_in_thread(shared, "deliveries", "retry", which)
    assert said.status == 0, said.err
    await shared.thread_says("echo: hello")  # the running relay was told that something is due
    await shared.stop_relay()


def found(url: str) -> dict[str, Finding]:
    """Return what is found of a database."""
    return {one.about: one for one in examined(url, relay_answers=False)}


def test_a_database_is_looked_at_and_left_as_it_is(database_url: str, empty: str) -> None:
    looked = found(database_url)
    assert {one.level for name, one in looked.items() if name != "store durability"} == {Level.OK}
    assert looked["store durability"].level is Level.WARNING  # the tests' own server does not wait
    assert "version" in looked["store schema"].found
    assert "none yet" in found(empty)["store schema"].found
    assert rows(empty, "SELECT to_regclass('audit') IS NULL") == [(True,)]


def test_a_database_of_a_newer_version_is_told(database_url: str) -> None:
    by_hand(database_url, "UPDATE alembic_version SET version_num = '9999'")
    assert "of a newer relay" in found(database_url)["store schema"].found


def test_a_database_that_is_not_there_is_told(postgresql: postgres.Server) -> None:
    [only] = found(postgresql.url("nowhere")).values()
    assert (only.about, only.level) == ("store", Level.WRONG)
    assert 'database "nowhere" does not exist' in only.found


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("sqlite:///relay.db", "sqlite:///relay.db"),
        ("postgresql://ada:secret@db.example:5433/relay?sslmode=require", "postgresql://ada@db.example:5433/relay"),
        ("postgres://db/relay?password=secret", "postgresql://db/relay"),
        ("postgresql://ada:a@b:c@db/relay", "postgresql://ada@db/relay"),
        ("postgresql://ada:secret@one,two:5433/relay", "postgresql://ada@one,two:5433/relay"),
        ("postgresql://ada:[secret@db/relay", "postgresql://ada@db/relay"),
    ],
)  # fmt: skip
def test_a_store_is_named_without_its_secrets(url: str, name: str) -> None:
    assert store_name(url) == name
    assert is_database(url) == name.startswith("postgresql")


async def test_two_relays_of_one_database_answer_alike(database_url: str) -> None:
    one, other = Store.open(database_url), Store.open(database_url)
    which = await one.transact(
        lambda tx: tx.deliveries.add(Kind.CARD, team_id="T0", ordering_key="a", subject_id="a", now=NOW)
    )
    seen = [await store.transact(lambda tx: tx.deliveries.get(which)) for store in (one, other)]
    assert seen[0] == seen[1] is not None
    for store in (one, other):
        await store.close()


@pytest.mark.parametrize("cut", ["before", "after"])
async def test_who_types_while_a_commit_is_cut_is_answered_truly_and_once(
    idle: World, postgresql: postgres.Server, database_url: str, cut: str
) -> None:
    with lossy(postgresql) as cutter:
        idle.variables["RELAY_STORE_URL"] = cutter.url(database_url)
        await idle.start_relay()
        cutter.carrying, cutter.cut = b"message.queued", cut
        ack = await idle.slack.slash(ADA, OPS, "hello there")
        assert "Queued" in str(ack.body)
        await idle.thread_says("echo: hello there")
        assert cutter.cuts == 1
        await idle.stop_relay()
    assert [message.last_line for message in idle.environment.received] == ["hello there"]


async def test_who_types_while_nobody_can_tell_what_was_kept_is_told_that(
    idle: World, postgresql: postgres.Server, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("relay.store.postgresql._PATIENCE_IN_DOUBT", 0.3)
    with lossy(postgresql) as cutter:
        idle.variables["RELAY_STORE_URL"] = cutter.url(database_url)
        await idle.start_relay()
        cutter.carrying, cutter.cut, cutter.shut_after_cut = b"message.queued", "after", True
        await idle.slack.slash(ADA, OPS, "hello there")
        await idle.told(ADA, "it may be sent or not")
        cutter.shut = False
        await idle.thread_says("echo: hello there")  # here it was kept
        await idle.stop_relay()


async def test_a_relay_goes_by_the_clock_of_its_database(
    idle: World, postgresql: postgres.Server, database_url: str
) -> None:
    ahead = "SELECT pg_catalog.clock_timestamp() + interval '5 minutes'"
    name = postgres.database_of(database_url)
    postgresql.run(
        f"CREATE FUNCTION clock_timestamp() RETURNS timestamptz LANGUAGE sql AS $$ {ahead} $$",
        f"ALTER DATABASE {name} SET search_path = public, pg_catalog",
        database=name,
    )
    idle.variables["RELAY_STORE_URL"] = database_url
    await idle.start_relay()
    await idle.slack.slash(ADA, OPS, "hello")
    await idle.thread_says("echo: hello")
    await idle.stop_relay()
    [(made, settled)] = rows(database_url, "SELECT created_at, settled_at FROM messages")
    assert made <= settled
    assert 4 * 60 < made / 1_000_000 - time.time() < 6 * 60


def test_without_the_driver_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("relay.store.postgresql", "relay.store.examine_database"):
        monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.delattr("relay.store.examine_database", raising=False)
    with pytest.raises(StoreError, match=r"needs psycopg .*: \.venv/bin/pip install -e '\.\[postgresql\]'"):
        Store.open("postgresql://relay@host/relay")
    [only] = examined("postgresql://relay@host/relay", relay_answers=False)
    assert (only.level, only.fix) == (
        Level.WRONG,
        "Run, in the checkout of relay: .venv/bin/pip install -e '.[postgresql]'",
    )
