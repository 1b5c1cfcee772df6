"""`python -m bench [--quick]` prints the figures and the goals; a goal fallen short of is no error."""

import argparse
import asyncio
import gc
import os
import signal
import sys
import tempfile
from collections.abc import Sequence
from statistics import median
from time import perf_counter

from bench.commands import Commands
from bench.contestants import CONTESTANTS, ROOT, ContestantError, cores
from bench.decisions import decisions
from bench.decisions import report as decisions_report
from bench.live import live
from bench.live import report as live_report
from bench.report import report
from bench.rounds import Figures, Lengths, one_round
from bench.stub import Stub

_WHOLE = Lengths(rounds=3, schedule=6.0, saturation=4.0, drain=12.0, turns=400)
_QUICK = Lengths(rounds=1, schedule=2.0, saturation=1.5, drain=5.0, turns=60)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and return the exit status."""
    parser = argparse.ArgumentParser(prog="bench", description="Measures the relay beside plain Bolt.")
    parser.add_argument("--quick", action="store_true", help="one short round: under a minute, for trying")
    lengths = _QUICK if parser.parse_args(arguments).quick else _WHOLE
    try:
        asyncio.run(_measure(lengths))
    except ContestantError as problem:
        print(f"bench: {problem}", file=sys.stderr)
        return 1
    except (KeyboardInterrupt, asyncio.CancelledError):
        return 128 + signal.SIGINT
    return 0


async def _measure(lengths: Lengths) -> None:
    # Terminated, it leaves by the way it always leaves: every server ended, every folder gone.
    this = asyncio.current_task()
    assert this is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, this.cancel)
    servers, own = cores()
    print(
        f"servers on core {servers}, load and neighbours on core {own}; a sync to the disk: {_sync():.2f} ms"
    )
    os.sched_setaffinity(0, {own})
    results: dict[str, list[Figures]] = {one.name: [] for one in CONTESTANTS}
    began, commands = perf_counter(), Commands()
    async with Stub() as stub:
        for number in range(1, lengths.rounds + 1):
            for one in CONTESTANTS:
                gc.collect()
                results[one.name].append(await one_round(one, commands, stub, lengths))
                print(
                    f"round {number} of {lengths.rounds}: {one.title}, at {perf_counter() - began:.0f} s",
                    flush=True,
                )
    print(f"\nmedians of {lengths.rounds} interleaved rounds\n\n{report(results)}\n", flush=True)
    echo, relay = await live(seconds=lengths.schedule, turns=lengths.turns)
    print(f"{live_report(echo, relay)}\n", flush=True)
    print(decisions_report(await decisions()), flush=True)


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


if __name__ == "__main__":
    sys.exit(main())
