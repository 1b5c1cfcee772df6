"""What the contestants written with Python's Bolt post to the environment, and how."""

import os
from typing import Any

import httpx


def client(kept: int = 20) -> httpx.AsyncClient:
    """Return one client for all, with its defaults but for how many idle connections are `kept`."""
    return httpx.AsyncClient(
        base_url=os.environ["LETTA_BASE_URL"],
        headers={"Authorization": f"Bearer {os.environ['LETTA_API_KEY']}"},
        limits=httpx.Limits(max_connections=100, max_keepalive_connections=kept),
    )


def body_of(command: dict[str, Any]) -> dict[str, Any]:
    """Return what is posted for a command."""
    message = {"client_message_id": command["trigger_id"], "role": "user", "content": command["text"]}
    return {
        "messages": [message],
        "agentId": os.environ["LETTA_AGENT_ID"],
        "conversationId": command["channel_id"],
    }


async def post(through: httpx.AsyncClient, body: dict[str, Any]) -> None:
    """Post a body to the environment. Raises httpx.HTTPError."""
    path = f"/v1/environments/{os.environ['LETTA_CONNECTION_ID']}/messages"
    answer = await through.post(path, json=body)
    answer.raise_for_status()
