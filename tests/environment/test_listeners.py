"""Conversations are listened to on demand, and no more of them than may be."""

import asyncio
import contextlib
import io
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime
from itertools import count

import aiohttp
import httpx
import pytest
from aiohttp import web
from aiohttp.typedefs import Handler
from pydantic import SecretStr

from relay.app import json_log
from relay.config import Environment
from relay.domain.deliveries import Delivery, Kind, Refused, Retry, State
from relay.domain.runtime import Runtime
from relay.environment.directory import Directory
from relay.environment.listener import Arrivals, Listener, Presence
from relay.environment.listeners import Listeners, NoRoomError
from relay.environment.pair import RuntimeRefusedError
from relay.environment.turns import Pending
from relay.sandbox.environment import FakeEnvironment, Say, UseTool, Wait
from relay.store import StoreError

HOME, FIRST, SECOND = (Runtime("workshop", "agent-1", one) for one in ("default", "conv-1", "conv-2"))


class Room:
    """Listeners between a stand-in and nobody, and what they heard."""

    def __init__(self, environment: FakeEnvironment) -> None:
        self.environment = environment
        self.arrivals: list[tuple[Runtime, Arrivals]] = []
        self.told = asyncio.Condition()
        self.alive: list[Runtime] = []
        self.asked = 0
        self.fails = False

    async def goes_on(self) -> list[Runtime]:
        """What the store would say: where something is asked or under way."""
        async with self.told:
            self.asked += 1
            self.told.notify_all()
        if self.fails:
            raise StoreError("the disk is full")
        return list(self.alive)

    async def looked(self, times: int) -> None:
        """Wait until that many more looks were taken."""
        until = self.asked + times
        async with asyncio.timeout(30), self.told:
            await self.told.wait_for(lambda: self.asked >= until)

    async def hear(self, runtime: Runtime, arrivals: Arrivals) -> None:
        async with self.told:
            self.arrivals.append((runtime, arrivals))
            self.told.notify_all()

    async def notice(self, runtime: Runtime, presence: Presence) -> None:
        """Nobody asks how it is."""

    async def nothing(self, runtime: Runtime, ended: tuple[str, ...]) -> frozenset[str]:
        return frozenset()

    def pending(self, runtime: Runtime) -> list[tuple[str, ...]]:
        """The lists of what is waited for that a conversation was told."""
        arrivals = [item for where, one in self.arrivals if where == runtime for item in one.items]
        return [item.tool_call_ids for item in arrivals if isinstance(item, Pending)]

    @contextlib.asynccontextmanager
    async def listening(
        self,
        *always: Runtime,
        most: int = 10,
        rest_after: float = 1000.0,
        ask_again_every: float = 60.0,
        holds: Callable[[str], bool] = lambda _: True,
    ) -> AsyncIterator[Listeners]:
        """Listeners that run."""
        there = self.environment
        place = Environment("workshop", "agent-1", there.base_url, SecretStr(there.api_key), there.device_id)
        numbers = count(1)
        log = json_log(io.StringIO())
        async with aiohttp.ClientSession() as session, httpx.AsyncClient() as client:
            directory = Directory(client, lambda *_, **__: None)

            def make(runtime: Runtime) -> Listener:
                return Listener(
                    place, runtime, directory, session,
                    on_arrivals=self.hear, on_presence=self.notice, on_behind=self.nothing,
                    on_frame=lambda *_: None, clock=lambda: datetime.now(UTC), chance=lambda: 0.5,
                    new_id=lambda: f"req_{next(numbers)}", log=log, ask_again_every=ask_again_every,
                )  # fmt: skip

            listeners = Listeners(
                always, make, log, alive=self.goes_on, most=most, rest_after=rest_after, look_every=0.01,
                holds=holds,
            )  # fmt: skip
            running = asyncio.create_task(listeners.run())
            try:
                yield listeners
            finally:
                running.cancel()
                await asyncio.wait([running])

    def open_for(self, runtime: Runtime) -> int:
        """How many sockets the stand-in holds for a conversation."""
        return sum(one.conversation == runtime.conversation_id for one in self.environment.sockets)

    async def opened(self, runtime: Runtime, times: int = 2) -> None:
        """Wait until the stand-in holds that many sockets for a conversation."""
        await self.environment.wait_for(lambda _: self.open_for(runtime) == times)


def message_to(runtime: Runtime) -> Delivery:
    """A message on its way to a conversation."""
    return Delivery(
        id="msg_1", team_id="T0HOME", kind=Kind.MESSAGE, ordering_key="here", subject_id="msg_1",
        environment=runtime.environment, state=State.SENDING, attempts=1, uncertain=False,
        body={"agent_id": runtime.agent_id, "conversation_id": runtime.conversation_id, "content": "x"},
        created_at=datetime.now(UTC), next_attempt_at=None, deadline=None, receipt={}, last_error="",
    )  # fmt: skip


def decision_for(runtime: Runtime) -> Delivery:
    """A decision on its way over the sockets."""
    body = {"tool_call_id": "call_1", "approve": True, "reason": ""}
    message = message_to(runtime)
    return replace(message, kind=Kind.DECISION, body={**message.body, **body})


@pytest.fixture
async def room() -> AsyncIterator[Room]:
    async with FakeEnvironment() as environment:
        yield Room(environment)


async def test_a_conversation_is_listened_to_once_it_is_needed(room: Room) -> None:
    async with room.listening(HOME) as listeners:
        await room.opened(HOME)
        assert room.open_for(FIRST) == 0
        assert await listeners.open(FIRST).ready(room.environment.connection_id)
        assert room.open_for(FIRST) == 2
        assert listeners.open(FIRST) is listeners.open(FIRST)


async def test_a_conversation_at_rest_is_closed_and_one_of_the_configuration_is_not(room: Room) -> None:
    async with room.listening(HOME, rest_after=0.3) as listeners:
        await listeners.open(FIRST).ready(room.environment.connection_id)
        await room.opened(FIRST, 0)
        await room.opened(HOME)
        assert set(listeners.presences) == {HOME}


async def test_a_conversation_in_which_something_is_asked_is_not_closed(room: Room) -> None:
    room.environment.script = lambda turn: [UseTool("Bash", {"command": "make"})]
    async with room.listening(rest_after=0.2) as listeners:
        await listeners.open(FIRST).ready(room.environment.connection_id)
        room.environment.device.take_messages(
            FIRST.conversation_id, [{"client_message_id": "msg_1", "content": "x"}]
        )
        async with asyncio.timeout(30), room.told:
            await room.told.wait_for(lambda: room.pending(FIRST)[-1:] not in ([], [()]))
        await listeners.open(SECOND).ready(room.environment.connection_id)
        await room.opened(SECOND, 0)  # at rest as long, and longer
        assert room.open_for(FIRST) == 2


async def test_the_longest_at_rest_makes_room_for_another(room: Room) -> None:
    async with room.listening(HOME, most=2) as listeners:
        await listeners.open(FIRST).ready(room.environment.connection_id)
        await listeners.open(SECOND).ready(room.environment.connection_id)
        await room.opened(FIRST, 0)
        assert set(listeners.presences) == {HOME, SECOND}


async def test_a_conversation_that_goes_on_stays_open_though_its_device_is_offline(room: Room) -> None:
    async with room.listening(rest_after=0.0) as listeners:
        room.alive = [FIRST]
        first = listeners.open(FIRST)
        await first.ready(room.environment.connection_id)
        await room.environment.go_offline()
        await room.looked(3)
        assert listeners.open(FIRST) is first
        await room.environment.come_back()
        await room.opened(FIRST)


async def test_a_conversation_that_goes_on_is_listened_to_again(room: Room) -> None:
    async with room.listening() as listeners:
        assert listeners.presences == {}
        room.alive = [FIRST]
        await room.opened(FIRST)


async def test_a_conversation_that_goes_on_makes_no_room_for_another(room: Room) -> None:
    room.alive = [FIRST]
    async with room.listening(most=1) as listeners:
        await room.opened(FIRST)
        delivery = message_to(SECOND)
        with pytest.raises(NoRoomError):
            await listeners.ready(delivery, room.environment.connection_id)
        room.alive = []
        assert await listeners.ready(delivery, room.environment.connection_id)


async def test_a_store_that_fails_closes_nothing_that_went_on(room: Room) -> None:
    room.alive = [FIRST]
    async with room.listening(rest_after=0.0):
        await room.opened(FIRST)
        room.fails = True
        await room.looked(3)
        assert room.open_for(FIRST) == 2


async def test_a_conversation_that_its_device_does_not_know_is_told_from_one_that_is_offline(
    room: Room,
) -> None:
    async with room.listening() as listeners:
        delivery = message_to(Runtime("workshop", "agent-of-another", "default"))
        with pytest.raises(RuntimeRefusedError, match="does not know"):
            await listeners.ready(delivery, room.environment.connection_id)


async def test_a_decision_waits_for_sockets_that_are_being_opened(room: Room) -> None:
    async def still(_: Delivery) -> bool:
        return True

    async with room.listening() as listeners:
        outcome = await listeners.answer(decision_for(FIRST), still)
    assert isinstance(outcome, Refused)  # the device's own word: it asks no such thing
    assert outcome.over


async def test_a_decision_that_nobody_waits_for_once_the_sockets_are_open_is_kept(room: Room) -> None:
    async def still(_: Delivery) -> bool:
        return False

    async with room.listening() as listeners:
        outcome = await listeners.answer(decision_for(FIRST), still)
    assert outcome == Refused("it is over: the environment no longer asks")
    assert not any(one["type"] == "input" for one in room.environment.commands)


async def test_a_decision_for_a_device_that_is_offline_is_told_so_at_once(room: Room) -> None:
    async def still(_: Delivery) -> bool:
        return True

    room.environment.offline = True
    async with room.listening() as listeners, asyncio.timeout(3):
        outcome = await listeners.answer(decision_for(FIRST), still)
    assert isinstance(outcome, Retry)
    assert outcome.away


async def test_no_more_conversations_are_listened_to_than_may_be(room: Room) -> None:
    gate = asyncio.Event()
    room.environment.script = lambda turn: [Wait(gate), Say("done")]
    async with room.listening(HOME, most=2) as listeners:
        first = listeners.open(FIRST)
        await first.ready(room.environment.connection_id)
        room.environment.device.take_messages(
            FIRST.conversation_id, [{"client_message_id": "msg_1", "content": "x"}]
        )
        await room.environment.wait_for(lambda _: first.busy)
        with pytest.raises(NoRoomError, match="as many conversations as may be"):
            listeners.open(SECOND)


async def test_a_device_that_restarts_in_silence_is_noticed_while_something_is_asked(room: Room) -> None:
    room.environment.script = lambda turn: [UseTool("Bash", {"command": "make"})]
    async with room.listening(HOME, ask_again_every=0.05):
        await room.opened(HOME)
        room.environment.device.take_messages(
            HOME.conversation_id, [{"client_message_id": "msg_1", "content": "x"}]
        )
        async with asyncio.timeout(30), room.told:
            await room.told.wait_for(lambda: room.pending(HOME)[-1:] not in ([], [()]))
            await room.environment.restart(rotate=False)
            await room.told.wait_for(lambda: room.pending(HOME)[-1:] == [()])


async def test_other_conversations_of_the_configuration_are_opened_and_those_of_before_may_rest(
    room: Room,
) -> None:
    async with room.listening(HOME, rest_after=1000.0) as listeners:
        await room.opened(HOME)
        listeners.keep([FIRST], most=1, rest_after=0.2)
        await room.opened(FIRST)
        await room.opened(HOME, 0)
        assert set(listeners.presences) == {FIRST}
        await listeners.open(FIRST).ready(room.environment.connection_id)
        assert listeners.up("workshop") == 1


async def test_a_stop_waits_for_sockets_that_are_being_opened(room: Room) -> None:
    room.environment.script = lambda turn: [Wait(asyncio.Event())]
    room.environment.device.take_messages(
        FIRST.conversation_id, [{"client_message_id": "msg_1", "content": "x"}]
    )
    await room.environment.wait_for(lambda one: one.busy(FIRST.conversation_id))
    async with room.listening() as listeners:
        assert await listeners.stop_turn(FIRST) is True
    assert not room.environment.busy(FIRST.conversation_id)


@pytest.mark.parametrize("agent", ["agent-1", "agent-of-another"])
async def test_a_stop_that_reaches_no_device_says_so_at_once(room: Room, agent: str) -> None:
    room.environment.offline = agent == "agent-1"
    async with room.listening() as listeners, asyncio.timeout(3):
        assert await listeners.stop_turn(replace(FIRST, agent_id=agent)) is None


async def test_a_stop_where_no_other_conversation_can_be_heard_says_that_none_was_reached(room: Room) -> None:
    room.alive = [FIRST]
    async with room.listening(most=1) as listeners:
        await room.opened(FIRST)
        assert await listeners.stop_turn(SECOND) is None


class Door:
    """Lets no socket in before it is opened, and counts how many stand before it."""

    def __init__(self) -> None:
        self.opens = asyncio.Event()
        self.crowded = asyncio.Event()
        self.there = self.most = 0

    def before(self, application: web.Application) -> web.Application:
        """Stand before what an application answers."""

        @web.middleware
        async def hold(request: web.Request, handler: Handler) -> web.StreamResponse:
            if request.path.endswith("/ws"):
                await self._pass()
            return await handler(request)

        application.middlewares.append(hold)
        return application

    async def _pass(self) -> None:
        self.there += 1
        self.most = max(self.most, self.there)
        if self.there == 8:
            self.crowded.set()
        await self.opens.wait()
        self.there -= 1


async def test_a_few_conversations_are_opened_at_a_time_and_all_in_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    environment, door = FakeEnvironment(), Door()
    answering = environment.router.application
    monkeypatch.setattr(environment.router, "application", lambda: door.before(answering()))
    async with environment:
        room = Room(environment)
        many = [Runtime("workshop", "agent-1", f"conv-{number}") for number in range(20)]
        async with room.listening(*many), asyncio.timeout(30):
            await door.crowded.wait()
            await room.looked(3)
            assert door.there == 8
            door.opens.set()
            await environment.wait_for(lambda one: len(one.sockets) == 2 * len(many))
    assert door.most == 8
