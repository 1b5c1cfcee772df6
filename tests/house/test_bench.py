"""The measurements are judged rightly: the search for a sustained rate, and the form of a goal's line."""

import re
from collections.abc import Awaitable, Callable
from math import inf, nan

import pytest

from bench.contestants import BOLT, BOLT_HTTPX, NPM_BOLT, RELAY, SLOW_RELAY
from bench.goals import goal_line, ratio
from bench.load import Outcome
from bench.report import goals
from bench.rounds import Figures
from bench.stub import Arrivals
from bench.sustainable import WITHIN, Watch, highest, is_sustained

GOAL = re.compile(r"goal [a-z0-9-]+ measured (\d+\.\d\d|nan) to-reach (>=|<=)\d+\.\d\d (ok|short)")
SECONDS = 3.0  # of a simulated probe


class FakeServer:
    """Takes commands one after the other, so many a second; loses all but the first `most` of a probe."""

    def __init__(self, capacity: float, most: float = inf) -> None:
        self.capacity = capacity
        self.most = most
        self.probes: list[float] = []

    async def holds(self, rate: float) -> bool:
        self.probes.append(rate)
        return is_sustained(*self.serve(rate))

    def serve(self, rate: float) -> tuple[Outcome, Arrivals]:
        outcome, arrivals, free = Outcome(), Arrivals(), 0.0
        for number in range(max(int(rate * SECONDS), 1)):
            moment = number / rate
            free = max(free, moment) + 1 / self.capacity
            outcome.due.append((number, moment))
            if number < self.most:
                arrivals.moments[number] = free
        return outcome, arrivals


def up_to(limit: float, asked: list[float] | None = None) -> Callable[[float], Awaitable[bool]]:
    async def holds(rate: float) -> bool:
        if asked is not None:
            asked.append(rate)
        return rate <= limit

    return holds


@pytest.mark.parametrize("limit", [3.0, 47.0, 610.0, 8_000.0])
@pytest.mark.parametrize("start", [1.0, 50.0, 600.0, 5_000.0])
async def test_the_search_ends_just_below_the_limit_wherever_it_begins(limit: float, start: float) -> None:
    asked: list[float] = []
    found = await highest(up_to(limit, asked), start, close=1.05)
    assert limit / 1.05 <= found <= limit
    assert len(asked) <= 16


async def test_a_search_that_begins_near_the_limit_is_short() -> None:
    asked: list[float] = []
    await highest(up_to(500.0, asked), 480.0, close=1.05)
    assert len(asked) <= 6
    asked.clear()
    assert 500.0 / 1.05 <= await highest(up_to(500.0, asked), 480.0, close=1.05, step=1.1) <= 500.0
    assert len(asked) <= 4


async def test_a_server_that_keeps_up_with_nothing_sustains_nothing() -> None:
    assert await highest(up_to(0.0), 600.0) == 0.0


async def test_a_queue_that_grows_is_not_sustained() -> None:
    server = FakeServer(capacity=400)
    found = await highest(server.holds, 100.0)
    # What a probe can tell: that nothing was more than WITHIN behind when it ended.
    assert 400 / 1.05 <= found <= 400 * (1 + WITHIN / SECONDS) + 1


async def test_a_lost_command_is_not_sustained_however_fast_the_rest() -> None:
    server = FakeServer(capacity=10_000, most=900)
    found = await highest(server.holds, 100.0)
    assert 300 / 1.05 <= found <= 301


async def test_a_refused_command_is_not_sustained() -> None:
    outcome, arrivals = FakeServer(capacity=1_000).serve(100)
    assert is_sustained(outcome, arrivals)
    outcome.refused = 1
    assert not is_sustained(outcome, arrivals)


def test_a_probe_ends_early_once_more_than_one_in_a_hundred_are_late() -> None:
    outcome, arrivals = FakeServer(capacity=100).serve(400)
    now = 0.0
    watch = Watch(arrivals, len(outcome.due), lambda: now)
    sent = Outcome()
    for number, moment in outcome.due:
        now = moment
        sent.due.append((number, moment))
        if watch(sent):
            break
    assert watch.failed
    assert len(sent.due) < len(outcome.due) / 3


def test_a_probe_in_time_runs_to_its_end() -> None:
    outcome, arrivals = FakeServer(capacity=500).serve(400)
    watch = Watch(arrivals, len(outcome.due), lambda: SECONDS + 1)
    assert not watch(outcome)


@pytest.mark.parametrize(
    ("measured", "sign", "limit", "line"),
    [
        (0.304, "<=", 0.3, "goal some-figure measured 0.30 to-reach <=0.30 ok"),
        (0.306, "<=", 0.3, "goal some-figure measured 0.31 to-reach <=0.30 short"),
        (3, ">=", 3, "goal some-figure measured 3.00 to-reach >=3.00 ok"),
        (2.99, ">=", 3, "goal some-figure measured 2.99 to-reach >=3.00 short"),
        (nan, ">=", 3, "goal some-figure measured nan to-reach >=3.00 short"),
        (ratio(5, 0), "<=", 3, "goal some-figure measured nan to-reach <=3.00 short"),
    ],
)
def test_a_goal_is_judged_as_it_is_shown(measured: float, sign: str, limit: float, line: str) -> None:
    assert goal_line("some-figure", measured, sign, limit) == line


def figures(**changed: float) -> Figures:
    ones = dict.fromkeys(Figures.__dataclass_fields__, 1.0)
    return Figures(**ones | changed)  # type: ignore[arg-type] # counts are whole, which no goal minds


def test_each_goal_has_the_stated_form_and_compares_medians() -> None:
    relay = [figures(forwards=rate, memory=100) for rate in (30, 900, 60)]
    slow = [figures(forwards=45)] * 3
    others = {one.name: [figures(acks=100)] * 3 for one in (BOLT, BOLT_HTTPX, NPM_BOLT)}
    lines = goals({**others, RELAY.name: relay, SLOW_RELAY.name: slow})
    assert [line for line in lines if not GOAL.fullmatch(line)] == []
    assert "goal forwarded-vs-bolt-acks measured 0.60 to-reach >=0.45 ok" in lines
    assert "goal slow-sync-vs-normal measured 0.75 to-reach >=0.80 short" in lines
    assert "goal memory-mb measured 100.00 to-reach <=130.00 ok" in lines


def test_a_goal_of_one_who_took_no_part_has_no_line() -> None:
    names = [line.split()[1] for line in goals({one.name: [figures()] for one in (BOLT, BOLT_HTTPX, RELAY)})]
    assert "ack-p50-vs-bolt" in names
    assert not {"sustainable-vs-npm-bolt", "slow-sync-vs-normal"} & set(names)
