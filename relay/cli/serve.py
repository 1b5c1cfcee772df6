"""`relay serve`."""

import asyncio
import os
import signal
import sys
from argparse import Namespace
from pathlib import Path

from relay.app import App, PartEndedError, StartError, json_log
from relay.cli.ending import failed, misused
from relay.config import ConfigError, load
from relay.store import StoreError


def serve(_: Namespace) -> int:
    """Serve until a signal comes."""
    try:
        app = App(load(os.environ, Path.cwd()), json_log(sys.stdout))
        asyncio.run(_until_signalled(app))
    except ConfigError as problem:
        return misused(problem)
    except (StartError, PartEndedError, StoreError) as problem:
        return failed(problem)
    return 0


async def _until_signalled(app: App) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await app.serve(stop)
