"""Serves a contestant's application on a free port."""

import asyncio
import contextlib
import json
import signal
from collections.abc import Coroutine
from typing import Any

from aiohttp import web

PATH = "/slack/events"


async def serve(app: web.Application) -> None:
    """Serve until terminated, after one line of JSON that names the port."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(json.dumps({"event": "serving", "port": runner.addresses[0][1]}), flush=True)
    await stop.wait()
    await runner.cleanup()


async def serve_beside(work: Coroutine[Any, Any, Any], app: web.Application) -> None:
    """Serve until terminated, and do the work all the while."""
    worker = asyncio.create_task(work)
    try:
        await serve(app)
    finally:
        worker.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await worker
