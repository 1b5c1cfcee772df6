"""`python -m bench [--quick] [--only PART]` prints figures and goals; a goal fallen short of is no error."""

import argparse
import asyncio
import os
import signal
import sys
import tempfile
from collections.abc import Awaitable, Callable, Collection, Sequence
from itertools import pairwise
from pathlib import Path
from statistics import median
from time import perf_counter

from bench import decisions as decision_figures
from bench import live as live_figures
from bench.commands import Commands
from bench.contestants import LOAD_CORE, ROOT, SERVER_CORE, SLOW_RELAY, ContestantError, field_of
from bench.decisions import decisions
from bench.live import live
from bench.on_postgresql import on_postgresql
from bench.report import goals, report
from bench.rounds import Figures, Lengths, no_collection, one_round
from bench.slow_sync import SlowSync, build
from bench.stub import Stub

_WHOLE = Lengths(
    rounds=3, schedule=5.0, saturation=3.0, drain=12.0, probe=3.0, close=1.05, turns=300, backlog=10_000
)
_QUICK = Lengths(
    rounds=1, schedule=1.0, saturation=1.0, drain=4.0, probe=1.0, close=1.35, turns=20, backlog=1_000
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and return the exit status."""
    parser = argparse.ArgumentParser(prog="bench", description="Measures the relay beside plain Bolt.")
    parser.add_argument("--quick", action="store_true", help="one short round: about two minutes, for trying")
    parser.add_argument("--only", action="append", choices=_PARTS, help="a part to measure, instead of all")
    asked = parser.parse_args(arguments)
    lengths = _QUICK if asked.quick else _WHOLE
    try:
        asyncio.run(_measure(lengths, asked.only or _PARTS))
    except ContestantError as problem:
        print(f"bench: {problem}", file=sys.stderr)
        return 1
    except (KeyboardInterrupt, asyncio.CancelledError):
        return 128 + signal.SIGINT
    return 0


async def _measure(lengths: Lengths, parts: Collection[str]) -> None:
    # Terminated, it leaves by the way it always leaves: every server ended, every folder gone.
    this = asyncio.current_task()
    assert this is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, this.cancel)
    print(
        f"servers on core {SERVER_CORE}, load and neighbours on core {LOAD_CORE}; "
        f"a sync to the disk: {_sync():.2f} ms",
        flush=True,
    )
    os.sched_setaffinity(0, {LOAD_CORE})
    lines: list[str] = []
    try:
        for name, measure in _PARTS.items():
            if name in parts:
                lines += await measure(lengths)
    finally:  # what has been measured is said, whatever became of the rest
        print("\n".join(lines), flush=True)


async def _listening(lengths: Lengths) -> list[str]:
    echo, relay = await live(seconds=lengths.schedule, turns=lengths.turns)
    print(f"{live_figures.report(echo, relay)}\n", flush=True)
    return live_figures.goals(echo, relay)


async def _deciding(_: Lengths) -> list[str]:
    found = await decisions()
    print(f"{decision_figures.report(found)}\n", flush=True)
    return decision_figures.goals(found)


async def _side_by_side(lengths: Lengths) -> list[str]:
    with tempfile.TemporaryDirectory(prefix=".bench-", dir=ROOT) as folder:
        return await _in_turns(lengths, build(Path(folder)))


async def _in_turns(lengths: Lengths, slow_sync: SlowSync | None) -> list[str]:
    """Measure the contestants in turns, print the table, and return the goals' lines."""
    contestants, left_out = field_of(slow_sync)
    results: dict[str, list[Figures]] = {one.name: [] for one in contestants}
    began, commands, slowed = perf_counter(), Commands(), [0]
    async with Stub() as stub:
        for number in range(1, lengths.rounds + 1):
            for one in contestants:
                before = [each.sustainable for each in results[one.name]]
                with no_collection():
                    start = median(before) if before else None
                    results[one.name].append(await one_round(one, commands, stub, lengths, start))
                if slow_sync is not None and one.name == SLOW_RELAY.name:
                    slowed.append(slow_sync.count())
                at = perf_counter() - began
                print(f"round {number} of {lengths.rounds}: {one.title}, at {at:.0f} s", flush=True)
    if slow_sync is not None and any(after == before for before, after in pairwise(slowed)):
        del results[SLOW_RELAY.name]
        left_out.append(f"{SLOW_RELAY.title}: its store never synced through what slows it")
    table = report(results, contestants, left_out)
    print(f"\nmedians of {lengths.rounds} interleaved rounds\n\n{table}\n", flush=True)
    return goals(results)


def _sync() -> float:
    """Return how many milliseconds the disk under the checkout takes to keep one page."""
    taken = []
    with tempfile.TemporaryFile(prefix=".bench-", dir=ROOT) as file:
        for _ in range(50):
            os.write(file.fileno(), bytes(4096))
            began = perf_counter()
            os.fdatasync(file.fileno())
            taken.append(perf_counter() - began)
    return median(taken) * 1e3


# Each prints its figures and returns the lines of its goals.
_PARTS: dict[str, Callable[[Lengths], Awaitable[list[str]]]] = {
    "side-by-side": _side_by_side,
    "listening": _listening,
    "deciding": _deciding,
    "postgresql": on_postgresql,
}


if __name__ == "__main__":
    sys.exit(main())
