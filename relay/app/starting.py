"""Starts a relay, and stops it in the reverse order within ten seconds."""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from relay import __version__
from relay.app.auditing import Auditing
from relay.app.errors import StartError
from relay.app.http_clients import http_clients
from relay.app.log import watch_loop
from relay.app.opening import SLACK_TIMEOUT, Many, One, slack_options
from relay.app.parts import Parts
from relay.config import Config
from relay.config.tracing import TRACING_FIX, UNSENT
from relay.domain.seen import unseen
from relay.domain.store_urls import store_name
from relay.domain.traced import Traced, untraced
from relay.store import Store

if TYPE_CHECKING:
    from relay.app.metrics import Figures
    from relay.app.tracing import Traces

_LAST_TRACES = 2.0  # seconds


@dataclass
class App:
    """A running relay. `port` is where it listens; `stop` ends it, keeping what is not done."""

    config: Config
    log: Any
    at: Callable[[str], None] = lambda _: None
    port: int = 0
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    _parts: "Parts | None" = None

    async def serve(self, stop: asyncio.Event) -> None:
        """Serve until `stop` is set. Raises StartError, StoreError, and PartEndedError after a defect."""
        async with contextlib.AsyncExitStack() as stack:
            stack.callback(watch_loop(asyncio.get_running_loop(), self.log))
            parts = await _unless(stop, self._start(stack))
            if parts is None:
                return
            self.port = parts.port
            self._parts = parts
            self.ready.set()
            self.log.info(
                "relay.serving",
                version=__version__,
                store=store_name(self.config.store_url),
                host=self.config.host,
                port=self.port,
                socket_mode=parts.socket_mode is not None,
            )
            await parts.until(stop)
            self.log.info("relay.stopping")
        self.log.info("relay.stopped")

    async def reload(self, load: Callable[[], Config]) -> None:
        """Take up the configuration that `load` returns, once it serves, or put on the log why not."""
        await self.ready.wait()
        if self._parts is not None:
            await self._parts.reload(load)

    def _audit_retention(self) -> timedelta | None:
        present = self._parts.present.config if self._parts is not None else self.config
        return present.audit.retention

    async def _start(self, stack: contextlib.AsyncExitStack) -> "Parts":
        keys = [key.get_secret_value().encode() for key in self.config.audit.keys]
        figures, traces = _figures(self.config), _traces(self.config, self.log)
        seen = figures.seen if figures is not None else unseen
        store = Store.open(self.config.store_url, audit_keys=keys, at=self.at, seen=seen)
        stack.push_async_callback(store.close)
        traced: Traced = untraced
        if traces is not None:  # what the last attempts tell goes along
            stack.push_async_callback(traces.finish, _LAST_TRACES)
            store.traced = traced = traces.traced
        auditing = Auditing(store, self._audit_retention, self.log)
        stack.push_async_callback(auditing.finish)
        http = await stack.enter_async_context(http_clients(SLACK_TIMEOUT))
        opened = await self._opened(store, slack_options(self.config, http, seen))
        stack.push_async_callback(opened.finish)
        parts = Parts(self.config, store, http, opened.opening, self.log, self.at, seen, traced)
        await parts.start(stack, auditing.run, opened.run)
        if figures is not None:
            await parts.tell_figures(stack, figures)
        return parts

    async def _opened(self, store: Store, options: dict[str, Any]) -> One | Many:
        oauth = self.config.slack.oauth
        if oauth is None:
            return await One.open(self.config, options)
        return await Many.open(oauth, store, options, self.log)


def _figures(config: Config) -> "Figures | None":
    """Return what takes figures where they are told; a relay without that never loads their library."""
    if config.metrics.port is None:
        return None
    from relay.app.metrics import Figures

    return Figures(config.environments)


def _traces(config: Config, log: Any) -> "Traces | None":
    """Return what follows things where that is asked for, and can be. Raises StartError."""
    tracing = config.tracing
    if not tracing.endpoint:
        if tracing.off:
            log.warning("tracing.off", reason=tracing.off)
        return None
    try:
        from relay.app.tracing import Traces
    except ImportError:
        missing = f"{tracing.where} {UNSENT}: {TRACING_FIX}"
        if tracing.wanted:
            raise StartError(missing) from None
        log.warning("tracing.off", reason=missing)  # it may be said to all on a machine
        return None
    return Traces(tracing.endpoint, log.warning)


async def _unless(stop: asyncio.Event, starting: "Coroutine[Any, Any, Parts]") -> "Parts | None":
    """Return what `starting` returns, or None when told to stop before: a slow start is cut short."""
    start, stopping = asyncio.create_task(starting), asyncio.create_task(stop.wait())
    await asyncio.wait({start, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if start.done():
        return await start
    start.cancel()
    await asyncio.gather(start, return_exceptions=True)
    return None
