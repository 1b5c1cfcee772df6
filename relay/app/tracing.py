"""Sends what is followed to a collector, over OTLP/HTTP.

Nobody imports this but a relay that is told to: OpenTelemetry is what it costs. What else there is to set,
the standard OTEL_ variables say to the library itself: headers, sampling, limits, the service's name.
"""

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import requests
from opentelemetry import trace as api
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanContext, SpanKind, TraceFlags

from relay import __version__
from relay.domain.traced import TRACE, Kind, Span

_KINDS = {"arrival": SpanKind.SERVER, "leaving": SpanKind.CLIENT, "within": SpanKind.INTERNAL}
_LIBRARY = "opentelemetry"
_SILENCE = 60.0  # seconds between two lines about what was not sent
_HEX = 16


class _Staying(requests.Session):
    """Goes nowhere else than it was told to: whoever redirects would be shown the collector's headers."""

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Name nothing to follow."""


class _Says(logging.Handler):
    """Tells our log that something goes wrong with the sending, now and then; the library quotes answers."""

    def __init__(self, warn: Callable[..., Any]) -> None:
        super().__init__(logging.ERROR)
        self._warn = warn
        self._said_at = -_SILENCE

    def emit(self, record: logging.LogRecord) -> None:
        now = time.monotonic()
        if now - self._said_at >= _SILENCE:
            self._said_at = now
            self._warn("tracing.not_sent", source=record.name)


class Traces:
    """Follows things, and sends what it saw to `endpoint`, a batch at a time.

    What cannot be sent is lost, and nothing waits for it; `warn` is told.
    """

    def __init__(self, endpoint: str, warn: Callable[..., Any]) -> None:
        self._says = _Says(warn)
        library = logging.getLogger(_LIBRARY)
        library.addHandler(self._says)
        library.propagate = False
        named = Resource({SERVICE_NAME: "relay", SERVICE_VERSION: __version__})
        # A provider of its own, and not the process's: two relays in one process do not mix.
        self._provider = TracerProvider(
            resource=named.merge(OTELResourceDetector().detect()), shutdown_on_exit=False
        )
        self._provider.add_span_processor(
            BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint, session=_Staying()))
        )
        self._tracer = self._provider.get_tracer("relay", __version__)

    @contextlib.contextmanager
    def traced(
        self, name: str, /, *, parent: str = "", kind: Kind = "within", **facts: str | int
    ) -> Iterator[Span]:
        """Follow one step; `parent` names the one before it. What is raised is told by its kind alone."""
        span = self._tracer.start_span(
            name, context=_behind(parent), kind=_KINDS[kind], attributes=_attributes(facts)
        )
        step = _Step(span)
        before = TRACE.set(step.trace)
        try:
            yield step
        except BaseException as problem:
            step.tell(error=type(problem).__name__)
            span.set_status(api.StatusCode.ERROR)
            raise
        finally:
            TRACE.reset(before)
            span.end()

    async def finish(self, seconds: float) -> None:
        """Send what was not sent yet, for so long at most: a collector that is away holds up no stop."""
        loop, done = asyncio.get_running_loop(), asyncio.Event()

        def shut_down() -> None:
            self._provider.shutdown()
            with contextlib.suppress(RuntimeError):  # nobody waits any more
                loop.call_soon_threadsafe(done.set)

        threading.Thread(target=shut_down, name="last-traces", daemon=True).start()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await done.wait()
        logging.getLogger(_LIBRARY).removeHandler(self._says)


class _Step:
    """A step that is followed."""

    def __init__(self, span: api.Span) -> None:
        self._span = span
        context = span.get_span_context()
        self.trace = f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"

    def tell(self, **facts: str | int) -> None:
        self._span.set_attributes(_attributes(facts))


def _attributes(facts: dict[str, str | int]) -> dict[str, str | int]:
    return {f"relay.{name}": value for name, value in facts.items() if value not in ("", None)}


def _behind(parent: str) -> Context:
    """Return where a step stands: behind its parent, or at the head of a trace of its own."""
    nowhere = Context()
    parts = parent.split("-")
    if len(parts) != 4:
        return nowhere
    try:
        trace_id, span_id, flags = (int(one, _HEX) for one in parts[1:])
    except ValueError:
        return nowhere
    known = SpanContext(trace_id, span_id, is_remote=True, trace_flags=TraceFlags(flags))
    return api.set_span_in_context(api.NonRecordingSpan(known), nowhere) if known.is_valid else nowhere
