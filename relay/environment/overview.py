"""How the environments are: what the API tells of them, beside what is listened to and what waits."""

import asyncio
import time
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime
from typing import Any

from relay.config import Environment
from relay.domain.circuits import Held
from relay.domain.environments import HeldBack, Listened, Report
from relay.environment.directory import NEVER_ASKING, Connection, Directory
from relay.environment.errors import EnvironmentAwayError, LookupRefusedError
from relay.environment.listeners import Listeners
from relay.store import Store, Transaction


class Overview:
    """Reports on environments; without `listeners` no relay is asked, and without a `store` none ever ran.

    `unasked` are those that a running relay listens to which was not asked.
    """

    def __init__(
        self,
        environments: Mapping[str, Environment],
        directory: Directory,
        listeners: Listeners | None,
        store: Store | None,
        held: Callable[[str], Held | None] = lambda _: None,
        elsewhere: Callable[[str], str] = lambda _: "",
        unasked: Collection[str] = (),
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._environments = environments
        self._directory = directory
        self._listeners = listeners
        self._store = store
        self._held = held
        self._elsewhere = elsewhere
        self._unasked = unasked
        self._wall = wall

    async def all(self, within: float) -> list[Report]:
        """Return how all of them are; who does not answer `within` seconds is said not to."""
        return await asyncio.gather(*(self.of(name, within) for name in self._environments))

    async def of(self, name: str, within: float) -> Report:
        """Return how one of them is. Raises StoreError."""
        environment = self._environments[name]
        listened = self._listened(name)
        connection, reason = await self._found(environment, within)
        pending, held = await self._waiting(name)
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
            listened=None if name in self._unasked else listened,
            pending=pending,
            held=held,
            elsewhere=self._elsewhere(name),
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

    async def _waiting(self, name: str) -> tuple[int, HeldBack | None]:
        """Return how many requests wait for people there, and what is held back from it."""
        if self._store is None:
            return 0, None

        def work(tx: Transaction) -> tuple[int, int, str]:
            return tx.approvals.waiting(name), *tx.held_back.waiting(name)

        pending, count, told = await self._store.transact(work)
        held = self._held(name)
        if held is not None:
            return pending, HeldBack(count, held.reason, held.since)
        # Of a file only the relay that has it open holds anything back; of a database, another one may.
        return pending, HeldBack(count, told) if count and self._store.is_shared else None


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
        "conversations": None if report.listened is None else [_conversation(one) for one in report.listened],
        "elsewhere": report.elsewhere,
        "pending": report.pending,
        "held": report.held and {**vars(report.held), "since": _written(report.held.since)},
    }


def _conversation(listened: Listened) -> dict[str, Any]:
    return {
        "conversation_id": listened.conversation_id,
        "listening": listened.up,
        "since": _written(listened.since),
        "reason": listened.reason,
    }


def _written(moment: datetime | None) -> str | None:
    return moment.isoformat(timespec="milliseconds") if moment else None
