"""Which connection a device has now: connections rotate, devices stay."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import httpx
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from relay.config import Environment
from relay.environment.app_server_socket import about_url, authorization, refusal
from relay.environment.errors import EnvironmentAwayError, LookupRefusedError

NEVER_ASKING = frozenset({"unrestricted", "bypassPermissions"})  # in these modes every tool runs unasked
_STALE_HEARTBEAT_MS = 120_000
_REST_PROTOCOL = "v2-input"
_MOST_PAGES = 50
_AT_ONCE = 8  # conversations of an environment; more only make the first of them wait for the last
TOO_OLD = "the device's Letta Code is too old to take messages from here: update it"
_PERHAPS_TOO_OLD = "it does not say that it takes messages from the API: if none arrive, update it"


class _Metadata(BaseModel):
    model_config = ConfigDict(extra="ignore")
    protocol: str | None = Field(default=None, alias="environmentMessageProtocol")


class Connection(BaseModel):
    """One entry of the environments API, times in epoch milliseconds."""

    model_config = ConfigDict(extra="ignore")
    id: str | None = None
    connection_id: str | None = Field(default=None, alias="connectionId")
    device_id: str | None = Field(default=None, alias="deviceId")
    name: str | None = Field(default=None, alias="connectionName")
    connected_at: float | None = Field(default=None, alias="connectedAt")
    last_seen_at: float | None = Field(default=None, alias="lastSeenAt")
    last_heartbeat: float | None = Field(default=None, alias="lastHeartbeat")
    mode: str | None = Field(default=None, alias="currentMode")
    metadata: _Metadata | None = None

    def online(self, now_ms: float) -> bool:
        """Whether the device can be reached: it has a connection and a heartbeat under two minutes old."""
        fresh = self.last_heartbeat is None or now_ms - self.last_heartbeat < _STALE_HEARTBEAT_MS
        return self.connection_id is not None and fresh


@dataclass
class _Entry:
    connection_id: str | None = None
    device_id: str | None = None
    warned: set[str] = field(default_factory=set)


class Directory:
    """Resolves environments to their present connections, and again when told that one is gone."""

    def __init__(
        self, client: httpx.AsyncClient, warn: Callable[..., Any], wall: Callable[[], float] = time.time
    ) -> None:
        self._client = client
        self._warn = warn
        self._wall = wall
        self._entries: dict[str, _Entry] = {}
        self._locks: dict[str, asyncio.Lock] = {}
        self._openings: dict[str, asyncio.Semaphore] = {}

    def opening(self, environment: Environment) -> asyncio.Semaphore:
        """Return what whoever opens sockets of an environment holds meanwhile: a few do at a time."""
        return self._openings.setdefault(environment.name, asyncio.Semaphore(_AT_ONCE))

    async def connection_id(self, environment: Environment) -> str:
        """Return the present connection. Raises EnvironmentAwayError, LookupRefusedError."""
        if environment.is_app_server:
            return environment.base_url  # there is nobody to ask: where it is, is what is configured
        entry = self._entries.get(environment.name)
        if entry is not None and entry.connection_id is not None:
            return entry.connection_id
        async with self._locks.setdefault(environment.name, asyncio.Lock()):
            entry = self._entries.setdefault(environment.name, _Entry(device_id=environment.device_id))
            if entry.connection_id is None:
                entry.connection_id = await self._resolve(environment, entry)
            return entry.connection_id

    def gone(self, environment: Environment, connection_id: str) -> None:
        """Forget a connection that the environment no longer knows."""
        entry = self._entries.get(environment.name)
        if entry is not None and entry.connection_id == connection_id:
            entry.connection_id = None

    async def found(self, environment: Environment) -> Connection:
        """Return what is told of an environment now, online or not.

        Raises EnvironmentAwayError, LookupRefusedError.
        """
        if environment.is_app_server:
            await self._ask_app_server(environment)
            return Connection(connectionId=environment.base_url)
        entry = self._entries.get(environment.name)
        device_id = environment.device_id or (entry.device_id if entry else None)
        if device_id is not None:
            return _connection(await self._get(environment, _of_device(device_id)))
        wanted = {environment.connection_id, environment.device_name} - {None}
        async for one in self._listed(environment):
            if wanted & {one.id, one.connection_id, one.name}:
                return one
        raise EnvironmentAwayError("the environments API does not list it")

    async def _ask_app_server(self, environment: Environment) -> None:
        try:
            answer = await self._client.get(about_url(environment), headers=authorization(environment))
        except httpx.HTTPError as problem:
            raise EnvironmentAwayError(
                f"the App Server cannot be reached ({type(problem).__name__})"
            ) from problem
        if answer.status_code != httpx.codes.OK:
            raise refusal(answer.status_code)

    async def _resolve(self, environment: Environment, entry: _Entry) -> str:
        if entry.device_id is None:
            return await self._by_list(environment, entry)
        found = await self._get(environment, _of_device(entry.device_id))
        return self._usable(environment, entry, _connection(found))

    async def _by_list(self, environment: Environment, entry: _Entry) -> str:
        """Find the device behind a configured connection or name, so that a rotation can be followed."""
        wanted = {environment.connection_id, environment.device_name} - {None}
        found: dict[str | None, Connection] = {}
        try:
            async for one in self._listed(environment, "&onlineOnly=true"):
                if wanted & {one.id, one.connection_id, one.name}:
                    found[one.device_id] = one
        except EnvironmentAwayError:
            if environment.connection_id is None:
                raise
        if len(found) > 1:
            raise LookupRefusedError(
                f"{len(found)} devices are named {environment.device_name!r}: give the device_id instead"
            )
        for device_id, connection in found.items():
            entry.device_id = device_id
            return self._usable(environment, entry, connection)
        if environment.connection_id is not None:
            return environment.connection_id  # not listed: the endpoint itself will say whether it is there
        raise EnvironmentAwayError(f"no device named {environment.device_name!r} is online")

    async def _listed(self, environment: Environment, which: str = "") -> AsyncIterator[Connection]:
        """Give the connections, page by page, without those of an unknown form."""
        after = ""
        for _ in range(_MOST_PAGES):
            query = f"{which}&after={quote(after, safe='')}" if after else which
            path = "/v1/environments" + (f"?{query[1:]}" if query else "")
            found = await self._get(environment, path)
            listed = found.get("connections")
            for raw in listed if isinstance(listed, list) else []:
                with contextlib.suppress(EnvironmentAwayError):
                    connection = _connection(raw)
                    after = connection.id or after
                    yield connection
            if not found.get("hasNextPage"):
                return

    def _usable(self, environment: Environment, entry: _Entry, connection: Connection) -> str:
        if not connection.online(self._wall() * 1000) or connection.connection_id is None:
            raise EnvironmentAwayError("the device is not connected")
        protocol = connection.metadata.protocol if connection.metadata else None
        if protocol not in (None, _REST_PROTOCOL):
            # What is posted to it would be dropped in silence, and be called delivered.
            raise EnvironmentAwayError(TOO_OLD)
        if protocol is None and "protocol" not in entry.warned:
            entry.warned.add("protocol")
            self._warn("environment.too_old", environment=environment.name, reason=_PERHAPS_TOO_OLD)
        if connection.mode in NEVER_ASKING and "mode" not in entry.warned:
            entry.warned.add("mode")
            self._warn("environment.never_asks", environment=environment.name, mode=connection.mode)
        return connection.connection_id

    async def _get(self, environment: Environment, path: str) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {environment.api_key.get_secret_value()}"}
        try:
            answer = await self._client.get(environment.base_url + path, headers=headers)
        except httpx.HTTPError as problem:
            raise EnvironmentAwayError(
                f"the environments API cannot be reached: {type(problem).__name__}"
            ) from problem
        if answer.status_code in (401, 403):
            raise LookupRefusedError("the environments API refused the key: check LETTA_API_KEY")
        if answer.status_code != httpx.codes.OK:
            raise EnvironmentAwayError(f"the environments API answered {answer.status_code}")
        try:
            found = answer.json()
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            raise EnvironmentAwayError("the environments API answered with no JSON object")
        return found


def _of_device(device_id: str) -> str:
    return f"/v1/environments/{quote(device_id, safe='')}"


def _connection(raw: Any) -> Connection:
    try:
        return Connection.model_validate(raw)
    except ValidationError as problem:
        raise EnvironmentAwayError("the environments API described the device in an unknown way") from problem
