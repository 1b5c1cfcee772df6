"""How the environments are: what the API tells of them, beside what is listened to and what waits."""

import asyncio
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from relay.config import Environment
from relay.domain.environments import Listened, Report
from relay.environment.directory import NEVER_ASKING, Connection, Directory
from relay.environment.errors import EnvironmentAwayError, LookupRefusedError
from relay.environment.listeners import Listeners
from relay.store import Store


class Overview:
    """Reports on environments; without `listeners` no relay runs, and without a `store` none ever did."""

    def __init__(
        self,
        environments: Mapping[str, Environment],
        directory: Directory,
        listeners: Listeners | None,
        store: Store | None,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._environments = environments
        self._directory = directory
        self._listeners = listeners
        self._store = store
        self._wall = wall

    async def all(self, within: float) -> list[Report]:
        """Return how all of them are; who does not answer `within` seconds is said not to."""
        return await asyncio.gather(*(self.of(name, within) for name in self._environments))

    async def of(self, name: str, within: float) -> Report:
        """Return how one of them is. Raises StoreError."""
        environment = self._environments[name]
        listened = self._listened(name)
        connection, reason = await self._found(environment, within)
        told = connection.mode if connection else None
        mode = told or (self._listeners.mode(name) if self._listeners else "")
        # Where the API cannot be asked, an open socket still tells.
        online = not reason or (connection is None and any(one.up for one in listened))
        return Report(
            name=name,
            agent_id=environment.agent_id,
            device_id=(connection.device_id if connection else None) or environment.device_id,
            app_server=environment.is_app_server,
            online=online,
            since=self._since(connection, listened, online=online),
            reason="" if online else reason,
            mode=mode,
            asks=mode not in NEVER_ASKING,
            listened=listened,
            pending=await self._pending(name),
        )

    async def _found(self, environment: Environment, within: float) -> tuple[Connection | None, str]:
        """Return what is told of an environment, and why it is offline."""
        try:
            async with asyncio.timeout(within):
                connection = await self._directory.found(environment)
        except TimeoutError:
            return None, "nobody told in time how it is"
        except (EnvironmentAwayError, LookupRefusedError) as problem:
            return None, str(problem)
        if connection.online(self._wall() * 1000):
            return connection, ""
        gone = connection.connection_id is None
        return connection, "the device is not connected" if gone else "the device fell silent"

    def _since(
        self, connection: Connection | None, listened: tuple[Listened, ...], *, online: bool
    ) -> datetime | None:
        told = connection and (connection.connected_at if online else connection.last_seen_at)
        if told:
            return datetime.fromtimestamp(told / 1000, UTC)
        heard = [one.since for one in listened if one.up == online and one.since is not None]
        return min(heard, default=None)

    def _listened(self, name: str) -> tuple[Listened, ...]:
        presences = self._listeners.presences if self._listeners else {}
        return tuple(
            Listened(runtime.conversation_id, one.up, one.since, one.reason)
            for runtime, one in presences.items()
            if runtime.environment == name
        )

    async def _pending(self, name: str) -> int:
        if self._store is None:
            return 0
        return await self._store.transact(lambda tx: tx.approvals.waiting(name))


def written(report: Report) -> dict[str, Any]:
    """Return a report as the command line's JSON has it."""
    return {
        "name": report.name,
        "device_id": report.device_id,
        "app_server": report.app_server,
        "online": report.online,
        "since": _written(report.since),
        "reason": report.reason,
        "mode": report.mode,
        "agent_id": report.agent_id,
        "conversations": [
            {
                "conversation_id": one.conversation_id,
                "listening": one.up,
                "since": _written(one.since),
                "reason": one.reason,
            }
            for one in report.listened
        ],
        "pending": report.pending,
    }


def _written(moment: datetime | None) -> str | None:
    return moment.isoformat(timespec="milliseconds") if moment else None
