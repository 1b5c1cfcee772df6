"""What a stop waits for, and how long."""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from typing import Any

STOP_WITHIN = 10.0


class Stopping:
    """One limit over everything that a stop waits for; it runs from the first question on."""

    def __init__(self) -> None:
        self._ends: float | None = None

    def left(self, most: float) -> float:
        """Return how many seconds something may still take, `most` at most."""
        now = asyncio.get_running_loop().time()
        self._ends = self._ends or now + STOP_WITHIN
        return max(0.0, min(most, self._ends - now))


async def cancel(running: "Sequence[asyncio.Task[None]]", seconds: float) -> None:
    """Cancel what runs, and wait up to `seconds` for its end."""
    for one in running:
        one.cancel()
    if running:
        await asyncio.wait(running, timeout=seconds)


async def within(close: Callable[[], Any], seconds: float) -> None:
    """Close something, in `seconds` at most."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await close()
