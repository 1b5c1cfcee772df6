"""The load: commands over kept-alive connections, by a fixed schedule or as fast as they are answered."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from time import perf_counter

from bench.commands import Command

# Awaits the arrival of a command by its number, for so many seconds at most.
Arrival = Callable[[int, float], Awaitable[None]]
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_IDLE_CONNECTIONS = 8
# The event loop sleeps in whole milliseconds, so the last stretch before a moment is spun.
_SPIN = 0.002


@dataclass
class Outcome:
    """What became of the commands of one phase: when each was due, who was acknowledged, how soon."""

    due: list[tuple[int, float]] = field(default_factory=list)  # by schedule: number, moment
    acknowledged: list[int] = field(default_factory=list)
    latencies: list[float] = field(default_factory=list)
    refused: int = 0
    seconds: float = 0.0

    def take(self, command: Command, answer: bytes | None, latency: float) -> None:
        """Note the answer to a command; only "Queued" counts as its acknowledgement."""
        if answer is None or b"Queued" not in answer or not answer.startswith(b"HTTP/1.1 200"):
            self.refused += 1
            return
        self.acknowledged.append(command.number)
        self.latencies.append(latency)


class _Connection(asyncio.Protocol):
    """One kept-alive connection, with at most one request under way."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._ended = False
        self._received = b""
        self._answer: asyncio.Future[bytes | None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        if _is_whole(self._received):
            self._resolve(self._received)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        self._transport, self._ended = None, True
        self._resolve(None)

    @property
    def ended(self) -> bool:
        """Whether the server has closed it: Node does so after five idle seconds."""
        return self._ended

    def _resolve(self, answer: bytes | None) -> None:
        self._received = b""
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(answer)

    async def exchange(self, request: bytes) -> bytes | None:
        """Send a request and return the whole answer, or None when the connection is lost."""
        if self._transport is None:
            return None
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._answer

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


def _is_whole(answer: bytes) -> bool:
    """Return whether an answer has come to its end: by its length, or by its last chunk."""
    end = answer.find(b"\r\n\r\n")
    if end < 0:
        return False
    length = _LENGTH.search(answer, 0, end + 2)
    if length is not None:
        return len(answer) >= end + 4 + int(length[1])
    return answer.endswith(b"\r\n0\r\n\r\n")


class Load:
    """Sends commands to a server on 127.0.0.1, over as many connections to each of its ports."""

    def __init__(self, *ports: int) -> None:
        self._ports = cycle(ports)
        self._idle: list[_Connection] = []

    async def _connect(self) -> _Connection:
        _, connection = await asyncio.get_running_loop().create_connection(
            _Connection, "127.0.0.1", next(self._ports)
        )
        return connection

    async def _fill(self, count: int) -> None:
        self._idle = [one for one in self._idle if not one.ended]
        while len(self._idle) < count:
            self._idle.append(await self._connect())

    def close(self) -> None:
        """Close every connection."""
        while self._idle:
            self._idle.pop().close()

    async def send(self, request: bytes) -> bytes | None:
        """Send one request and return the whole answer, or None when the connection is lost."""
        while self._idle and self._idle[-1].ended:
            self._idle.pop()
        connection = self._idle.pop() if self._idle else await self._connect()
        answer = await connection.exchange(request)
        self._idle.append(connection)
        return answer

    async def saturate(
        self, commands: Sequence[Command], connections: int, seconds: float, arrival: Arrival | None = None
    ) -> Outcome:
        """Keep `connections` busy for `seconds`, or until the commands run out (closed loop).

        With `arrival` each connection also waits until its command has arrived before it sends another.
        """
        await self._fill(connections)
        outcome, rest = Outcome(), iter(commands)
        busy = [self._idle.pop() for _ in range(connections)]
        began = perf_counter()
        await asyncio.gather(
            *(_in_turn(connection, rest, outcome, began + seconds, arrival) for connection in busy)
        )
        outcome.seconds = perf_counter() - began
        self._idle.extend(busy)
        return outcome

    async def by_schedule(
        self, commands: Sequence[Command], rate: float, enough: Callable[[Outcome], bool] = lambda _: False
    ) -> Outcome:
        """Send `rate` commands a second, answered or not; latency counts from the schedule (open loop).

        It ends before its time when `enough` says so, which is asked before each command.
        """
        await self._fill(_IDLE_CONNECTIONS)
        outcome = Outcome()
        began = perf_counter() + 0.05
        async with asyncio.TaskGroup() as group:
            for place, command in enumerate(commands):
                moment = began + place / rate
                await until(moment)
                if enough(outcome):
                    break
                outcome.due.append((command.number, moment))
                group.create_task(self._one(command, moment, outcome))
        outcome.seconds = perf_counter() - began
        return outcome

    async def _one(self, command: Command, moment: float, outcome: Outcome) -> None:
        answer = await self.send(command.request)
        outcome.take(command, answer, perf_counter() - moment)


async def _in_turn(
    connection: _Connection, rest: Iterator[Command], outcome: Outcome, until: float, arrival: Arrival | None
) -> None:
    while (began := perf_counter()) < until:
        command = next(rest, None)
        if command is None:
            return
        answer = await connection.exchange(command.request)
        outcome.take(command, answer, perf_counter() - began)
        if arrival is not None:
            await arrival(command.number, max(until - perf_counter(), 0.0))


async def until(moment: float) -> None:
    """Wait until a moment of `perf_counter`, to the microsecond."""
    while (left := moment - perf_counter()) > 0:  # noqa: ASYNC110 - a moment comes without an event
        await asyncio.sleep(left - _SPIN if left > 2 * _SPIN else 0)
