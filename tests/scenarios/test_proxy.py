"""Relay goes through the proxy that its process is told of, and trusts the authority that it is told of."""

import asyncio
import os
import ssl
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import trustme
from aiohttp import web
from aiohttp.test_utils import TestServer
from pydantic import SecretStr

from relay.app.http_clients import http_clients
from relay.config import Environment
from relay.environment.app_server_socket import open_socket
from tests.proxy import Proxy, proxy
from tests.scenarios.acts import ask_tool
from tests.world import ADA, APPROVALS, GRACE, OPS, World, world

ROOT = Path(__file__).parents[2]
CLIENTS = ("environments", "sockets", "slack", "lookups")
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "WS_PROXY", "WSS_PROXY", "ALL_PROXY", "NO_PROXY")
# Each client asks a server whose certificate only SSL_CERT_FILE can make good.
ASKS = """
import asyncio, sys
from slack_sdk.web.async_client import AsyncWebClient
from relay.app.http_clients import http_clients

async def told(name, asking):
    try:
        await asking
    except Exception as problem:
        print(name, "CERTIFICATE_VERIFY_FAILED" if "CERTIFICATE_VERIFY_FAILED" in str(problem) else problem)
    else:
        print(name, "answered")

async def main(url):
    async with http_clients(5) as http:
        slack = AsyncWebClient(token="xoxb-1", base_url=url, session=http.slack, retry_handlers=[])
        await told("environments", http.environments.get(url))
        await told("sockets", http.sockets.ws_connect(url + "socket"))
        await told("slack", slack.api_test())
        await told("lookups", http.lookups.get(url))

asyncio.run(main(sys.argv[1]))
"""


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A process that is told of no proxy and no authority, whatever the machine says."""
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    return monkeypatch


@pytest.fixture
async def between(bare: pytest.MonkeyPatch) -> AsyncIterator[Proxy]:
    """A proxy that the process is told of."""
    async with proxy() as made:
        bare.setenv("HTTP_PROXY", made.url)
        yield made


@pytest.fixture(params=["http", "socket_mode"])
async def idle(between: Proxy, request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    """Both stand-ins, and a relay that the test starts itself, over either way in."""
    async with world(tmp_path, socket_mode=request.param == "socket_mode") as made:
        yield made


async def work(made: World) -> None:
    """Have something said, asked and decided."""
    await made.start_relay()
    await made.slack.slash(ADA, OPS, "hello")
    await made.thread_says("echo: hello")
    card = await ask_tool(made, {"command": "true"})
    await made.slack.click(GRACE, APPROVALS, card.ts, "approve")
    await made.card_says("Delivered.")


async def test_all_that_relay_asks_for_goes_through_the_proxy(idle: World, between: Proxy) -> None:
    await work(idle)
    assert between.was_asked("POST", "/api/auth.test")
    assert between.was_asked("POST", "/api/chat.postMessage")
    device = idle.environment.connection_id
    assert between.was_asked("GET", "/v1/environments")
    assert between.was_asked("GET", f"/v1/environments/{device}/status/ws")
    assert between.was_asked("POST", f"/v1/environments/{device}/messages")
    await idle.stop_relay()
    called = [one for one in between.asked if " /api/" in one]
    assert len(called) == len(idle.slack.calls)
    assert between.was_asked("GET", "/link") == (idle.slack.request_url is None)


async def test_what_no_proxy_names_is_reached_directly(
    idle: World, between: Proxy, bare: pytest.MonkeyPatch
) -> None:
    bare.setenv("NO_PROXY", "localhost,127.0.0.1")
    await work(idle)
    assert between.asked == []


async def test_an_app_servers_socket_goes_through_the_proxy(between: Proxy) -> None:
    application = web.Application()
    application.router.add_get("/ws", _socket)
    async with TestServer(application, host="127.0.0.1") as server, http_clients(5) as http:
        address = f"ws://127.0.0.1:{server.port}"
        opened = await open_socket(http.sockets, Environment("server", "agent-1", address, SecretStr("")))
        await opened.close()
    assert between.asked == ["GET /ws"]


@pytest.fixture
async def guarded(tmp_path: Path) -> AsyncIterator[str]:
    """The address of a server whose certificate stands in ca.pem alone."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    application = web.Application()
    application.router.add_get("/socket", _socket)
    application.router.add_route("*", "/{rest:.*}", _good)
    server = TestServer(application, host="127.0.0.1", scheme="https")
    await server.start_server(ssl=context)
    try:
        yield str(server.make_url("/"))
    finally:
        await server.close()


async def _good(_: web.Request) -> web.Response:
    answer = web.json_response({"ok": True})
    answer.force_close()  # the next client has to come by itself
    return answer


async def _socket(request: web.Request) -> web.WebSocketResponse:
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    await socket.close()
    return socket


async def said_by_each_client(address: str) -> dict[str, str]:
    """Return what each client makes of a server, in a process that began with the present environment."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", ASKS, address, cwd=ROOT, env=os.environ, stdout=asyncio.subprocess.PIPE
    )
    said, _ = await child.communicate()
    return dict(line.split(" ", 1) for line in said.decode().splitlines())


async def test_every_client_trusts_the_authority_that_the_process_names(
    guarded: str, tmp_path: Path, bare: pytest.MonkeyPatch
) -> None:
    assert await said_by_each_client(guarded) == dict.fromkeys(CLIENTS, "CERTIFICATE_VERIFY_FAILED")
    bare.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    assert await said_by_each_client(guarded) == dict.fromkeys(CLIENTS, "answered")


async def test_every_client_goes_through_the_proxy_over_tls(
    guarded: str, between: Proxy, tmp_path: Path, bare: pytest.MonkeyPatch
) -> None:
    bare.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    bare.setenv("HTTPS_PROXY", between.url)
    assert await said_by_each_client(guarded) == dict.fromkeys(CLIENTS, "answered")
    assert between.asked == [f"CONNECT {urlsplit(guarded).netloc}"] * len(CLIENTS)
