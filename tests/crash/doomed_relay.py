"""A relay that kills itself: `doomed_relay.py POINT PASSES [unarmed]` dies at a pass of a named point.

Unarmed, it counts no pass before SIGUSR1.
SIGKILL, so that nothing is said, flushed or tidied: what is not in the store by then is lost.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from relay.app import App, json_log
from relay.config import load


def doom(point: str, passes: int, *, armed: bool) -> Callable[[str], None]:
    """Return what to tell the named points to, so that the process dies at the last of `passes`."""
    left = passes

    def arm(*_: object) -> None:
        nonlocal armed
        armed = True

    signal.signal(signal.SIGUSR1, arm)

    def at(reached: str) -> None:
        nonlocal left
        if armed and reached == point:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    return at


async def _serve() -> None:
    config = load(os.environ, Path.cwd())
    point, passes, *rest = sys.argv[1:]
    at = doom(point, int(passes), armed=not rest)
    await App(config, json_log(sys.stdout), at=at).serve(asyncio.Event())


if __name__ == "__main__":
    asyncio.run(_serve())
