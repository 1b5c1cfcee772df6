"""Contestant: Bolt, and procrastinate as the queue between the acknowledgement and one shared httpx client.

Configured as its documentation says for many short jobs that wait for a network: one worker with thirty jobs
at once, a connection to the database for each and one more. What is done is deleted.
"""

import asyncio
import os
from typing import Any

from procrastinate import App, PsycopgConnector
from slack_bolt.async_app import AsyncAck

from bench.bolt_acks import bolt
from bench.forwarding import body_of, client, post
from bench.serving import PATH, serve_beside

_AT_ONCE = 30


async def main() -> None:
    """Make the queue's tables, and serve until terminated."""
    url, most = os.environ["DATABASE_URL"], _AT_ONCE + 1
    carrier = App(connector=PsycopgConnector(conninfo=url, min_size=most, max_size=most))
    async with client(kept=_AT_ONCE) as environment, carrier.open_async():

        @carrier.task(name="forward")
        async def forward(body: dict[str, Any]) -> None:
            await post(environment, body)

        app = bolt()

        @app.command("/letta")
        async def letta(ack: AsyncAck, command: dict[str, Any]) -> None:
            await forward.defer_async(body=body_of(command))  # stored first, then acknowledged
            await ack("Queued")

        await carrier.schema_manager.apply_schema_async()
        work = carrier.run_worker_async(
            concurrency=_AT_ONCE, delete_jobs="successful", install_signal_handlers=False
        )
        await serve_beside(work, app.web_app(PATH))


if __name__ == "__main__":
    asyncio.run(main())
