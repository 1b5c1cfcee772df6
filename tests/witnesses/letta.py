"""What Letta's own client puts on the wire, caught by a server on this machine."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, cast

from aiohttp import web
from aiohttp.test_utils import TestServer
from letta_client import AsyncLetta, omit
from letta_client.types.environment_send_message_params import Message


@dataclass(frozen=True, slots=True)
class OfficialRequest:
    """One request as it came over the wire."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


async def official_body(
    connection_id: str,
    messages: list[dict[str, Any]],
    *,
    agent_id: str | None = None,
    conversation_id: str | None = None,
    api_key: str = "sk-witness",
) -> OfficialRequest:
    """Return the request `letta_client` makes to send these messages; None leaves an id out."""
    seen: list[OfficialRequest] = []

    async def answer(request: web.Request) -> web.Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        seen.append(OfficialRequest(request.method, request.raw_path, headers, await request.read()))
        return web.json_response({"success": True, "message": "sent"})

    application = web.Application(client_max_size=0)
    application.router.add_route("*", "/{path:.*}", answer)
    async with TestServer(application, host="127.0.0.1") as server:
        base_url = str(server.make_url("/")).rstrip("/")
        async with AsyncLetta(api_key=api_key, base_url=base_url, max_retries=0) as client:
            await client.environments.send_message(
                connection_id,
                messages=cast("Iterable[Message]", messages),
                agent_id=omit if agent_id is None else agent_id,
                conversation_id=omit if conversation_id is None else conversation_id,
            )
    (request,) = seen
    return request
