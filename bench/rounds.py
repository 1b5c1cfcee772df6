"""One round of one contestant: warm up, then the schedule, then saturation."""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter, process_time

from bench.commands import Commands
from bench.contestants import ROOT, Contestant, Server, running
from bench.load import Load, Outcome
from bench.stub import Arrivals, Stub

_RATE = 50
_CONNECTIONS = 64
_WARM_UP = 400
_MOST_A_SECOND = 6000  # commands signed ahead for each second of saturation
_QUIET = 5.0  # when nothing comes for so long, the rest is lost


@dataclass(frozen=True)
class Lengths:
    """How many rounds, and how many seconds of each phase; what is still on its way after `drain` is lost."""

    rounds: int
    schedule: float
    saturation: float
    drain: float
    turns: int  # recorded turns to live through


@dataclass(frozen=True)
class Figures:
    """What one round of one contestant gave; seconds, megabytes, and rates a second."""

    ack_p50: float
    ack_p99: float
    acks: float
    forwards: float
    forwards_in_step: float
    cpu: float
    memory: float
    listens: float
    ready: float
    load_busy: float  # the share of its core that the load generator and the neighbours used
    sent: int
    refused: int
    lost: int
    doubled: int


@dataclass
class _Count:
    sent: int = 0
    refused: int = 0
    lost: int = 0
    doubled: int = 0

    def take(self, outcome: Outcome, arrivals: Arrivals, *, forwards: bool) -> None:
        """Add what became of the commands of a phase."""
        acknowledged = outcome.acknowledged
        self.sent += len(acknowledged) + outcome.refused
        self.refused += outcome.refused
        if forwards:
            self.lost += arrivals.lost(acknowledged)
            self.doubled += arrivals.doubled(acknowledged)


def percentile(values: list[float], share: float) -> float:
    """Return the value that `share` of all `values` do not exceed."""
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)] if ordered else float("nan")


async def one_round(contestant: Contestant, commands: Commands, stub: Stub, lengths: Lengths) -> Figures:
    """Start a contestant afresh, measure it, and end it."""
    # In the checkout, not in the system's folder for temporary files: that may be kept in memory.
    with tempfile.TemporaryDirectory(prefix=".bench-", dir=ROOT) as folder:
        async with running(contestant, stub.port, Path(folder)) as server:
            load = Load(server.port)
            try:
                return await _Round(contestant, commands, stub, lengths, server, load).run()
            finally:
                load.close()


class _Round:
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
        self._contestant = contestant
        self._commands = commands
        self._stub = stub
        self._lengths = lengths
        self._server = server
        self._load = load
        self._count = _Count()

    async def run(self) -> Figures:
        """Run the phases and return their figures."""
        self._stub.arrivals = Arrivals()
        warm_up = self._commands.make(_WARM_UP)
        await self._settled(await self._load.saturate(warm_up, 8, 30.0))
        timely = await self._load.by_schedule(self._commands.make(int(_RATE * self._lengths.schedule)), _RATE)
        await self._settled(timely)
        in_step = await self._in_step() if self._contestant.forwards else 0.0
        return await self._saturate(timely, in_step)

    async def _in_step(self) -> float:
        """Return the forwards a second when a command is sent only for one that has arrived."""
        seconds = self._lengths.saturation
        ahead = self._commands.make(int(_MOST_A_SECOND * seconds))
        arrivals = self._stub.arrivals
        return await self._settled(await self._load.saturate(ahead, _CONNECTIONS, seconds, arrivals.one))

    async def _saturate(self, timely: Outcome, in_step: float) -> Figures:
        ahead = self._commands.make(int(_MOST_A_SECOND * self._lengths.saturation))
        used, own, began = self._server.cpu_seconds(), process_time(), perf_counter()
        full = await self._load.saturate(ahead, _CONNECTIONS, self._lengths.saturation)
        busy = (process_time() - own) / (perf_counter() - began)
        forwards = await self._settled(full)
        acknowledged = max(len(full.acknowledged), 1)
        started = self._server.started
        return Figures(
            ack_p50=percentile(timely.latencies, 0.50),
            ack_p99=percentile(timely.latencies, 0.99),
            acks=len(full.acknowledged) / full.seconds,
            forwards=forwards,
            forwards_in_step=in_step,
            cpu=(self._server.cpu_seconds() - used) / acknowledged,
            memory=self._server.memory_mb(),
            listens=started["listens"],
            ready=started.get("ready", started["listens"]),
            load_busy=busy,
            **vars(self._count),
        )

    async def _settled(self, outcome: Outcome) -> float:
        """Wait until what was acknowledged has arrived; count it, and return the rate of arrival."""
        arrivals, forwards = self._stub.arrivals, self._contestant.forwards
        rate = await arrivals.of(outcome.acknowledged, _QUIET, self._lengths.drain) if forwards else 0.0
        self._count.take(outcome, arrivals, forwards=forwards)
        return rate
