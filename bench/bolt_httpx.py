"""Contestant: Bolt and one shared httpx client with their defaults, as people write it; nothing is stored."""

import asyncio
from typing import Any

from slack_bolt.async_app import AsyncAck

from bench.bolt_acks import bolt
from bench.forwarding import body_of, client, post
from bench.serving import PATH, serve


async def main() -> None:
    """Serve until terminated."""
    app = bolt()
    async with client() as environment:

        @app.command("/letta")
        async def letta(ack: AsyncAck, command: dict[str, Any]) -> None:
            await ack("Queued")
            await post(environment, body_of(command))

        await serve(app.web_app(PATH))


if __name__ == "__main__":
    asyncio.run(main())
