"""A store that is closed whatever becomes of the test, and works that come to it in one batch."""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection

from relay.store import Store, Transaction, schema
from relay.store.opening import place_at


@contextlib.asynccontextmanager
async def store_at(url: str) -> AsyncIterator[Store]:
    """Open the store at a URL until the block ends."""
    made = Store.open(url)
    try:
        yield made
    finally:
        await made.close()


@contextlib.contextmanager
def begun_at(url: str) -> Iterator[Connection]:
    """Begin a transaction on the database at a URL, and commit it where the block ends well."""
    place = place_at(url)
    place.open()
    try:
        with place.engine.begin() as begun:
            yield begun
    finally:
        place.close()


def migrate(connection: Connection, revision: str) -> None:
    """Bring a database to a revision of the schema by the migrations, as an older relay did."""
    settings = Config()
    settings.set_main_option("script_location", str(Path(schema.__file__).parent / "migrations"))
    settings.attributes["connection"] = connection
    command.upgrade(settings, revision)


async def together(store: Store, *works: Callable[[Transaction], Any]) -> list[Any]:
    """Run works in one batch: the writer is held by a first work until all of them wait."""
    entered, held = threading.Event(), threading.Event()

    def hold(_: Transaction) -> None:
        entered.set()
        held.wait(5)

    first = asyncio.create_task(store.transact(hold))
    await asyncio.to_thread(entered.wait, 5)
    rest = [asyncio.create_task(store.transact(work)) for work in works]
    await asyncio.sleep(0)
    held.set()
    await first
    return list(await asyncio.gather(*rest, return_exceptions=True))
