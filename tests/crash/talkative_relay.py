"""A relay that says all it can: `talkative_relay.py FILE` has its standard error in FILE.

Every library's log is at its lowest level. After SIGUSR1 the next attempt to deliver something ends in an
error that quotes every secret there is, and that nobody waits for.
"""

import asyncio
import logging
import os
import signal
import sys
from pathlib import Path

from relay.app import App, json_log
from relay.config import load


class Break:
    """A named point that fails at one pass."""

    def __init__(self) -> None:
        self._armed = False
        signal.signal(signal.SIGUSR1, self._arm)

    def _arm(self, *_: object) -> None:
        self._armed = True

    def __call__(self, point: str) -> None:
        if point == "dispatcher.attempted" and self._armed:
            self._armed = False
            raise ValueError({**os.environ})


async def _serve() -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await App(load(os.environ, Path.cwd()), json_log(sys.stdout), at=Break()).serve(stop)


if __name__ == "__main__":
    with Path(sys.argv[1]).open("ab") as errors:
        os.dup2(errors.fileno(), 2)
    logging.basicConfig(level=logging.DEBUG)
    asyncio.run(_serve(), debug=True)
