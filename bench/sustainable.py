"""The highest rate that a server sustains: how it is looked for, and when a rate counts as sustained."""

from collections.abc import Awaitable, Callable
from math import inf, nan, sqrt
from time import perf_counter

from bench.load import Outcome
from bench.stub import Arrivals

WITHIN = 0.25  # seconds from a command's moment to its arrival at the endpoint
SHARE_LATE = 0.01  # of the commands of a probe
_LARGEST_STEP = 4.0
_LOWEST, _HIGHEST = 1.0, 50_000.0


async def highest(
    holds: Callable[[float], Awaitable[bool]], start: float, close: float = 1.05, step: float = 1.3
) -> float:
    """Return a rate that holds while `close` times that rate does not; 0 when none holds.

    By growing steps from `start` to a rate that holds and one that does not; then by halves in between.
    """
    sustained, failed, rate = 0.0, inf, max(start, _LOWEST)
    while failed > sustained * close and failed > _LOWEST and sustained < _HIGHEST:
        if await holds(rate):
            sustained = rate
        else:
            failed = rate
        if sustained and failed < inf:
            rate = sqrt(sustained * failed)
        else:
            rate = sustained * step if sustained else failed / step
            step = min(step * step, _LARGEST_STEP)
    return sustained


class Watch:
    """Counts commands late at their endpoint, so that a probe that has failed ends before its time."""

    def __init__(self, arrivals: Arrivals, planned: int, clock: Callable[[], float] = perf_counter) -> None:
        self._moments = arrivals.moments
        self._allowed = planned * SHARE_LATE
        self._clock = clock
        self._seen = self._late = 0

    @property
    def failed(self) -> bool:
        """Whether more are late than may be."""
        return self._late > self._allowed

    def __call__(self, outcome: Outcome) -> bool:
        """Look at those whose time ran out since the last look; return whether the probe has failed."""
        latest = self._clock() - WITHIN
        while self._seen < len(outcome.due) and outcome.due[self._seen][1] < latest:
            number, moment = outcome.due[self._seen]
            self._late += self._moments.get(number, inf) > moment + WITHIN
            self._seen += 1
        return self.failed


def times_to_arrival(outcome: Outcome, arrivals: Arrivals) -> list[float]:
    """Return the seconds from each command's moment to its arrival; infinite for one that never came."""
    return [arrivals.moments.get(number, inf) - moment for number, moment in outcome.due]


def is_sustained(outcome: Outcome, arrivals: Arrivals) -> bool:
    """Return whether every command was acknowledged and arrived, 99 of 100 soon enough."""
    times = times_to_arrival(outcome, arrivals)
    lost = outcome.refused or inf in times
    return bool(times) and not lost and percentile(times, 1 - SHARE_LATE) < WITHIN


def percentile(values: list[float], share: float) -> float:
    """Return the value that `share` of all `values` do not exceed."""
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)] if ordered else nan
