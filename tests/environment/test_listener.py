"""How the relay keeps its sockets: pings, and patience with an environment that is away."""

import asyncio
import contextlib
import io
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from itertools import count, pairwise
from typing import Any

import aiohttp
import httpx
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from pydantic import SecretStr

from relay.app import json_log
from relay.config import Environment
from relay.domain.runtime import Runtime
from relay.environment.directory import Directory
from relay.environment.listener import Arrivals, Listener, Presence
from relay.environment.turns import Pending
from relay.sandbox.environment import FakeEnvironment


class Ears:
    """A listener by itself, with everything it handed on."""

    def __init__(self) -> None:
        self.arrivals: list[Arrivals] = []
        self.presences: list[Presence] = []
        self._told = asyncio.Condition()

    async def hear(self, runtime: Runtime, arrivals: Arrivals) -> None:
        self.arrivals.append(arrivals)

    async def nothing(self, runtime: Runtime, ended: tuple[str, ...]) -> frozenset[str]:
        return frozenset()

    async def notice(self, runtime: Runtime, presence: Presence) -> None:
        async with self._told:
            self.presences.append(presence)
            self._told.notify_all()

    async def told(self, times: int) -> None:
        """Wait until it was told that many times how the environment is."""
        async with asyncio.timeout(30), self._told:
            await self._told.wait_for(lambda: len(self.presences) >= times)

    @contextlib.asynccontextmanager
    async def listening(
        self, base_url: str, api_key: str = "sk", ping_every: float = 30.0
    ) -> AsyncIterator[Listener]:
        """A listener that runs."""
        environment = Environment("workshop", "agent-1", base_url, SecretStr(api_key), device_id="device-1")
        numbers = count(1)
        async with aiohttp.ClientSession() as session, httpx.AsyncClient() as client:
            listener = Listener(
                environment,
                Runtime("workshop", "agent-1", "default"),
                Directory(client, lambda *_, **__: None),
                session,
                on_arrivals=self.hear,
                on_presence=self.notice,
                on_behind=self.nothing,
                on_frame=lambda *_: None,
                clock=lambda: datetime.now(UTC),
                chance=lambda: 0.5,
                new_id=lambda: f"req_{next(numbers)}",
                log=json_log(io.StringIO()),
                ping_every=ping_every,
            )
            running = asyncio.create_task(listener.run())
            try:
                yield listener
            finally:
                running.cancel()
                await asyncio.wait([running])


async def test_both_sockets_are_pinged_and_stay_open() -> None:
    ears = Ears()
    async with (
        FakeEnvironment() as environment,
        ears.listening(environment.base_url, environment.api_key, ping_every=0.02),
    ):
        await environment.wait_for(
            lambda one: len(one.sockets) == 2 and all(socket.pings >= 5 for socket in one.sockets)
        )
        assert [one.up for one in ears.presences] == [True]


class Closed:
    """An environments API that knows the device but refuses its sockets, or does not even answer."""

    def __init__(self, status: int) -> None:
        self.status = status
        self.asked_at: list[float] = []
        self.often = asyncio.Event()

    async def answer(self, request: web.Request) -> web.Response:
        listing: dict[str, Any] = {"connectionId": "connection-1", "deviceId": "device-1"}
        if request.path.endswith("/ws"):
            return web.Response(status=503)
        self.asked_at.append(time.monotonic())
        if len(self.asked_at) == 4:
            self.often.set()
        return web.json_response(listing, status=self.status)


@pytest.mark.parametrize("status", [200, 401])
async def test_an_environment_that_is_away_is_asked_less_and_less_often(status: int) -> None:
    closed = Closed(status)
    application = web.Application()
    application.router.add_get("/{path:.*}", closed.answer)
    async with (
        TestServer(application, host="127.0.0.1") as server,
        Ears().listening(str(server.make_url("/")).rstrip("/")),
        asyncio.timeout(20),
    ):
        await closed.often.wait()
    gaps = [later - earlier for earlier, later in pairwise(closed.asked_at)]
    assert [gap >= least for gap, least in zip(gaps, (0.45, 0.95, 1.9), strict=True)] == [True] * 3


async def test_a_server_that_takes_a_connection_and_says_nothing_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("relay.environment.listener._TAKEN_WITHIN", 0.2)
    over = asyncio.Event()

    async def answer(request: web.Request) -> web.Response:
        if request.path.endswith("/ws"):
            await over.wait()
        return web.json_response({"connectionId": "connection-1", "deviceId": "device-1"})

    application, ears = web.Application(), Ears()
    application.router.add_get("/{path:.*}", answer)
    async with (
        TestServer(application, host="127.0.0.1") as server,
        ears.listening(str(server.make_url("/")).rstrip("/")),
    ):
        await ears.told(2)
        over.set()
    assert {one.reason for one in ears.presences} == {"its status sockets cannot be opened (TimeoutError)"}


async def test_whoever_waits_for_the_sockets_cuts_the_patience_short() -> None:
    ears = Ears()
    async with FakeEnvironment() as environment:
        environment.offline = True
        async with ears.listening(environment.base_url, environment.api_key) as listener:
            await ears.told(3)  # it would now wait two seconds
            environment.offline = False
            async with asyncio.timeout(1):
                await listener.ready(environment.connection_id)
            assert len(environment.sockets) == 2


async def test_why_an_environment_is_away_is_told() -> None:
    ears = Ears()
    async with FakeEnvironment() as environment:
        environment.offline = True
        async with ears.listening(environment.base_url, environment.api_key) as listener:
            await ears.told(1)
            assert not listener.presence.up
            assert listener.presence.reason == "the device is not connected"


async def test_an_environment_is_up_when_what_it_waits_for_is_known() -> None:
    ears = Ears()
    async with (
        FakeEnvironment() as environment,
        ears.listening(environment.base_url, environment.api_key) as listener,
    ):
        await listener.ready(environment.connection_id)
        listed = [item for one in ears.arrivals for item in one.items if isinstance(item, Pending)]
        assert [one.tool_call_ids for one in listed] == [()]
        await ears.told(1)
        assert [one.up for one in ears.presences] == [True]


@pytest.mark.parametrize("status", [401, 403])
async def test_a_refused_key_is_told_from_an_environment_that_is_away(status: int) -> None:
    closed, ears = Closed(status), Ears()
    application = web.Application()
    application.router.add_get("/{path:.*}", closed.answer)
    async with (
        TestServer(application, host="127.0.0.1") as server,
        ears.listening(str(server.make_url("/")).rstrip("/")),
    ):
        await ears.told(1)
    assert (ears.presences[0].up, ears.presences[0].refused) == (False, True)
    assert "LETTA_API_KEY" in ears.presences[0].reason
