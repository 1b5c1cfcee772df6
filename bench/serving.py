"""Serves a Bolt application through Bolt's own aiohttp adapter, on a free port."""

import asyncio
import json
import signal

from aiohttp import web
from slack_bolt.async_app import AsyncApp

PATH = "/slack/events"


async def serve(app: AsyncApp) -> None:
    """Serve until terminated, after one line of JSON that names the port."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    runner = web.AppRunner(app.web_app(PATH))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(json.dumps({"event": "serving", "port": runner.addresses[0][1]}), flush=True)
    await stop.wait()
    await runner.cleanup()
