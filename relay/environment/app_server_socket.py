"""How a self-hosted App Server is reached: its one socket, its key, and what is asked of it in passing."""

import asyncio
import json
from collections.abc import Callable
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import aiohttp

from relay.config import Environment
from relay.domain.deliveries import Refused, Retry
from relay.environment import outgoing
from relay.environment.errors import EnvironmentAwayError, LookupRefusedError

_PATH, _ABOUT = "/ws", "/app-server-info"
_WITHIN = 10.0


def socket_url(environment: Environment) -> str:
    """Return where an App Server's socket is; an address without a path is that of the server."""
    return environment.base_url + ("" if urlsplit(environment.base_url).path else _PATH)


def about_url(environment: Environment) -> str:
    """Return where an App Server tells over HTTP, to who shows the key, what it is."""
    parts = urlsplit(environment.base_url)
    return urlunsplit((_over_http(parts.scheme), parts.netloc, _ABOUT, "", ""))


def _over_http(address: str) -> str:
    """Return an address or scheme as HTTP's: a proxy is found by it, and WS_PROXY is what nobody sets."""
    return address.replace("ws", "http", 1)


def authorization(environment: Environment) -> dict[str, str]:
    """Return the headers that show its key; most App Servers listen to their own machine and want none."""
    key = environment.api_key.get_secret_value()
    return {"Authorization": f"Bearer {key}"} if key else {}


async def open_socket(
    session: aiohttp.ClientSession, environment: Environment
) -> aiohttp.ClientWebSocketResponse:
    """Return its socket, open. Raises EnvironmentAwayError, LookupRefusedError."""
    try:
        return await session.ws_connect(
            _over_http(socket_url(environment)),
            headers=authorization(environment),
            max_msg_size=0,
            timeout=aiohttp.ClientWSTimeout(ws_close=2.0),
        )
    except aiohttp.WSServerHandshakeError as problem:
        raise refusal(problem.status) from problem
    except (aiohttp.ClientError, TimeoutError, OSError) as problem:
        raise EnvironmentAwayError(
            f"the App Server cannot be reached ({type(problem).__name__})"
        ) from problem


def refusal(status: int) -> EnvironmentAwayError | LookupRefusedError:
    """Return what it means that an App Server answered with an error."""
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return LookupRefusedError("the App Server refused the key: check LETTA_API_KEY")
    return EnvironmentAwayError(f"the App Server answered {status}: check LETTA_BASE_URL")


async def make_conversation(
    session: aiohttp.ClientSession, environment: Environment, new_id: Callable[[], str]
) -> str | Retry | Refused:
    """Have an App Server make a conversation of the agent; return its id, or why there is none."""
    try:
        async with asyncio.timeout(_WITHIN):
            answer = await _ask(session, environment, outgoing.conversation(new_id(), environment.agent_id))
    except LookupRefusedError as problem:
        return Refused(str(problem))
    except EnvironmentAwayError as problem:
        return Retry(str(problem), away=True)
    except (aiohttp.ClientError, TimeoutError, OSError, TypeError, ValueError) as problem:
        return Retry(f"the App Server made no conversation ({type(problem).__name__})", down=True)
    made = answer.get("conversation")
    found = made.get("id") if isinstance(made, dict) else None
    if isinstance(found, str) and found:
        return found
    return Refused("the App Server made no conversation", said=str(answer.get("error") or ""))


async def _ask(
    session: aiohttp.ClientSession, environment: Environment, question: dict[str, Any]
) -> dict[str, Any]:
    """Ask on a socket of its own, which names no runtime and so keeps none alive."""
    async with await open_socket(session, environment) as socket:
        await socket.send_str(json.dumps(question))
        while True:
            frame = json.loads(await socket.receive_str())
            if isinstance(frame, dict) and frame.get("request_id") == question["request_id"]:
                return frame
