"""One round of one contestant: schedule, in step, saturation, and the search for what it sustains."""

import asyncio
import contextlib
import gc
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from math import nan
from pathlib import Path
from time import perf_counter, process_time

from bench.commands import Commands
from bench.contestants import LOAD_CORE, ROOT, Contestant, Server, core_seconds, running
from bench.load import Load, Outcome
from bench.stub import Arrivals, Stub
from bench.sustainable import Watch, highest, is_sustained, percentile, times_to_arrival

_RATE = 50
_CONNECTIONS = 64
_WARM_UP = 400
_MOST_A_SECOND = 6000  # commands signed ahead for each second of saturation, or twice the rate of warming up
_QUIET = 5.0  # when nothing comes for so long, the rest is lost
_TAKEN_WITHIN, _BACK_WITHIN, _DRAINED_WITHIN = 120.0, 40.0, 180.0  # of a backlog
_LOOK, _IDLE, _REST_WITHIN = 0.1, 0.015, 3.0  # a server rests when it uses so little in a look


@dataclass(frozen=True)
class Lengths:
    """How many rounds, and how many seconds of each phase; what is still on its way after `drain` is lost."""

    rounds: int
    schedule: float
    saturation: float
    drain: float
    probe: float
    close: float  # how far apart a sustained rate and one that is not may be in the end
    turns: int  # recorded turns to live through
    backlog: int  # commands that wait for an environment that is away


@dataclass(frozen=True)
class Figures:
    """What one round of one contestant gave; seconds, megabytes, and rates a second."""

    ack_p50: float
    ack_p99: float
    arrival_p50: float
    arrival_p99: float
    acks: float
    forwards: float
    forwards_in_step: float
    sustainable: float
    cpu: float
    memory: float
    listens: float
    ready: float
    heard: float  # until every conversation is listened to; NaN for those that listen to none
    load_busy: float  # the share of its core that the load generator and the neighbours used
    core_busy: float  # and that whoever else runs there used as well
    sent: int
    refused: int
    lost: int
    doubled: int


@dataclass
class Count:
    """What became of the commands of some phases."""

    sent: int = 0
    refused: int = 0
    lost: int = 0
    doubled: int = 0

    def take(self, outcome: Outcome, arrivals: Arrivals, *, forwards: bool) -> None:
        """Add the commands of a phase."""
        acknowledged = outcome.acknowledged
        self.sent += len(acknowledged) + outcome.refused
        self.refused += outcome.refused
        if forwards:
            self.lost += arrivals.lost(acknowledged)
            self.doubled += arrivals.doubled(acknowledged)


@dataclass(frozen=True)
class Saturated:
    """What a server gave at saturation: rates a second, seconds a command, and shares of the load's core."""

    acks: float
    forwards: float
    cpu: float
    load_busy: float
    core_busy: float


@dataclass(frozen=True)
class Drained:
    """A backlog that left: seconds from the environment's return to the first arrival, and the rate then."""

    wait: float
    rate: float


@contextlib.contextmanager
def no_collection() -> Iterator[None]:
    """Keep Python's garbage collector from stopping the load in the middle of a measurement."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


async def one_round(
    contestant: Contestant, commands: Commands, stub: Stub, lengths: Lengths, start: float | None = None
) -> Figures:
    """Start a contestant afresh, measure it, and end it; `start` is where the search for its rate begins."""
    # In the checkout, not in the system's folder for temporary files: that may be kept in memory.
    with tempfile.TemporaryDirectory(prefix=".bench-", dir=ROOT) as folder:
        async with running(contestant, stub.port, Path(folder)) as server:
            load = Load(*server.ports)
            try:
                return await Round(contestant, commands, stub, lengths, server, load).run(start)
            finally:
                load.close()


class Round:
    """The phases of a round, on a server that runs."""

    def __init__(
        self,
        contestant: Contestant,
        commands: Commands,
        stub: Stub,
        lengths: Lengths,
        server: Server,
        load: Load,
    ) -> None:
        self._forwards = contestant.forwards
        self._commands = commands
        self._stub = stub
        self._lengths = lengths
        self._server = server
        self._load = load
        self.count = Count()
        self._most = float(_MOST_A_SECOND)

    async def run(self, start: float | None) -> Figures:
        """Run the phases and return their figures."""
        self._stub.arrivals = Arrivals()
        await self.warm_up()
        timely = await self._load.by_schedule(self._commands.make(int(_RATE * self._lengths.schedule)), _RATE)
        await self._settled(timely)
        to_arrival = times_to_arrival(timely, self._stub.arrivals) if self._forwards else []
        in_step = await self.in_step() if self._forwards else nan
        full = await self.saturate()
        memory = self._server.memory_mb()
        sustainable = await self._sustainable(start, in_step) if self._forwards else nan
        return Figures(
            ack_p50=percentile(timely.latencies, 0.50),
            ack_p99=percentile(timely.latencies, 0.99),
            arrival_p50=percentile(to_arrival, 0.50),
            arrival_p99=percentile(to_arrival, 0.99),
            forwards_in_step=in_step,
            sustainable=sustainable,
            memory=memory,
            listens=self._server.started["listens"],
            ready=self._server.started["ready"],
            heard=self._server.started.get("heard", nan),
            **vars(full),
            **vars(self.count),
        )

    async def warm_up(self) -> None:
        """Send the first commands; a server that does not say when it is ready is so when it answers."""
        await self._settled(await self._load.saturate(self._commands.make(1), 1, 30.0))
        self._server.started.setdefault("ready", perf_counter() - self._server.began)
        warm = await self._load.saturate(self._commands.make(_WARM_UP), 8, 30.0)
        await self._settled(warm)
        self._most = max(self._most, 2 * len(warm.acknowledged) / warm.seconds)

    async def in_step(self) -> float:
        """Return the forwards a second when a command is sent only for one that has arrived."""
        seconds = self._lengths.saturation
        ahead = self._commands.make(int(self._most * seconds))
        arrivals = self._stub.arrivals
        return await self._settled(await self._load.saturate(ahead, _CONNECTIONS, seconds, arrivals.one))

    async def saturate(self) -> Saturated:
        """Keep it as busy as it can be, and wait until it rests."""
        ahead = self._commands.make(int(self._most * self._lengths.saturation))
        await self._rest()
        used, own, core = self._server.cpu_seconds(), process_time(), core_seconds(LOAD_CORE)
        full = await self._load.saturate(ahead, _CONNECTIONS, self._lengths.saturation)
        busy = (process_time() - own) / full.seconds
        core_busy = min((core_seconds(LOAD_CORE) - core) / full.seconds, 1.0)  # it is told in hundredths
        forwards = await self._settled(full)
        await self._rest()
        cpu = (self._server.cpu_seconds() - used) / max(len(full.acknowledged), 1)
        return Saturated(len(full.acknowledged) / full.seconds, forwards, cpu, busy, core_busy)

    async def drain(self) -> Drained:
        """Have commands wait for an environment that is away, and have it come back."""
        await self._stub.go_away()
        ahead = self._commands.make(self._lengths.backlog)
        taken = await self._load.saturate(ahead, _CONNECTIONS, _TAKEN_WITHIN)
        await self._rest()
        self._stub.come_back()
        back = perf_counter()
        rate = await self._settled(taken, _BACK_WITHIN, _DRAINED_WITHIN)
        moments = self._stub.arrivals.moments
        first = min((moments[one] for one in taken.acknowledged if one in moments), default=nan)
        return Drained(first - back, rate)

    async def _sustainable(self, start: float | None, in_step: float) -> float:
        """Return the highest rate at which all that is sent arrives, and soon enough."""
        if start:  # found by an earlier round: it is near
            return await highest(self._holds, start, self._lengths.close, step=1.1)
        return await highest(self._holds, in_step, self._lengths.close)

    async def _holds(self, rate: float) -> bool:
        commands, arrivals = self._commands.make(max(int(rate * self._lengths.probe), 1)), self._stub.arrivals
        await self._rest()
        watch = Watch(arrivals, len(commands))
        outcome = await self._load.by_schedule(commands, rate, watch)
        await self._settled(outcome)
        return not watch.failed and is_sustained(outcome, arrivals)

    async def _settled(self, outcome: Outcome, quiet: float = _QUIET, longest: float | None = None) -> float:
        """Wait until what was acknowledged has arrived; count it, and return the rate of arrival."""
        arrivals = self._stub.arrivals
        rate = nan
        if self._forwards:
            rate = await arrivals.of(outcome.acknowledged, quiet, longest or self._lengths.drain)
        self.count.take(outcome, arrivals, forwards=self._forwards)
        return rate

    async def _rest(self) -> None:
        """Wait until the server has nothing left to do; what never comes to rest is measured as it is."""
        until, used = perf_counter() + _REST_WITHIN, -1.0
        while perf_counter() < until and self._server.cpu_seconds() - used > _IDLE:
            used = self._server.cpu_seconds()
            await asyncio.sleep(_LOOK)
