"""The HTTP clients that everything shares."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from urllib.request import getproxies

import aiohttp
import httpx


class RedirectedError(aiohttp.ClientError):
    """Another address was named in place of the one that was asked: it would be shown words and tokens."""


@dataclass(frozen=True)
class HttpClients:
    """Who calls whom: environments often, Slack often, what is rare by `lookups`.

    None follows a redirect. `environments` leaves that to who posts by it, for to look costs a tenth of a
    post; `sockets` and `slack` raise RedirectedError.
    """

    environments: aiohttp.ClientSession
    sockets: aiohttp.ClientSession
    slack: aiohttp.ClientSession
    lookups: httpx.AsyncClient


@contextlib.asynccontextmanager
async def http_clients(slack_timeout: float) -> AsyncIterator[HttpClients]:
    """Give the clients, on one pool of connections; `slack_timeout` in seconds."""
    # Asked to trust the process environment, a session looks for proxies and for a .netrc at every
    # request: it is asked only where there is a proxy to be found.
    proxied = bool(getproxies())
    connector = aiohttp.TCPConnector(limit=0)
    # Slack's client sets no limit on a session that it is given: the session has to bring one.
    limits = aiohttp.ClientTimeout(total=slack_timeout)
    shared: dict[str, Any] = {
        "connector": connector, "connector_owner": False, "trust_env": proxied, "trace_configs": [_staying()],
    }  # fmt: skip
    async with (
        aiohttp.ClientSession(
            connector=connector, trust_env=proxied, cookie_jar=aiohttp.DummyCookieJar()
        ) as environments,
        aiohttp.ClientSession(**shared) as sockets,
        aiohttp.ClientSession(**shared, timeout=limits) as slack,
        httpx.AsyncClient(timeout=httpx.Timeout(30.0, connect=5.0)) as lookups,
    ):
        yield HttpClients(environments, sockets, slack, lookups)


def _staying() -> aiohttp.TraceConfig:
    """Return what keeps a session from going where it is sent to."""

    async def refuse(_: aiohttp.ClientSession, __: Any, redirect: aiohttp.TraceRequestRedirectParams) -> None:
        redirect.response.close()
        raise RedirectedError(f"it answered {redirect.response.status}, and redirects are not followed")

    staying = aiohttp.TraceConfig()
    staying.on_request_redirect.append(refuse)
    return staying
