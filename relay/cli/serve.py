"""`relay serve`."""

import asyncio
import contextlib
import gc
import os
import signal
import sys
from argparse import Namespace
from importlib import import_module
from pathlib import Path

import uvloop

from relay.app import App, PartEndedError, StartError, json_log
from relay.cli.ending import failed, misused
from relay.config import Config, ConfigError, load
from relay.store import StoreError

_COLLECT_AFTER = 10_000  # new objects; at Python's 700 a twelfth of the time under load goes to the collector

_STARTS_WITHIN = 5.0  # seconds; for longer it is not left without the collector
_CALM_AFTER = 1.0  # seconds; until then the conversations are opened


def serve(_: Namespace) -> int:
    """Serve until a signal comes; SIGHUP has the configuration loaded anew."""
    try:
        app = App(_loaded(), json_log(sys.stdout))
        uvloop.run(_until_signalled(app))
    except ConfigError as problem:
        return misused(problem)
    except (StartError, PartEndedError, StoreError) as problem:
        return failed(problem)
    return 0


def _loaded() -> Config:
    return load(os.environ, Path.cwd())


async def _until_signalled(app: App) -> None:
    stop, reload = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    # A terminal that is closed sends the same signal: whoever started relay there is gone.
    in_terminal = os.isatty(0)
    loop.add_signal_handler(signal.SIGHUP, lambda: _hung_up(stop, reload, in_terminal=in_terminal))
    beside = [asyncio.create_task(_settled(app)), asyncio.create_task(_reload(app, reload))]
    try:
        await app.serve(stop)
    finally:
        for one in beside:
            one.cancel()


def _hung_up(stop: asyncio.Event, reload: asyncio.Event, *, in_terminal: bool) -> None:
    gone = in_terminal and not os.isatty(0)
    (stop if gone else reload).set()


async def _reload(app: App, wanted: asyncio.Event) -> None:
    """Have the configuration taken up whenever somebody wants it; one after the other."""
    while True:
        await wanted.wait()
        wanted.clear()
        await app.reload(_loaded)


async def _settled(app: App) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_STARTS_WITHIN):
            await app.ready.wait()
            await asyncio.sleep(_CALM_AFTER)
    # Imported now that nobody waits for it, and not at the first card.
    await asyncio.to_thread(import_module, "relay.domain.secret_patterns")
    # What stands now stands until the end: the collector need not walk over it again and again.
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER)
    gc.enable()
