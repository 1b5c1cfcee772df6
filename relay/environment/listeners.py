"""All the listeners: one for each conversation that is alive, opened on demand and closed when it rests."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any

from relay.domain.deliveries import Delivery, Outcome, Refused, Retry
from relay.domain.presence import UnderWay
from relay.domain.runtime import Runtime
from relay.domain.traced import apart
from relay.environment.listener import Listener, Presence
from relay.environment.pair import RuntimeRefusedError
from relay.store import StoreError

_LOOK_EVERY = 30.0

Alive = Callable[[], Awaitable[Collection[Runtime]]]


class NoRoomError(Exception):
    """As many conversations are listened to as may be, and none of them rests."""


class ElsewhereError(NoRoomError):
    """Another relay listens to this environment, or is about to."""


class Listeners:
    """Opens a listener for each conversation that needs one; those in `always` stay open.

    `most` bounds them, for each holds two sockets, here and at the neighbour. `rest_after` is in seconds:
    without a turn, a question or anything sent, a conversation may be closed. Only the conversations of
    environments that this relay `holds` are listened to.
    """

    def __init__(
        self,
        always: Collection[Runtime],
        make: Callable[[Runtime], Listener],
        log: Any,
        *,
        alive: Alive,
        most: int,
        rest_after: float,
        look_every: float = _LOOK_EVERY,
        holds: Callable[[str], bool] = lambda _: True,
    ) -> None:
        self._always = frozenset(always)
        self._make = make
        self._log = log
        self._ask_alive = alive
        self._alive: frozenset[Runtime] = frozenset()
        self._most = most
        self._rest_after = rest_after
        self._look_every = look_every
        self._holds = holds
        self._hurry = asyncio.Event()
        self._all: dict[Runtime, Listener] = {}
        self._runs: dict[Runtime, asyncio.Task[None]] = {}
        self._by_environment: dict[str, list[Listener]] = {}
        self._group: asyncio.TaskGroup | None = None
        for runtime in always:
            if holds(runtime.environment):
                self._add(runtime)

    async def run(self) -> None:
        """Listen until cancelled. Raises what a listener raises: a defect."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            try:
                for runtime in self._all:
                    self._begin(runtime)
                while True:
                    self._hurry.clear()
                    await self._look()
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(self._look_every):
                            await self._hurry.wait()
            finally:
                self._group = None  # senders may ask for one still, and a group that ends takes none

    async def _look(self) -> None:
        """Close what rests, and listen to what goes on: while a device is offline, only the store knows."""
        await self._learn_alive()
        for runtime in self._resting(self._rest_after):
            self._close(runtime)
        with contextlib.suppress(NoRoomError):  # the log says so; what is said there is read later
            for runtime in (*self._always, *self._alive):
                if self._holds(runtime.environment):
                    self.open(runtime)

    async def _learn_alive(self) -> None:
        with contextlib.suppress(StoreError):  # then what was known is kept
            self._alive = frozenset(await self._ask_alive())

    @property
    def presences(self) -> Mapping[Runtime, Presence]:
        """How each conversation's sockets are."""
        return {runtime: listener.presence for runtime, listener in self._all.items()}

    @property
    def sockets(self) -> Mapping[str, list[int]]:
        """How many sockets are open for each conversation that is listened to, by environment."""
        return {name: [one.sockets for one in all_] for name, all_ in self._by_environment.items()}

    def keep(self, always: Collection[Runtime], *, most: int, rest_after: float) -> None:
        """Let other conversations be always open, and other bounds count."""
        self._always, self._most, self._rest_after = frozenset(always), most, rest_after
        with contextlib.suppress(NoRoomError):  # the log says so, and the next look tries again
            for runtime in always:
                if self._holds(runtime.environment):
                    self.open(runtime)

    def hold(self, environments: Collection[str]) -> None:
        """Close at once what is not of these environments, and open anew what is, as at a start."""
        for runtime in [one for one in self._all if one.environment not in environments]:
            self._close(runtime)
        self.keep(self._always, most=self._most, rest_after=self._rest_after)
        self._hurry.set()

    def check(self, environment: str) -> None:
        """Raise ElsewhereError where this relay does not hold an environment, or no longer."""
        if not self._holds(environment):
            raise ElsewhereError("another relay has its sockets")

    def busy(self) -> frozenset[str]:
        """Return the environments in which a turn runs or something is waited for, as far as is known."""
        return frozenset(name for name, all_ in self._by_environment.items() if any(one.busy for one in all_))

    def open(self, runtime: Runtime) -> Listener:
        """Return the listener of a conversation, begun if need be. Raises NoRoomError, ElsewhereError."""
        self.check(runtime.environment)
        known = self._all.get(runtime)
        if known is not None:
            return known
        if len(self._all) >= self._most:
            self._make_room()
        self._add(runtime)
        self._begin(runtime)
        return self._all[runtime]

    async def ready(self, delivery: Delivery, connection_id: str) -> bool:
        """Return when what comes of `delivery` can be heard; whether that had to be waited for.

        Raises NoRoomError.
        """
        waited = await (await self._opened(_runtime(delivery))).ready(connection_id)
        self.check(delivery.environment)
        return waited

    async def answer(self, delivery: Delivery, still: Callable[[Delivery], Awaitable[bool]]) -> Outcome:
        """Give a decision over the sockets of the conversation it is for.

        Where they had to be opened first, only if it is `still` to be given then.
        """
        try:
            listener = await self._opened(_runtime(delivery))
            if await listener.opened() and not await still(delivery):
                return Refused("it is over: the environment no longer asks")
            self.check(delivery.environment)
            return await listener.answer(delivery)
        except NoRoomError as problem:
            return Retry(str(problem), unasked=True)
        except RuntimeRefusedError as problem:
            return Refused(str(problem))
        except KeyError:
            return Refused(f"the configuration no longer has an environment named {delivery.environment!r}")

    async def submit(self, delivery: Delivery, message: dict[str, Any]) -> Outcome:
        """Hand over a message over the socket of the conversation it is for."""
        return await (await self._opened(_runtime(delivery))).submit(delivery, message)

    async def _opened(self, runtime: Runtime) -> Listener:
        if runtime not in self._all and len(self._all) >= self._most:
            await self._learn_alive()  # whose place is taken, is decided by what goes on now
        return self.open(runtime)

    async def stop_turn(self, runtime: Runtime) -> bool | None:
        """Stop the turn of a conversation; return whether there was one, None: it cannot be reached.

        Its sockets are opened first where they are not: at a start, and after they were lost.
        """
        try:
            listener = await self._opened(runtime)
            await listener.opened()
            self.check(runtime.environment)
        except (NoRoomError, RuntimeRefusedError, KeyError):
            return None
        return await listener.stop_turn()

    def under_way(self, runtime: Runtime) -> UnderWay | None:
        """Return what is known of the turn that runs in a conversation; None: it is not listened to."""
        listener = self._all.get(runtime)
        return listener.under_way if listener is not None else None

    def asked_by(self, runtime: Runtime, tool_call_id: str) -> tuple[str, ...]:
        """Return the messages of the run that asked for a tool call, where that was told."""
        seen = self.under_way(runtime)
        return seen.asked.get(tool_call_id, ()) if seen is not None else ()

    def mode(self, environment: str) -> str:
        """Return the permission mode of an environment, as its device told it last; empty: not told."""
        return next((one.mode for one in self._by_environment.get(environment, ()) if one.mode), "")

    def up(self, environment: str) -> int:
        """Return how many conversations of an environment are heard."""
        return sum(one.presence.up for one in self._by_environment.get(environment, ()))

    def away(self, environment: str) -> Presence | None:
        """Return how an environment is when it is known to be away: the longest of its conversations."""
        away = []
        for listener in self._by_environment.get(environment, ()):
            presence = listener.presence
            if presence.up:
                return None  # as nearly always: the first that is asked
            if presence.since is not None:
                away.append((presence.since, presence))
        return min(away, key=lambda one: one[0])[1] if away else None

    def _add(self, runtime: Runtime) -> None:
        self._all[runtime] = listener = self._make(runtime)
        self._by_environment.setdefault(runtime.environment, []).append(listener)

    def _begin(self, runtime: Runtime) -> None:
        if self._group is not None:
            self._runs[runtime] = self._group.create_task(self._all[runtime].run(), context=apart())

    def _resting(self, for_seconds: float) -> list[Runtime]:
        """Return the conversations that may be closed, the longest at rest first."""
        resting = [
            (listener.rested, runtime)
            for runtime, listener in self._all.items()
            if runtime not in self._always | self._alive
            and not listener.busy
            and listener.rested >= for_seconds
        ]
        return [runtime for _, runtime in sorted(resting, key=lambda one: -one[0])]

    def _make_room(self) -> None:
        resting = self._resting(0.0)
        if not resting:
            self._log.warning("listeners.full", most=self._most)
            raise NoRoomError(f"as many conversations as may be ({self._most}) are listened to")
        self._close(resting[0])

    def _close(self, runtime: Runtime) -> None:
        listener = self._all.pop(runtime)
        self._by_environment[runtime.environment].remove(listener)
        run = self._runs.pop(runtime, None)
        if run is not None:
            run.cancel()


def _runtime(delivery: Delivery) -> Runtime:
    body = delivery.body
    return Runtime(delivery.environment, body["agent_id"], body["conversation_id"])
