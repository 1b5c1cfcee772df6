"""A store that is closed whatever becomes of the test, and works that come to it in one batch."""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

from relay.store import Store, Transaction


@contextlib.asynccontextmanager
async def store_at(url: str) -> AsyncIterator[Store]:
    """Open the store at a URL until the block ends."""
    made = Store.open(url)
    try:
        yield made
    finally:
        await made.close()


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
