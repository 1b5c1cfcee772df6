"""Which connection a device has, as the environments API tells it."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from pydantic import SecretStr

from relay.config import Environment
from relay.environment.directory import Directory
from relay.environment.errors import EnvironmentAwayError, LookupRefusedError

V2 = {"environmentMessageProtocol": "v2-input"}


def listed(number: int, **changed: Any) -> dict[str, Any]:
    """One entry of the list of environments."""
    entry = {"id": f"id-{number}", "connectionId": f"connection-{number}", "deviceId": f"device-{number}"}
    return {**entry, "connectionName": f"name-{number}", "metadata": V2, **changed}


class Api:
    """An environments API that knows some devices, a page at a time."""

    def __init__(self, *entries: Any, page: int = 100) -> None:
        self.entries = list(entries)
        self.page = page
        self.asked: list[str] = []

    async def listing(self, request: web.Request) -> web.Response:
        self.asked.append(request.query.get("after", ""))
        ids = [one["id"] if isinstance(one, dict) else "" for one in self.entries]
        start = ids.index(self.asked[-1]) + 1 if self.asked[-1] else 0
        shown = self.entries[start : start + self.page]
        more = start + self.page < len(self.entries)
        return web.json_response({"connections": shown, "hasNextPage": more})

    @contextlib.asynccontextmanager
    async def directory(self, **address: str) -> AsyncIterator[tuple[Directory, Environment]]:
        """A directory that asks here, and an environment with this address."""
        application = web.Application()
        application.router.add_get("/v1/environments", self.listing)
        async with TestServer(application, host="127.0.0.1") as server, httpx.AsyncClient() as client:
            url = str(server.make_url("/")).rstrip("/")
            environment = Environment("workshop", "agent-1", url, SecretStr("sk"), **address)
            yield Directory(client, lambda *_, **__: None), environment


async def test_a_name_on_a_later_page_is_found() -> None:
    api = Api(*(listed(number) for number in range(5)), page=2)
    async with api.directory(device_name="name-4") as (directory, environment):
        assert await directory.connection_id(environment) == "connection-4"
    assert api.asked == ["", "id-1", "id-3"]


async def test_one_entry_that_cannot_be_read_hides_no_other() -> None:
    api = Api("noise", {"id": 7}, listed(1, lastHeartbeat="yesterday"), listed(2))
    async with api.directory(device_name="name-2") as (directory, environment):
        assert await directory.connection_id(environment) == "connection-2"


async def test_a_name_that_two_devices_have_is_refused() -> None:
    api = Api(listed(1, connectionName="shared"), listed(2, connectionName="shared"))
    async with api.directory(device_name="shared") as (directory, environment):
        with pytest.raises(LookupRefusedError, match="2 devices are named 'shared': give the device_id"):
            await directory.connection_id(environment)


async def test_two_entries_of_one_device_are_one_device() -> None:
    api = Api(listed(1), listed(1, id="id-2", connectionId="connection-9"))
    async with api.directory(device_name="name-1") as (directory, environment):
        assert await directory.connection_id(environment) == "connection-9"


async def test_a_device_that_speaks_an_older_protocol_is_told_to_be_updated() -> None:
    api = Api(listed(1, metadata={"environmentMessageProtocol": "v1"}))
    async with api.directory(device_name="name-1") as (directory, environment):
        with pytest.raises(EnvironmentAwayError, match="too old"):
            await directory.connection_id(environment)


async def test_a_name_that_nobody_has_is_told() -> None:
    async with Api(listed(1)).directory(device_name="other") as (directory, environment):
        with pytest.raises(EnvironmentAwayError, match="no device named 'other' is online"):
            await directory.connection_id(environment)
