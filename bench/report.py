"""What is printed: the table with its ratios, what was lost, and a line for each goal."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from bench.contestants import BOLT, BOLT_HTTPX, CONTESTANTS, RELAY
from bench.rounds import Figures

Results = Mapping[str, Sequence[Figures]]


@dataclass(frozen=True)
class _Line:
    """One line of the table: the median over the rounds of a figure, in a unit people read."""

    title: str
    value: Callable[[Figures], float]
    unit: str
    scale: float = 1.0
    of: tuple[str, ...] = (BOLT.name, BOLT_HTTPX.name, RELAY.name)


_FORWARDING = (BOLT_HTTPX.name, RELAY.name)
_LINES = (
    _Line("ack p50 at 50/s", lambda one: one.ack_p50, "ms", 1e3),
    _Line("ack p99 at 50/s", lambda one: one.ack_p99, "ms", 1e3),
    _Line("acks a second, saturated", lambda one: one.acks, "/s"),
    _Line("forwarded a second, saturated", lambda one: one.forwards, "/s", of=_FORWARDING),
    _Line("forwarded a second, 64 on the way", lambda one: one.forwards_in_step, "/s", of=_FORWARDING),
    _Line("CPU a command, saturated", lambda one: one.cpu, "ms", 1e3),
    _Line("memory after it", lambda one: one.memory, "MB"),
    _Line("start to listening", lambda one: one.listens, "s"),
    _Line("start to ready, 200 conversations", lambda one: one.ready, "s", of=(RELAY.name,)),
    _Line("load and neighbours' core in use", lambda one: one.load_busy, "%", 100),
)


@dataclass(frozen=True)
class _Goal:
    name: str
    figure: Callable[[Figures], float]
    of: str
    least: bool
    limit: float

    def line(self, results: Results) -> str:
        """Return the goal's line: the relay's median over the other's, rounded as it is judged."""
        measured = round(
            _median(results, RELAY.name, self.figure) / _median(results, self.of, self.figure), 2
        )
        reached = measured >= self.limit if self.least else measured <= self.limit
        sign, verdict = ">=" if self.least else "<=", "ok" if reached else "short"
        return f"goal {self.name} measured {measured:.2f} to-reach {sign}{self.limit:.2f} {verdict}"


_GOALS = (
    _Goal("ack-p50-vs-bolt", lambda one: one.ack_p50, BOLT.name, least=False, limit=0.30),
    _Goal("ack-p50-vs-bolt-httpx", lambda one: one.ack_p50, BOLT_HTTPX.name, least=False, limit=0.30),
    _Goal("forwarded-vs-bolt-httpx", lambda one: one.forwards, BOLT_HTTPX.name, least=True, limit=3.00),
)


def report(results: Results) -> str:
    """Return everything that is printed at the end of a run."""
    goals = "\n".join(goal.line(results) for goal in _GOALS)
    return f"{_table(results)}\n\n{_losses(results)}\n\n{goals}"


def _median(results: Results, name: str, figure: Callable[[Figures], float]) -> float:
    return median(figure(one) for one in results[name])


def _table(results: Results) -> str:
    head = ["", *(one.title for one in CONTESTANTS), "(e)/(b)", "(e)/(c)"]
    rows = [head, *(_row(line, results) for line in _LINES)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if place else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )


def _row(line: _Line, results: Results) -> list[str]:
    values = {name: _median(results, name, line.value) * line.scale for name in line.of}
    cells = [f"{values[one.name]:.2f} {line.unit}" if one.name in values else "-" for one in CONTESTANTS]
    relay = values[RELAY.name]
    ratios = [
        f"{relay / values[name]:.2f}" if values.get(name) else "-" for name in (BOLT.name, BOLT_HTTPX.name)
    ]
    return [line.title, *cells, *ratios]


def _losses(results: Results) -> str:
    lines = []
    for one in CONTESTANTS:
        rounds = results[one.name]
        sent, refused = sum(each.sent for each in rounds), sum(each.refused for each in rounds)
        lost, doubled = sum(each.lost for each in rounds), sum(each.doubled for each in rounds)
        arrived = f"; of these lost or late {lost}, doubled {doubled}" if one.forwards else ""
        lines.append(
            f"{one.title}: sent {sent}, not acknowledged {refused}, acknowledged {sent - refused}{arrived}"
        )
    return "\n".join(lines)
