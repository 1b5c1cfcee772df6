"""`relay demo`: everything on real sockets, between a stand-in Slack and stand-in environments.

No account and nothing from outside: first the main job, each step printed when it happens, and then a
workspace in the browser to try all the rest in.
"""

import asyncio
import io
import shutil
import signal
import sys
import tempfile
from argparse import Namespace
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from relay.app import PartEndedError, StartError
from relay.demo import agent
from relay.demo.page import PortTakenError, check_port, serve_page
from relay.demo.walk import Walk
from relay.demo.world import serving, settings
from relay.sandbox.environment import FakeEnvironment
from relay.sandbox.slack import FakeSlack
from relay.store import StoreError

_FAILED, _MISUSED, _SIGNALLED = 1, 2, 128
_PROBLEMS = (AssertionError, TimeoutError, StartError, PartEndedError, StoreError, OSError)


def demo(asked: Namespace) -> int:
    """Walk through the job, open the page, or both; return the exit status: 0 when it went as it should."""
    try:
        if asked.port and not asked.walk:
            check_port(asked.port)
    except PortTakenError as problem:
        print(f"relay: {problem}", file=sys.stderr)
        return _MISUSED
    status = 0
    if not asked.page:
        status = _in_a_folder(_walk, ended=_SIGNALLED)
    if status == 0 and not asked.walk:
        status = _in_a_folder(
            lambda folder, log: serve_page(folder, log, asked.port, browser=not asked.no_browser)
        )
    return status


def _in_a_folder(told: Any, *, ended: int = 0) -> int:
    """Let something happen in a folder of its own, and say how it ended: by a signal is well where `ended` is 0."""
    folder = Path(tempfile.mkdtemp(prefix="relay-demo-"))
    log = io.StringIO()
    try:
        by_signal = asyncio.run(_until_signalled(told(folder, log)))
        return ended + by_signal if ended and by_signal else 0
    except _PROBLEMS as problem:
        print(f"\nThe demo stopped: {problem}\n\nThe relay's log:\n{log.getvalue()}")
        return _FAILED
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _until_signalled(happening: Coroutine[Any, Any, None]) -> int:
    """Go on until it is over, or a signal comes: then end it in order, and return the signal's number."""
    came: list[int] = []
    loop = asyncio.get_running_loop()
    task = asyncio.ensure_future(happening)

    def end(number: int) -> None:
        if not came:
            came.append(number)
            task.cancel()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end, number)
    try:
        await task
    except asyncio.CancelledError:
        if not came:
            raise
    return came[0] if came else 0


async def _walk(folder: Path, log: io.StringIO) -> None:
    async with FakeSlack() as slack, FakeEnvironment() as environment:
        environment.script = agent.script
        of_environment = {
            "LETTA_API_KEY": environment.api_key,
            "LETTA_BASE_URL": environment.base_url,
            "LETTA_AGENT_ID": environment.agent_id,
            "LETTA_DEVICE_ID": environment.device_id,
        }
        async with serving(settings(slack, folder) | of_environment, folder, log):
            await Walk(slack, environment).walk()
