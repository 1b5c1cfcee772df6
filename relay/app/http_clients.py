"""The HTTP clients that everything shares."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from urllib.request import getproxies

import aiohttp
import httpx


@dataclass(frozen=True)
class HttpClients:
    """Who calls whom: environments often, Slack often, what is rare by `lookups`."""

    environments: aiohttp.ClientSession
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
    async with (
        aiohttp.ClientSession(connector=connector, trust_env=proxied) as environments,
        aiohttp.ClientSession(
            connector=connector, connector_owner=False, trust_env=proxied, timeout=limits
        ) as slack,
        httpx.AsyncClient(timeout=httpx.Timeout(30.0, connect=5.0)) as lookups,
    ):
        yield HttpClients(environments, slack, lookups)
