"""Contestant: Bolt and one shared httpx client with their defaults, as people write it; nothing is stored."""

import asyncio
import os
from typing import Any

import httpx
from slack_bolt.async_app import AsyncAck

from bench.bolt_acks import bolt
from bench.serving import PATH, serve


async def main() -> None:
    """Serve until terminated."""
    app = bolt()
    path = f"/v1/environments/{os.environ['LETTA_CONNECTION_ID']}/messages"
    headers = {"Authorization": f"Bearer {os.environ['LETTA_API_KEY']}"}
    async with httpx.AsyncClient(base_url=os.environ["LETTA_BASE_URL"], headers=headers) as client:

        @app.command("/letta")
        async def letta(ack: AsyncAck, command: dict[str, Any]) -> None:
            await ack("Queued")
            message = {
                "client_message_id": command["trigger_id"],
                "role": "user",
                "content": command["text"],
            }
            body = {
                "messages": [message],
                "agentId": os.environ["LETTA_AGENT_ID"],
                "conversationId": command["channel_id"],
            }
            answer = await client.post(path, json=body)
            answer.raise_for_status()

        await serve(app.web_app(PATH))


if __name__ == "__main__":
    asyncio.run(main())
