"""Counts and follows what Slack brings: its kind, what becomes of it, how long it waits for its answer."""

import time
from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from typing import Any, Protocol

from slack_bolt import BoltResponse
from slack_bolt.async_app import AsyncBoltRequest

from relay.domain.seen import Seen
from relay.domain.traced import Traced, untraced

KINDS = ("command", "event", "action", "view", "other")
OUTCOMES = ("taken", "refused", "not_stored", "unknown", "defect")
_BY_TYPE = {
    "event_callback": "event",
    "block_actions": "action",
    "view_submission": "view",
    "view_closed": "view",
}


class Takes(Protocol):
    """Takes arrivals: Bolt's application, or what knows the one for each workspace."""

    async def async_dispatch(self, req: AsyncBoltRequest, /) -> BoltResponse:
        """Have an arrival taken, and return its answer."""
        ...


Dispatch = Callable[[AsyncBoltRequest], Awaitable[BoltResponse]]


class Arrivals:
    """Told by those who take an arrival what becomes of it; without a word from them it is taken."""

    def __init__(self, seen: Seen, traced: Traced = untraced) -> None:
        self._seen = seen
        self._traced = traced
        # Many arrivals are taken at once, each in a context of its own.
        self._outcome: ContextVar[list[str]] = ContextVar("outcome")

    def became(self, outcome: str) -> None:
        """Say what becomes of the arrival that is taken here, one of OUTCOMES."""
        self._outcome.get([""])[0] = outcome

    async def answered(self, dispatch: Dispatch, request: AsyncBoltRequest) -> BoltResponse:
        """Have an arrival answered, and count it when it is."""
        outcome = ["taken"]  # a list: a task that is begun meanwhile tells the same arrival
        self._outcome.set(outcome)
        began, kind = time.perf_counter(), kind_of(request.body)
        with self._traced(f"slack {kind}", kind="arrival") as step:
            answer = await dispatch(request)
            step.tell(outcome=outcome[0])
        took = time.perf_counter() - began
        self._seen("arrivals", kind=kind, outcome=outcome[0])
        self._seen("acknowledgement_seconds", took, kind=kind)
        return answer


def kind_of(body: Mapping[str, Any]) -> str:
    """Return which of KINDS an arrival is."""
    return _BY_TYPE.get(str(body.get("type")), "command" if "command" in body else "other")
