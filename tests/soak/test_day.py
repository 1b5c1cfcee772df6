"""A day of life compressed: turn after turn with everything going wrong, and nothing lost or doubled.

`make test` has a short day; `make nightly` has whole ones, of 2,000 turns, by more seeds.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.crash.relay_process import RelayProcess, running
from tests.soak import facts
from tests.soak.day import Day
from tests.soak.troubles import end, make_trouble, restarts
from tests.world import World, world

NIGHTLY = os.environ.get("HYPOTHESIS_PROFILE") == "nightly"
DAYS = [(48, 1)] + [(2_000, seed) for seed in range(1, 4) if NIGHTLY]
# From turn 800 to turn 2,000: what has a bound is full by then (SQLite's pages, the frames remembered), and
# what is imported once relay is ready is there in a short day too. A leak of 5 KB a turn would be more.
MAY_GROW_BY_MB = 6.0
_WARM, _PARTS = 4, 10  # of the day, in tenths
LOST_AFTER = 15.0


@dataclass
class Memory:
    """How much memory the relay had after so many tenths of the day, in megabytes."""

    by_part: dict[int, float] = field(default_factory=dict)

    def note(self, part: int, relay: RelayProcess) -> None:
        """Note what it has after so many tenths of the day."""
        status = Path(f"/proc/{relay.pid}/status").read_text(encoding="ascii")
        resident = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
        self.by_part[part] = int(resident.split()[1]) / 1024

    @property
    def growth(self) -> float:
        """By how much it grew from the end of the warm-up to the end of the day."""
        return self.by_part[_PARTS] - self.by_part[_WARM]


async def lived_through(day: Day, memory: Memory) -> None:
    """Live through a day in which the relay ends and starts again, and the device too."""
    living = asyncio.create_task(day.live())
    trouble = asyncio.create_task(make_trouble(day))
    ahead = restarts(day)
    try:
        while not await _one_run(day, ahead, living, memory):
            pass
    finally:
        for task in (living, trouble):
            task.cancel()
        await asyncio.gather(living, trouble, return_exceptions=True)


async def _one_run(
    day: Day, ahead: list[tuple[int, str]], living: "asyncio.Task[None]", memory: Memory
) -> bool:
    """Live with one relay until it ends; return whether that is the end of the day."""
    async with up(day) as relay:
        while ahead:
            moment, what = ahead.pop(0)
            await until(day, moment, living)
            if what != "device":
                day.up.clear()
                await end(relay, what)
                return False
            # What it lost is known for lost only after some seconds without a drop.
            day.calm = asyncio.get_running_loop().time() + LOST_AFTER
            await day.restart_device()
        for part in range(_WARM, _PARTS):
            await until(day, day.turns * part // _PARTS, living)
            memory.note(part, relay)
        await living
        memory.note(_PARTS, relay)
        await settled(day)
        day.up.clear()
        await end(relay, "stop")
        return True


@asynccontextmanager
async def up(day: Day) -> AsyncIterator[RelayProcess]:
    """Give a relay that serves the people of the day."""
    async with running(day.world) as relay:
        day.up.set()
        yield relay
        day.up.clear()


async def until(day: Day, turns: int, living: "asyncio.Task[None]") -> None:
    """Wait until so many turns are over."""
    while day.done < turns and not living.done():
        day.went_on.clear()
        waiting = asyncio.create_task(day.went_on.wait())
        await asyncio.wait({waiting, living}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()


async def settled(day: Day) -> None:
    """Wait until every card tells its end."""
    await day.world.slack.wait_for(lambda _: not facts.untrue_cards(day), 60)


@pytest.fixture
async def idle(tmp_path: Path) -> AsyncIterator[World]:
    """Both stand-ins, and a relay that the test starts itself."""
    async with world(tmp_path) as made:
        yield made


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("turns", "seed"), DAYS)
async def test_nothing_is_lost_or_doubled_in_a_day_of_trouble(idle: World, turns: int, seed: int) -> None:
    day, memory = Day(idle, turns, seed), Memory()
    await lived_through(day, memory)
    assert day.done == turns
    assert facts.lost(day) + facts.doubled(day) == []
    assert facts.without_one_root(day) == []
    assert facts.without_one_answer(day) == []
    assert facts.unposted(day) + facts.given_up(day) == []
    assert facts.undecided(day) + facts.decided_as_two(day) + facts.wrongly_run(day) == []
    assert facts.untrue_cards(day) + facts.without_one_card(day) == []
    assert len(facts.unsure_cards(day)) < turns / 20 + 5
    assert memory.growth < MAY_GROW_BY_MB, memory.by_part
