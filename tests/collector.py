"""A stand-in for a collector of traces: takes OTLP over HTTP, as protobuf, on a port of its own."""

import asyncio
import gzip
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)


@dataclass(frozen=True)
class Step:
    """One span, as it came over the wire."""

    name: str
    trace_id: str
    span_id: str
    parent_id: str
    facts: dict[str, Any]
    failed: bool
    service: str


@dataclass
class Collector:
    """What was collected."""

    url: str = ""
    steps: list[Step] = field(default_factory=list)
    wire: bytes = b""
    headers: list[dict[str, str]] = field(default_factory=list)
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    sent_elsewhere: int = 0

    async def send_elsewhere(self, request: web.Request) -> web.Response:
        """Name the right place, to somebody who should not go there."""
        self.sent_elsewhere += 1
        return web.Response(status=307, headers={"Location": f"{self.url}/v1/traces"})

    async def take(self, request: web.Request) -> web.Response:
        """Take a batch."""
        body = await request.read()
        body = gzip.decompress(body) if request.headers.get("Content-Encoding") == "gzip" else body
        sent = ExportTraceServiceRequest.FromString(body)
        async with self._changed:
            self.headers.append(dict(request.headers))
            self.wire += body
            for resource in sent.resource_spans:
                service = _facts(resource.resource.attributes)["service.name"]
                for scope in resource.scope_spans:
                    self.steps += [_step(span, service) for span in scope.spans]
            self._changed.notify_all()
        answer = ExportTraceServiceResponse().SerializeToString()
        return web.Response(body=answer, content_type="application/x-protobuf")

    def named(self, name: str, **facts: Any) -> list[Step]:
        """Return the steps of a name that have these facts."""
        return [one for one in self.steps if one.name == name and facts.items() <= one.facts.items()]

    async def seen(self, wanted: Callable[["Collector"], Any]) -> Any:
        """Wait until something was collected and return it."""
        try:
            async with asyncio.timeout(20), self._changed:
                return await self._changed.wait_for(lambda: wanted(self))
        except TimeoutError:
            raise AssertionError("\n".join(map(str, self.steps))) from None

    def ancestors(self, step: Step) -> list[str]:
        """Return the names of the steps that led to one, the nearest first."""
        by_id = {one.span_id: one for one in self.steps}
        found = []
        while step.parent_id in by_id:
            step = by_id[step.parent_id]
            found.append(step.name)
        return found


def _facts(attributes: Any) -> dict[str, Any]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in attributes}


def _step(span: Any, service: str) -> Step:
    ids = (span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex())
    return Step(span.name, *ids, _facts(span.attributes), span.status.code == 2, service)


@asynccontextmanager
async def collector() -> AsyncIterator[Collector]:
    """Give a collector that listens."""
    made = Collector()
    application = web.Application(client_max_size=2**24)
    application.router.add_post("/v1/traces", made.take)
    application.router.add_post("/elsewhere", made.send_elsewhere)
    async with TestServer(application, host="127.0.0.1") as server:
        made.url = str(server.make_url("/")).rstrip("/")
        yield made
