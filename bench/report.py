"""What is printed of the rounds: the table with its ratios, what was lost, and a line for each goal."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import isnan
from statistics import median
from typing import Protocol

from bench.contestants import BOLT, BOLT_HTTPX, NPM_BOLT, RELAY, SLOW_RELAY, Contestant
from bench.goals import goal_line, ratio
from bench.rounds import Figures

Results = Mapping[str, Sequence[Figures]]
_BESIDE = (BOLT, BOLT_HTTPX, NPM_BOLT)
FULL = 0.9  # of the load's core in use: what is measured may be the load's own limit


@dataclass(frozen=True)
class _Line:
    """One line of the table: the median over the rounds of a figure, in a unit people read."""

    title: str
    figure: str
    unit: str
    scale: float = 1.0


_LINES = (
    _Line("ack p50 at 50/s", "ack_p50", "ms", 1e3),
    _Line("ack p99 at 50/s", "ack_p99", "ms", 1e3),
    _Line("command to endpoint p50 at 50/s", "arrival_p50", "ms", 1e3),
    _Line("command to endpoint p99 at 50/s", "arrival_p99", "ms", 1e3),
    _Line("acks a second, saturated", "acks", "/s"),
    _Line("forwarded a second, saturated", "forwards", "/s"),
    _Line("forwarded a second, 64 on the way", "forwards_in_step", "/s"),
    _Line("sustainable, p99 below 250 ms", "sustainable", "/s"),
    _Line("CPU a command, saturated", "cpu", "ms", 1e3),
    _Line("memory after it", "memory", "MB"),
    _Line("start to listening", "listens", "s"),
    _Line("start to ready", "ready", "s"),
    _Line("start to all of them heard", "heard", "s"),
)


class Medians:
    """The medians over the rounds."""

    def __init__(self, results: Results) -> None:
        self._results = results

    def __contains__(self, name: str) -> bool:
        return bool(self._results.get(name))

    def of(self, name: str, figure: str) -> float:
        """Return the median of a figure of a contestant; NaN where it is not measured."""
        return median(float(getattr(one, figure)) for one in self._results[name])


@dataclass(frozen=True)
class _Goal:
    """A limit to a figure of one contestant, divided by a figure of another where one is named."""

    name: str
    sign: str
    limit: float
    figure: str
    over: tuple[str, str] | None = None
    whose: str = RELAY.name

    def line(self, medians: Medians) -> str:
        measured = medians.of(self.whose, self.figure)
        return goal_line(
            self.name,
            ratio(measured, medians.of(*self.over)) if self.over else measured,
            self.sign,
            self.limit,
        )

    def is_measured(self, medians: Medians) -> bool:
        return self.whose in medians and (self.over is None or self.over[0] in medians)


_GOALS = (
    _Goal("ack-p50-vs-bolt", "<=", 0.30, "ack_p50", (BOLT.name, "ack_p50")),
    _Goal("ack-p50-vs-bolt-httpx", "<=", 0.30, "ack_p50", (BOLT_HTTPX.name, "ack_p50")),
    _Goal("forwarded-vs-bolt-acks", ">=", 0.45, "forwards", (BOLT.name, "acks")),
    _Goal("forwarded-vs-bolt-httpx", ">=", 3.00, "forwards", (BOLT_HTTPX.name, "forwards")),
    _Goal("sustainable-vs-bolt-httpx", ">=", 3.00, "sustainable", (BOLT_HTTPX.name, "sustainable")),
    _Goal("sustainable-vs-npm-bolt", ">=", 1.00, "sustainable", (NPM_BOLT.name, "sustainable")),
    _Goal("slow-sync-vs-normal", ">=", 0.80, "forwards", (RELAY.name, "forwards"), SLOW_RELAY.name),
    _Goal("ready-s", "<=", 1.50, "ready"),
    _Goal("memory-mb", "<=", 130.0, "memory"),
)


def goals(results: Results) -> list[str]:
    """Return the line of each goal whose contestants took part."""
    medians = Medians(results)
    return [goal.line(medians) for goal in _GOALS if goal.is_measured(medians)]


def report(results: Results, contestants: Sequence[Contestant], left_out: Sequence[str]) -> str:
    """Return the table and what became of the commands."""
    medians = Medians(results)
    there = [one for one in contestants if one.name in medians]
    losses = [loss(one, results[one.name]) for one in there]
    lines = [_side_by_side(medians, there), "", *losses, *(f"left out: {reason}" for reason in left_out)]
    if any(medians.of(one.name, "load_busy") >= FULL for one in there):
        lines.append(
            "full: the load's own core was the limit, so that the rates of this column may be higher"
        )
    return "\n".join(lines)


def _side_by_side(medians: Medians, contestants: Sequence[Contestant]) -> str:
    beside = [one for one in _BESIDE if one.name in medians]
    head = ["", *(one.short for one in contestants), *(f"(e)/{one.short[:3]}" for one in beside)]
    rows = [head, *(_row(line, medians, contestants, beside) for line in _LINES)]
    rows.append(["load and neighbours' core in use", *(_busy(medians, one.name) for one in contestants)])
    rows[-1] += [""] * (len(head) - len(rows[-1]))
    return table(rows)


def table(rows: Sequence[list[str]]) -> str:
    """Return rows as lines in columns, the first one to the left."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(_aligned(row, widths) for row in rows)


def _aligned(row: list[str], widths: list[int]) -> str:
    first, *rest = zip(row, widths, strict=True)
    return "  ".join([first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in rest)]).rstrip()


def _row(
    line: _Line, medians: Medians, contestants: Sequence[Contestant], beside: Sequence[Contestant]
) -> list[str]:
    values = {one.name: medians.of(one.name, line.figure) for one in contestants}
    cells = [or_dash(values[one.name] * line.scale, f" {line.unit}") for one in contestants]
    ratios = [or_dash(ratio(values[RELAY.name], values[one.name]), "") for one in beside]
    return [line.title, *cells, *ratios]


def _busy(medians: Medians, name: str) -> str:
    return share(medians.of(name, "load_busy"))


def share(busy: float) -> str:
    """Return the share of a core in use, marked where it may have been the limit."""
    return "-" if isnan(busy) else f"{busy:.0%}{' full' if busy >= FULL else ''}"


def or_dash(value: float, unit: str) -> str:
    """Return a value as people read it; a dash where there is none."""
    return "-" if isnan(value) else f"{value:.2f}{unit}"


class Counted(Protocol):
    """What counts the commands of a round."""

    @property
    def sent(self) -> int: ...
    @property
    def refused(self) -> int: ...
    @property
    def lost(self) -> int: ...
    @property
    def doubled(self) -> int: ...


def loss(one: Contestant, rounds: Sequence[Counted]) -> str:
    """Return what became of the commands of all the rounds of a contestant."""

    def total(count: Callable[[Counted], int]) -> int:
        return sum(count(each) for each in rounds)

    sent, refused = total(lambda each: each.sent), total(lambda each: each.refused)
    lost, doubled = total(lambda each: each.lost), total(lambda each: each.doubled)
    arrived = f"; of these lost or late {lost}, doubled {doubled}" if one.forwards else ""
    return f"{one.title}: sent {sent}, not acknowledged {refused}, acknowledged {sent - refused}{arrived}"
