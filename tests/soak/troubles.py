"""What goes wrong in a day, and when: a seed says it all."""

import asyncio
from collections.abc import Awaitable, Callable
from random import Random

from relay.sandbox.environment import FakeEnvironment
from relay.sandbox.slack import FakeSlack
from tests.crash.relay_process import RelayProcess
from tests.soak.day import Day

Trouble = Callable[[Day, Random], Awaitable[None]]
_EVERY = 12  # turns between two troubles, about
_QUIET_AT_THE_END = 10
_SHORT = 100  # turns of a day in which each end of the relay counts


async def _sockets_are_cut(day: Day, chance: Random) -> None:
    await day.world.environment.drop_sockets(hard=True)


async def _sockets_are_closed(day: Day, chance: Random) -> None:
    await day.world.environment.drop_sockets(hard=False)


async def _device_reconnects(day: Day, chance: Random) -> None:
    await day.world.environment.drop_device_socket()


async def _connection_rotates(day: Day, chance: Random) -> None:
    await day.world.environment.rotate()


async def _environment_is_away(day: Day, chance: Random) -> None:
    environment: FakeEnvironment = day.world.environment
    await environment.go_offline(hard=chance.random() < 0.5)
    await asyncio.sleep(chance.random())  # how long it is away
    await environment.come_back(rotate=chance.random() < 0.5)


async def _posts_fail(day: Day, chance: Random) -> None:
    environment: FakeEnvironment = day.world.environment
    environment.fail_posts(times=chance.randint(1, 3), status=chance.choice((429, 500, 503)), retry_after=0.2)


async def _a_post_gets_no_answer(day: Day, chance: Random) -> None:
    day.world.environment.fail_posts(after=True)


async def _slack_fails(day: Day, chance: Random) -> None:
    slack: FakeSlack = day.world.slack
    method = chance.choice(("chat.postMessage", "chat.update"))
    slack.fail(method, "internal_error", status=500, times=chance.randint(1, 3))


async def _slack_is_busy(day: Day, chance: Random) -> None:
    method = chance.choice(("chat.postMessage", "chat.update"))
    day.world.slack.fail(method, "ratelimited", times=chance.randint(1, 3), retry_after=1)


async def _slack_gives_no_answer(day: Day, chance: Random) -> None:
    day.world.slack.fail("chat.postMessage", "internal_error", after=True)


OFTEN: tuple[Trouble, ...] = (
    _sockets_are_cut,
    _sockets_are_closed,
    _device_reconnects,
    _connection_rotates,
    _environment_is_away,
    _posts_fail,
    _a_post_gets_no_answer,
    _slack_fails,
    _slack_is_busy,
    _slack_gives_no_answer,
)


async def make_trouble(day: Day) -> None:
    """Make trouble of every kind, one after the other in any order, until the day is nearly over."""
    chance, kinds = Random(day.seed), list[Trouble]()
    soon = _EVERY
    while day.done < day.turns - _QUIET_AT_THE_END:
        day.went_on.clear()
        if day.done < soon or asyncio.get_running_loop().time() < day.calm:
            await day.went_on.wait()
            continue
        soon = day.done + chance.randint(1, 2 * _EVERY)
        if not kinds:
            kinds = chance.sample(OFTEN, len(OFTEN))
        await kinds.pop()(day, chance)
        day.world.environment.overtake = chance.random() < 0.5


def restarts(day: Day) -> list[tuple[int, str]]:
    """Return when a device or the relay starts again: all in the first tenth of the day.

    What lives on has as much again to warm up in before its memory is looked at.
    """
    chance = Random(day.seed)
    kinds = chance.sample(("device", "stop", "kill") * 3, 9) if day.turns > _SHORT else ["device", "kill"]
    moments = sorted(chance.sample(range(5, max(day.turns // 10, 9)), len(kinds)))
    return list(zip(moments, kinds, strict=True))


async def end(relay: RelayProcess, how: str) -> None:
    """End the relay as a supervisor does, or without a word."""
    if how == "kill":
        await relay.kill()
    else:
        assert await relay.stop() == 0
