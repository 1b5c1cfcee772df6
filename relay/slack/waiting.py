"""Waiting for answers for as long as whoever presses a button can be kept waiting."""

import asyncio
from collections.abc import Collection
from typing import Any

_STOOD_STILL = 0.1  # seconds by which a wait ends late only where the process was held up
_TO_READ = 0.15  # twice: for who it is, and for the circles they are in


async def settled(asked: Collection[asyncio.Task[Any]], within: float) -> bool:
    """Return whether all that is asked was answered within so many seconds; what was not goes on.

    A process that was held up itself gets a moment more: the answers may lie there, unread.
    """
    if not asked:
        return True
    loop = asyncio.get_running_loop()
    due = loop.time() + within
    _, late = await asyncio.wait(asked, timeout=within)
    if late and loop.time() > due + _STOOD_STILL:
        _, late = await asyncio.wait(late, timeout=_TO_READ)
    return not late
