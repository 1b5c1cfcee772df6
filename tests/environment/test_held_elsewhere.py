"""Only what this relay holds is listened to, and what it no longer holds stores nothing."""

import asyncio
import io
from datetime import UTC, datetime

import pytest

from relay.app import json_log
from relay.domain.deliveries import Retry
from relay.environment.arrivals import Desk
from relay.environment.following import Following
from relay.environment.frames import ToolRequest
from relay.environment.listener import Arrivals
from relay.environment.listeners import ElsewhereError
from relay.environment.turns import ToolAsked
from relay.sandbox.environment import FakeEnvironment
from relay.store import FencedError, Store, Transaction
from relay.use_cases.open_approval import Audience
from tests.environment.test_listeners import FIRST, HOME, Room, decision_for, message_to
from tests.store.beside import rows

NOW = datetime.now(UTC)


def asked(call: str) -> Arrivals:
    """What a frame brings with which a tool is asked for."""
    request = ToolRequest(subtype="can_use_tool", tool_name="Bash", input={}, tool_call_id=call)
    return Arrivals("epoch", (ToolAsked(request, (), "", 1, listed=False),))


async def test_what_is_let_go_is_closed_at_once_and_what_is_taken_is_opened_as_at_a_start() -> None:
    async with FakeEnvironment() as environment:
        room, held = Room(environment), {HOME.environment}
        async with room.listening(HOME, holds=held.__contains__) as listeners:
            await room.opened(HOME)
            held.clear()
            listeners.hold(held)
            assert listeners.presences == {}
            await room.opened(HOME, 0)
            with pytest.raises(ElsewhereError):
                await listeners.ready(message_to(FIRST), environment.connection_id)
            outcome = await listeners.answer(decision_for(HOME), lambda _: asyncio.sleep(0, True))
            assert isinstance(outcome, Retry)
            assert not outcome.uncertain
            await room.looked(2)
            assert room.open_for(HOME) == 0
            held.add(HOME.environment)
            room.alive = [FIRST]
            listeners.hold(held)
            await room.opened(HOME)
            await room.opened(FIRST)


async def test_what_is_let_go_while_its_sockets_open_is_not_sent_any_more() -> None:
    async with FakeEnvironment() as environment:
        room, held = Room(environment), {HOME.environment}
        async with room.listening(holds=held.__contains__) as listeners:
            opening = asyncio.create_task(listeners.ready(message_to(FIRST), environment.connection_id))
            await environment.wait_for(lambda _: room.open_for(FIRST) > 0)
            held.clear()
            with pytest.raises(ElsewhereError):
                await opening


async def test_what_a_frame_brought_is_stored_only_within_the_fence(file_url: str) -> None:
    lost, store = False, Store.open(file_url)

    def fence(_: Transaction) -> None:
        if lost:
            raise FencedError("another relay holds workshop by now")

    desk = Desk(
        store, lambda *_: Audience("T0HOME", (), b""), 1000, lambda: NOW, Following(store),
        json_log(io.StringIO()),
    )  # fmt: skip
    await desk.take(HOME, asked("call_1"), fence)
    lost = True
    with pytest.raises(FencedError):
        await desk.take(HOME, asked("call_2"), fence)
    await store.close()
    assert rows(file_url, "SELECT tool_call_id FROM approvals") == [("call_1",)]
