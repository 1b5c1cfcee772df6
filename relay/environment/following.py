"""Follows what frames bring: each goes on with the trace of what it answers."""

import contextlib
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Sequence

from relay.domain.runtime import Runtime
from relay.domain.traced import Traced, untraced
from relay.environment.turns import (
    Arrival,
    Missed,
    Proof,
    Reply,
    ToolAsked,
    TurnFailed,
    TurnStopped,
    Unheard,
)
from relay.store import Store, Transaction
from relay.use_cases.trace_behind import trace_of_decision, trace_of_messages

_REMEMBERED = 1_000


class Following:
    """Begins a step for each arrival that people are told of, and gives the trace of each."""

    def __init__(self, store: Store, traced: Traced = untraced) -> None:
        self._store = store
        self._traced = traced
        self._listed: OrderedDict[tuple[Runtime, str, str], None] = OrderedDict()

    @contextlib.asynccontextmanager
    async def begun(
        self,
        runtime: Runtime,
        epoch: str,
        items: Sequence[Arrival],
        apart: Callable[[Transaction, Runtime], None] = lambda *_: None,
    ) -> AsyncIterator[Sequence[str]]:
        """Give the trace of each arrival, empty for those that nobody follows; all end together.

        `apart` lets the transaction know only what the arrivals may name.
        """
        if self._traced is untraced:
            yield [""] * len(items)
            return

        def look(tx: Transaction) -> list[str]:
            apart(tx, runtime)
            return [_parent(tx, runtime, one) for one in items]

        parents = await self._store.transact(look)
        with contextlib.ExitStack() as steps:
            yield [
                self._begin(steps, runtime, epoch, one, parent)
                for one, parent in zip(items, parents, strict=True)
            ]

    def _begin(
        self, steps: contextlib.ExitStack, runtime: Runtime, epoch: str, one: Arrival, parent: str
    ) -> str:
        name = self._name(runtime, epoch, one, parent)
        if not name:
            return ""
        facts = {"environment": runtime.environment, "tool_call_id": getattr(one, "tool_call_id", "")}
        return steps.enter_context(self._traced(name, parent=parent, kind="arrival", **facts)).trace

    def _name(self, runtime: Runtime, epoch: str, one: Arrival, parent: str) -> str:
        match one:
            case ToolAsked():
                key = (runtime, epoch, one.request.tool_call_id)
                # A device lists again and again what it waits for; it is asked once.
                again = one.listed and key in self._listed
                self._listed[key] = None
                while len(self._listed) > _REMEMBERED:
                    self._listed.popitem(last=False)
                return "" if again else "environment asks"
            case Reply() | TurnFailed() | TurnStopped() | Missed() | Unheard():
                return "environment replies"
            case Proof():
                return "environment acts" if parent else ""
        return ""


def _parent(tx: Transaction, runtime: Runtime, one: Arrival) -> str:
    match one:
        case Reply() | TurnFailed() | TurnStopped() | Unheard() | ToolAsked():
            return trace_of_messages(tx, one.message_ids)
        case Missed():
            answered = [message_id for said in one.exchanges for message_id in said.message_ids]
            return trace_of_messages(tx, {*answered, *one.over, *one.unseen})
        case Proof():
            return trace_of_decision(tx, runtime, one.tool_call_id)
    return ""
