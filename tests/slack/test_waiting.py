"""Waiting for answers while somebody waits for an acknowledgement."""

import asyncio
import time

from relay.slack.waiting import settled


async def answered(after: float) -> None:
    await asyncio.get_running_loop().run_in_executor(None, time.sleep, after)


async def test_what_is_answered_in_time_is_settled() -> None:
    asked = [asyncio.create_task(answered(0.0)) for _ in range(3)]
    assert await settled(asked, 30.0)
    assert all(one.done() for one in asked)


async def test_what_is_not_answered_goes_on_without_whoever_waited() -> None:
    answer = asyncio.Event()
    asked = asyncio.create_task(answer.wait())
    assert not await settled([asked], 0.01)
    answer.set()
    assert await asked


async def test_a_process_that_stood_still_reads_what_came_meanwhile() -> None:
    asked = asyncio.create_task(answered(0.01))
    asyncio.get_running_loop().call_later(0.001, time.sleep, 0.5)  # the process stands still
    assert await settled([asked], 0.2)


async def test_nothing_asked_is_settled() -> None:
    assert await settled([], 0.0)
