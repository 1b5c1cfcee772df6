"""What operators see: every figure that is told, kept in a registry of its own, and asked for at /metrics.

Nobody imports this but a relay that is told to: prometheus_client is what it costs.
"""

import asyncio
import contextlib
import platform
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import product
from typing import Any

from aiohttp import web
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    ProcessCollector,
    Summary,
    disable_created_metrics,
)
from prometheus_client.aiohttp import make_aiohttp_handler

from relay import __version__
from relay.app.errors import StartError
from relay.config import MetricsConfig
from relay.domain.circuits import Held
from relay.domain.deliveries import Kind, State
from relay.environment.listeners import Listeners
from relay.slack import arrivals
from relay.slack.socket_mode import SocketMode
from relay.store import Store, StoreError
from relay.store.backlog import Backlog
from relay.use_cases.counting import OUTCOMES

_STORE_ANSWERS_WITHIN = 5.0
_KINDS = [kind.value for kind in Kind]
_ANSWERED = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 3.0)  # Slack gives up after three
_DECIDED = (1, 5, 15, 60, 300, 900, 3600, 4 * 3600, 24 * 3600)
_COMMITTED = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)
_WORKS = (1, 2, 4, 8, 16, 32, 64, 128, 256)

Labels = Mapping[str, Iterable[str]]


class Figures:
    """Takes the figures that the parts tell. What is not among them is a defect of whoever tells it."""

    def __init__(self, environments: Iterable[str]) -> None:
        # When each was begun doubles the answer, and nobody asks; the switch is the library's own.
        disable_created_metrics()  # type: ignore[no-untyped-call]  # the library's
        self.registry = CollectorRegistry()
        self._takers: dict[tuple[str, tuple[tuple[str, str], ...]], Callable[[float], None]] = {}
        self._count_arrivals()
        self._count_deliveries()
        self._count_decisions()
        reconnects = "Times the sockets of a conversation were opened again."
        self._counter("environment_reconnects", reconnects, environment=environments)
        waits = "Times Slack said that it is asked too much, and the seconds it wants to be left alone."
        self._keep("slack_rate_limit_wait_seconds", Summary, "observe", waits)
        self._count_commits()
        ProcessCollector(registry=self.registry)
        Info("relay_build", "Which relay this is.", registry=self.registry).info(
            {"version": __version__, "python": platform.python_version()}
        )

    def seen(self, name: str, value: float = 1.0, /, **labels: str) -> None:
        """Take one figure, from any thread. Raises nothing."""
        taker = self._takers.get((name, tuple(labels.items())))
        if taker is not None:  # one that is not known beforehand would have no bounds
            taker(value)

    def _count_arrivals(self) -> None:
        kinds = {"kind": arrivals.KINDS}
        self._counter(
            "arrivals", "What Slack brought, and what became of it.", **kinds, outcome=arrivals.OUTCOMES
        )
        self._histogram(
            "acknowledgement_seconds", "From an arrival to the answer Slack waits for.", _ANSWERED, **kinds
        )

    def _count_deliveries(self) -> None:
        outcomes = ("delivered", "retry", "refused")
        self._counter(
            "delivery_attempts", "Attempts to deliver, and how they ended.", kind=_KINDS, outcome=outcomes
        )

    def _count_decisions(self) -> None:
        self._counter("decisions", "Requests that came to an end, and how.", outcome=OUTCOMES)
        self._histogram(
            "decision_seconds", "From a request to its decision, or its expiry.", _DECIDED, outcome=OUTCOMES
        )

    def _count_commits(self) -> None:
        self._histogram("store_commit_seconds", "What a commit took, its works included.", _COMMITTED)
        self._histogram("store_commit_works", "How many works a commit held.", _WORKS)
        self._counter("store_failures", "Commits that failed: nothing of them was stored.")

    def _counter(self, name: str, words: str, **labels: Iterable[str]) -> None:
        self._keep(name, Counter, "inc", words, **labels)

    def _histogram(self, name: str, words: str, buckets: Iterable[float], **labels: Iterable[str]) -> None:
        self._keep(name, partial(Histogram, buckets=tuple(buckets)), "observe", words, **labels)

    def _keep(
        self, name: str, made: Callable[..., Any], way: str, words: str, **labels: Iterable[str]
    ) -> None:
        """Keep a figure from now on, at zero for each of its labels: a rate needs where it began."""
        metric = made(f"relay_{name}", words, list(labels), registry=self.registry)
        for values in product(*labels.values()):
            child = metric.labels(*values) if values else metric
            self._takers[name, tuple(zip(labels, values, strict=True))] = getattr(child, way)


@dataclass(frozen=True)
class Looked:
    """The parts that are looked at when somebody asks; without a `socket_mode` Slack calls over HTTP."""

    store: Store
    listeners: Listeners
    socket_mode: SocketMode | None
    environments: tuple[str, ...] = ()
    held: Callable[[str], Held | None] = lambda _: None
    leased: Callable[[], Collection[str]] = tuple

    async def backlog(self) -> list[Backlog] | None:
        """Return what waits, None: the store does not say."""
        try:
            async with asyncio.timeout(_STORE_ANSWERS_WITHIN):
                return await self.store.transact(lambda tx: tx.backlog())
        except (StoreError, TimeoutError):
            return None


class Standing:
    """How things stand: looked at when somebody asks, and not before."""

    def __init__(self, registry: CollectorRegistry, looked: Looked) -> None:
        self._looked = looked

        def gauge(name: str, words: str, *labels: str) -> Gauge:
            return Gauge(f"relay_{name}", words, labels, registry=registry)

        self._up = gauge("store_up", "Whether the store answers.")
        self._waiting = gauge("deliveries_waiting", "Deliveries that wait or are under way.", "kind", "state")
        self._oldest = gauge("deliveries_oldest_seconds", "Since when the oldest of them waits.", "kind")
        self._overdue = gauge("deliveries_overdue_seconds", "Since when the oldest due one is due.")
        self._listened = gauge("conversations_listened", "Conversations listened to.", "environment")
        self._sockets = gauge("environment_sockets_open", "Open sockets for those.", "environment")
        held = "Whether deliveries to it are held back: it takes nothing, and one at a time is tried."
        self._held = gauge("environment_held", held, "environment")
        leased = "Whether this relay holds it: of several on one store, one at a time."
        self._leased = gauge("environment_leased", leased, "environment")
        if looked.socket_mode is not None:
            self._slack = gauge("slack_sockets_open", "How many of the two sockets to Slack are open.")

    async def look(self) -> None:
        """Bring the figures up to date."""
        backlog = await self._looked.backlog()
        self._up.set(backlog is not None)
        self._set_backlog(backlog)
        for environment, sockets in self._looked.listeners.sockets.items():
            self._listened.labels(environment).set(len(sockets))
            self._sockets.labels(environment).set(sum(sockets))
        leased = self._looked.leased()
        for environment in self._looked.environments:
            self._leased.labels(environment).set(environment in leased)
            self._held.labels(environment).set(self._looked.held(environment) is not None)
        if self._looked.socket_mode is not None:
            self._slack.set(self._looked.socket_mode.connected)

    def _set_backlog(self, backlog: list[Backlog] | None) -> None:
        for gauge in (self._waiting, self._oldest):
            gauge.clear()
        if backlog is None:  # what is not known is not said
            self._overdue.set(float("nan"))
            return
        now = self._looked.store.now()
        by_kind = {one.kind: one for one in backlog}
        for kind in Kind:
            one = by_kind.get(kind) or Backlog(kind, 0, 0, now, None)
            self._waiting.labels(kind, State.PENDING).set(one.live - one.sending)
            self._waiting.labels(kind, State.SENDING).set(one.sending)
            self._oldest.labels(kind).set(_age(one.oldest, now))
        self._overdue.set(max((_age(one.due, now) for one in backlog), default=0.0))


def _age(since: datetime | None, now: datetime) -> float:
    return max(0.0, (now - since).total_seconds()) if since is not None else 0.0


async def serve_metrics(
    stack: contextlib.AsyncExitStack, config: MetricsConfig, figures: Figures, looked: Looked, log: Any
) -> int:
    """Answer at /metrics until the stack ends, and return on which port. Raises StartError."""
    standing, answer = Standing(figures.registry, looked), make_aiohttp_handler(figures.registry)

    async def metrics(request: web.Request) -> web.StreamResponse:
        await standing.look()
        return await answer(request)

    app = web.Application()
    app.router.add_get("/metrics", metrics)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    try:
        await web.TCPSite(runner, config.host, config.port).start()
    except OSError as problem:
        raise StartError(
            f"cannot tell metrics on {config.host} port {config.port}: {problem.strerror}; "
            "set RELAY_METRICS_PORT"
        ) from problem
    port: int = runner.addresses[0][1]
    log.info("metrics.serving", host=config.host, port=port)
    return port
