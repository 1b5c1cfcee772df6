"""Relay on PostgreSQL: beside itself on SQLite, two of it on one database, and queues in the same server."""

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from math import nan
from pathlib import Path
from statistics import median
from time import perf_counter

import aiohttp

from bench import claims
from bench.commands import Commands
from bench.contestants import (
    ON_POSTGRESQL,
    ON_SQLITE,
    PGQUEUER,
    PROCRASTINATE,
    ROOT,
    TWO_RELAYS,
    WITH_DATABASES,
    Contestant,
    ContestantError,
    Server,
    running,
    together,
)
from bench.database import database, is_there
from bench.goals import goal_line, ratio
from bench.load import Load
from bench.report import FULL, loss, or_dash, share, table
from bench.rounds import Drained, Lengths, Round, no_collection
from bench.stub import Arrivals, Stub
from tests.postgres import Server as Database

_SATURATION, _DRAIN = 2.0, 20.0  # seconds: a queue may take much faster than it gives
_SHARED_WITHIN = 30.0
_LIBRARIES = {PROCRASTINATE.name: ("procrastinate",), PGQUEUER.name: ("pgqueuer", "asyncpg")}


@dataclass(frozen=True)
class Carried:
    """What one round of one contestant gave: rates a second, seconds, and counts."""

    forwards: float
    in_step: float
    acks: float
    cpu: float
    ready: float
    core_busy: float
    sent: int
    refused: int
    lost: int
    doubled: int
    drained: Drained | None = None


Results = Mapping[str, Sequence[Carried]]


async def on_postgresql(lengths: Lengths) -> list[str]:
    """Measure all of it, print the figures, and return the goals' lines."""
    if not is_there():
        print("left out: all that needs PostgreSQL: there is no `postgres` here (make setup)\n", flush=True)
        return []
    with database() as server:
        results, left_out = await _rounds(lengths, server)
        print(f"\n{report(results, left_out, lengths.rounds)}\n", flush=True)
        claimed = await _claims(server)
    print("\n".join([*map(claims.report, claimed), ""]), flush=True)
    return [*goals(results), *map(claims.goal, claimed)]


async def _claims(server: Database) -> list[claims.Claimed]:
    with tempfile.TemporaryDirectory(prefix=".bench-", dir=ROOT) as folder:
        files = [f"sqlite:///{Path(folder) / f'{count}.db'}" for count in (claims.FEW, claims.MANY)]
        in_file = await claims.claims("SQLite", *files)
    urls = [server.new_database() for _ in files]
    return [in_file, await claims.claims("PostgreSQL", *urls)]


async def _rounds(lengths: Lengths, server: Database) -> tuple[Results, list[str]]:
    """Measure the contestants in turns; return what they gave, and who is left out and why."""
    contestants = [one for one in WITH_DATABASES if all(map(find_spec, _LIBRARIES.get(one.name, ())))]
    left_out = [
        f"{one.title}: {' and '.join(_LIBRARIES[one.name])} not in .venv (make setup)"
        for one in WITH_DATABASES
        if one not in contestants
    ]
    results: dict[str, list[Carried]] = {one.name: [] for one in contestants}
    began = perf_counter()
    async with Stub() as stub:
        # What is said to a person alone stays on this machine, too.
        commands = Commands(answers=f"http://127.0.0.1:{stub.port}/api")
        for number in range(1, lengths.rounds + 1):
            for one in contestants:
                drains = number == lengths.rounds and one in (ON_SQLITE, ON_POSTGRESQL)
                with no_collection():
                    results[one.name].append(await _carried(one, commands, stub, lengths, server, drains))
                at = perf_counter() - began
                print(f"round {number} of {lengths.rounds}: {one.title}, at {at:.0f} s", flush=True)
    return results, left_out


async def _carried(
    one: Contestant, commands: Commands, stub: Stub, lengths: Lengths, server: Database, drains: bool
) -> Carried:
    """Start a contestant afresh on an empty database, measure it, and end it."""
    brief = replace(lengths, saturation=min(lengths.saturation, _SATURATION), drain=_DRAIN)
    async with _served(one, stub.port, server) as served:
        stub.arrivals = Arrivals()
        load = Load(*served.ports)
        try:
            phases = Round(one, commands, stub, brief, served, load)
            await phases.warm_up()
            in_step = await phases.in_step()
            full = await phases.saturate()
            drained = await phases.drain() if drains else None
        finally:
            load.close()
        return Carried(
            forwards=full.forwards,
            in_step=in_step,
            acks=full.acks,
            cpu=full.cpu,
            ready=served.started["ready"],
            core_busy=full.core_busy,
            drained=drained,
            **vars(phases.count),
        )


@contextlib.asynccontextmanager
async def _served(one: Contestant, stub_port: int, server: Database) -> AsyncIterator[Server]:
    """Run all servers of a contestant, on a database of its own."""
    async with contextlib.AsyncExitStack() as stack:
        variables = {}
        if one.database:
            url = server.new_database()
            stack.callback(server.drop, url)
            variables[one.database] = url
        running_now = []
        for core in one.cores:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=".bench-", dir=ROOT)))
            replica = replace(one, cores=(core,), variables=variables)
            running_now.append(await stack.enter_async_context(running(replica, stub_port, folder)))
        if len(running_now) > 1:
            await _shared_evenly(running_now, one.environments)
        yield together(running_now)


async def _shared_evenly(servers: Sequence[Server], environments: int) -> None:
    """Wait until each of several relays listens to as many environments. Raises ContestantError."""
    wanted = [environments // len(servers)] * len(servers)
    try:
        async with asyncio.timeout(_SHARED_WITHIN), aiohttp.ClientSession() as session:
            while [await _held(session, one.ports[0]) for one in servers] != wanted:  # noqa: ASYNC110
                await asyncio.sleep(0.1)
    except (TimeoutError, aiohttp.ClientError) as problem:
        raise ContestantError(f"{TWO_RELAYS.title}: they never shared the environments") from problem


async def _held(session: aiohttp.ClientSession, port: int) -> int:
    """Return to how many environments a relay listens; -1: it does not do so everywhere yet."""
    async with session.get(f"http://127.0.0.1:{port}/readyz") as answer:
        parts = await answer.json()
        # Of what it holds each conversation has a part of its own.
        heard = {name: how == "listening" for name, how in parts.items() if " / " in name}
        held = {name.partition(" / ")[0] for name in heard}
        return len(held) if answer.status == 200 and all(heard.values()) else -1


def of(results: Results, name: str, figure: str) -> float:
    """Return the median of a figure of a contestant; NaN where it took no part."""
    return median(float(getattr(one, figure)) for one in results[name]) if results.get(name) else nan


_LINES = (
    ("forwarded a second, saturated", "forwards", " /s", 1.0),
    ("forwarded a second, 64 on the way", "in_step", " /s", 1.0),
    ("acks a second, saturated", "acks", " /s", 1.0),
    ("CPU a command, saturated", "cpu", " ms", 1e3),
    ("start to ready", "ready", " s", 1.0),
)


def report(results: Results, left_out: Sequence[str], rounds: int) -> str:
    """Return the table, what became of the commands, and how the backlogs left."""
    there = [one for one in WITH_DATABASES if results.get(one.name)]
    rows = [["", *(one.short for one in there)]]
    for title, figure, unit, scale in _LINES:
        rows.append([title, *(or_dash(of(results, one.name, figure) * scale, unit) for one in there)])
    busy = {one.name: of(results, one.name, "core_busy") for one in there}
    rows.append(["load's and database's core in use", *(share(busy[one.name]) for one in there)])
    lines = [f"medians of {rounds} interleaved rounds, PostgreSQL on the load's core", "", table(rows), ""]
    lines += [loss(one, results[one.name]) for one in there]
    lines += [f"left out: {reason}" for reason in left_out]
    if any(each >= FULL for each in busy.values()):
        lines.append("full: that core was the limit, so that the rates of this column may be higher")
    return "\n".join([*lines, "", *_backlogs(results)])


def _backlogs(results: Results) -> list[str]:
    found = [(one, _last(results, one.name)) for one in (ON_SQLITE, ON_POSTGRESQL)]
    return [
        f"{f'a backlog, {one.title[4:]}':33} {last.drained.rate:.2f} /s from the first on, which came"
        f" {last.drained.wait:.2f} s after the return; before {last.forwards:.2f} /s"
        for one, last in found
        if last is not None and last.drained is not None
    ]


def _last(results: Results, name: str) -> Carried | None:
    return results[name][-1] if results.get(name) else None


def goals(results: Results) -> list[str]:
    """Return the line of each goal whose contestants took part."""
    lines = [
        _compared(results, "postgresql-vs-sqlite", "forwards", ON_SQLITE, 0.5),
        _compared(results, "two-relays-vs-one", "forwards", ON_POSTGRESQL, 1.5, TWO_RELAYS),
        *(_drained(results, one) for one in (ON_SQLITE, ON_POSTGRESQL)),
    ]
    for one in (PROCRASTINATE, PGQUEUER):
        lines.append(_compared(results, f"postgresql-vs-{one.name}", "forwards", one, 1.0))
        lines.append(_compared(results, f"postgresql-in-step-vs-{one.name}", "in_step", one, 1.0))
    return [line for line in lines if line]


def _compared(
    results: Results,
    name: str,
    figure: str,
    over: Contestant,
    limit: float,
    whose: Contestant = ON_POSTGRESQL,
) -> str:
    if not (results.get(whose.name) and results.get(over.name)):
        return ""
    measured = ratio(of(results, whose.name, figure), of(results, over.name, figure))
    return goal_line(name, measured, ">=", limit)


def _drained(results: Results, one: Contestant) -> str:
    last = _last(results, one.name)
    if last is None or last.drained is None:
        return ""
    name = f"drain-vs-normal-{one.name.removeprefix('on-')}"
    return goal_line(name, ratio(last.drained.rate, last.forwards), ">=", 0.9)
