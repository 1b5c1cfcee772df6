"""Contestant: bare Bolt with its defaults; it acknowledges a slash command and does nothing else."""

import asyncio
import os

from slack_bolt.async_app import AsyncAck, AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

from bench.serving import PATH, serve


def bolt() -> AsyncApp:
    """Return the application as Bolt's own first example has it; only Slack's address is another."""
    client = AsyncWebClient(token=os.environ["SLACK_BOT_TOKEN"], base_url=os.environ["SLACK_API_URL"])
    return AsyncApp(client=client, signing_secret=os.environ["SLACK_SIGNING_SECRET"])


def main() -> None:
    """Serve until terminated."""
    app = bolt()

    @app.command("/letta")
    async def letta(ack: AsyncAck) -> None:
        await ack("Queued")

    asyncio.run(serve(app.web_app(PATH)))


if __name__ == "__main__":
    main()
