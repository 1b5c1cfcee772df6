"""Contestant: Bolt, and PgQueuer as the queue between the acknowledgement and one shared httpx client.

Configured as its documentation says for throughput: asyncpg, a pool for what is put in and a connection of
its own for the worker, its settings for autovacuum. Durable and in batches of ten, as it is by default: with
larger ones, and more jobs at once, a command took more processor time here.
"""

import asyncio
import json
import os
from typing import Any

import asyncpg  # type: ignore[import-untyped] # brings no types
from pgqueuer import PgQueuer
from pgqueuer.db import AsyncpgPoolDriver
from pgqueuer.models import Job
from pgqueuer.queries import Queries
from slack_bolt.async_app import AsyncAck

from bench.bolt_acks import bolt
from bench.forwarding import body_of, client, post
from bench.serving import PATH, serve_beside

_POOL = 20
_BATCH, _AT_ONCE = 10, 20


async def main() -> None:
    """Make the queue's tables, and serve until terminated."""
    url = os.environ["DATABASE_URL"]
    async with (
        client(kept=_AT_ONCE) as environment,
        asyncpg.create_pool(url, min_size=_POOL, max_size=_POOL) as pool,
    ):
        puts = Queries(AsyncpgPoolDriver(pool))
        await puts.install()
        await puts.optimize_autovacuum()
        own = await asyncpg.connect(url)
        carrier = PgQueuer.from_asyncpg_connection(own)

        @carrier.entrypoint("forward")
        async def forward(carried: Job) -> None:
            await post(environment, json.loads(carried.payload or b""))

        app = bolt()

        @app.command("/letta")
        async def letta(ack: AsyncAck, command: dict[str, Any]) -> None:
            await puts.enqueue("forward", json.dumps(body_of(command)).encode())  # stored first
            await ack("Queued")

        work = carrier.run(batch_size=_BATCH, max_concurrent_tasks=_AT_ONCE)
        try:
            await serve_beside(work, app.web_app(PATH))
        finally:
            await own.close()


if __name__ == "__main__":
    asyncio.run(main())
