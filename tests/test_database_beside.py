"""The command line on a database that relays may be at work on: it migrates nothing, and asks the store."""

import json
from datetime import timedelta

import pytest

from relay.domain.deliveries import Kind
from relay.store import Store, Transaction
from tests.crash.relay_process import Said, relay_in_thread
from tests.store.beside import change, rows
from tests.store.records import NOW
from tests.world import World

VERSION = "SELECT version_num FROM alembic_version"


@pytest.fixture
def there(idle: World, database_url: str) -> World:
    """A world whose store is in a database, and whose relay is not asked."""
    idle.variables["RELAY_STORE_URL"] = database_url
    return idle


@pytest.mark.parametrize(
    "command", [("deliveries", "list"), ("grants", "list"), ("audit", "verify"), ("environments",)]
)
@pytest.mark.parametrize(
    ("version", "words"), [("0008", "Start relay of this version first"), ("9999", "Run that version.")]
)
async def test_a_database_of_another_version_is_refused_and_left_as_it_is(
    there: World, database_url: str, command: tuple[str, ...], version: str, words: str
) -> None:
    change(database_url, f"UPDATE alembic_version SET version_num = '{version}'")  # noqa: S608
    said = await relay_in_thread(there, *command)
    assert said.status == 1
    assert words in said.problem and version in said.problem
    assert rows(database_url, VERSION) == [(version,)]


async def test_a_newer_database_that_this_version_works_with_is_opened(
    there: World, database_url: str
) -> None:
    change(
        database_url, "UPDATE alembic_version SET version_num = '9999'",
        "INSERT INTO settings (name, value) VALUES ('readable_from/9999', '0010')",
    )  # fmt: skip
    said = await relay_in_thread(there, "deliveries", "list")
    assert (said.status, said.err) == (0, "")


def some_are_held_back(tx: Transaction) -> None:
    """Leave three that wait for their environment, one for another, and one that waits for nothing."""
    for number, environment in enumerate(("default", "default", "default", "other", "default")):
        tx.deliveries.add(
            Kind.MESSAGE,
            team_id="T0",
            ordering_key=f"key/{number}",
            subject_id="",
            now=NOW,
            environment=environment,
        )


async def left(url: str, *, until: timedelta | None) -> None:
    """Have deliveries held back, and a relay that holds the environment until then."""
    store = Store.open(url)
    await store.transact(some_are_held_back)
    change(url, "UPDATE deliveries SET away = true WHERE ordering_key <> 'key/4'")
    change(url, "UPDATE deliveries SET last_error = 'the device is gone' WHERE ordering_key = 'key/1'")
    change(
        url, "UPDATE deliveries SET last_error = 'another reason' WHERE ordering_key IN ('key/3', 'key/4')"
    )
    if until is not None:
        end = store.now() + until
        await store.transact(lambda tx: tx.leases.hold("default", "writer/1", 1, end))
    await store.close()


async def test_what_is_held_back_and_that_a_relay_listens_is_read_in_the_store(
    there: World, database_url: str
) -> None:
    await left(database_url, until=timedelta(minutes=1))
    [found] = json.loads((await relay_in_thread(there, "environments", "--json")).out)["environments"]
    assert found["held"] == {"count": 3, "reason": "the device is gone", "since": None}
    assert (found["conversations"], found["elsewhere"]) == (None, "a relay has its sockets")
    assert (listens(await relay_in_thread(there, "environments"))) == (
        "-", "deliveries held back (3): the device is gone",
    )  # fmt: skip


@pytest.mark.parametrize("until", [None, timedelta(seconds=-1)])
async def test_where_no_relay_holds_an_environment_nobody_listens(
    there: World, database_url: str, until: timedelta | None
) -> None:
    await left(database_url, until=until)
    change(database_url, "DELETE FROM deliveries")
    [found] = json.loads((await relay_in_thread(there, "environments", "--json")).out)["environments"]
    assert (found["conversations"], found["held"]) == ([], None)
    assert listens(await relay_in_thread(there, "environments")) == (
        "0", "no relay has its sockets at the moment",
    )  # fmt: skip


def listens(said: Said) -> tuple[str, str]:
    """Return what stands below LISTENS TO and WHY."""
    heads, row = said.out.splitlines()
    at, why = heads.index("LISTENS TO"), heads.index("WHY")
    return row[at : heads.index("PENDING")].strip(), row[why:]
