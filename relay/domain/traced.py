"""What a part tells whoever follows one thing through relay, from its arrival to its outcome.

Nobody follows unless asked to. Where a thing is followed, its trace is a W3C `traceparent`, which goes along
with what is stored of it: https://www.w3.org/TR/trace-context/#traceparent-header
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from contextvars import Context, ContextVar, copy_context
from typing import Any, Literal, Protocol, Self

# The trace of what is done here and now; empty: nobody follows it.
TRACE: ContextVar[str] = ContextVar("trace", default="")
# Where a delivery keeps it, in its body: it outlives the process.
KEPT_AS = "traceparent"
Kind = Literal["arrival", "leaving", "within"]


class Span(Protocol):
    """One step of what is followed."""

    @property
    def trace(self) -> str:
        """What the next step names as the one before it."""
        ...

    def tell(self, **facts: str | int) -> None:
        """Add what has become known: ids and known words, never what anybody wrote, nor a secret."""


class Traced(Protocol):
    """Begins a step, which ends with the context; it is then what TRACE names. Raises nothing."""

    def __call__(
        self, name: str, /, *, parent: str = "", kind: Kind = "within", **facts: str | int
    ) -> AbstractContextManager[Span]: ...


class _Nowhere:
    """A step that nobody follows."""

    trace = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def tell(self, **_: str | int) -> None:
        """Tell nobody."""


_NOWHERE = _Nowhere()


def untraced(_name: str, /, **_: str | int) -> AbstractContextManager[Span]:
    """Follow nothing."""
    return _NOWHERE


def kept(body: Mapping[str, Any]) -> str:
    """Return the trace that a delivery's body keeps."""
    found = body.get(KEPT_AS)
    return found if isinstance(found, str) else ""


def trace_id(trace: str) -> str:
    """Return what all steps of one trace have in common."""
    parts = trace.split("-")
    return parts[1] if len(parts) == 4 else ""


def apart() -> Context:
    """Return a context for what is begun here and belongs to nothing that is followed here."""
    context = copy_context()
    context.run(TRACE.set, "")
    return context
