"""The router and the program on the wire: what the tests beside this one take for granted."""

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

from tests.letta.conftest import LettaWorld
from tests.letta.model import FakeModel, Say, bash
from tests.letta.program import LettaProgram
from tests.letta.router import BEHAVIOURS, LAYOUTS, Behaviour, Layout
from tests.world import ADA, APPROVALS, GRACE, OPS

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.mark.parametrize("behaviour", BEHAVIOURS)
async def test_only_a_verbatim_router_has_its_approvals_refused(
    idle: LettaWorld, behaviour: Behaviour
) -> None:
    idle.router.behaviour = behaviour
    await idle.start_relay()
    idle.mind.steps = [bash("echo built > made.txt"), Say("It is built.")]
    await idle.slack.slash(ADA, OPS, "build it")
    card = await idle.card()
    await idle.slack.click(GRACE, APPROVALS, card.ts, "approve")
    await idle.thread_says("It is built.")
    errors = [frame["delta"].get("message", "") for frame in idle.frames("stream_delta")]
    refused = [error for error in errors if "approval payloads are not allowed" in error]
    assert len(refused) == (1 if behaviour == "verbatim" else 0)


@pytest.mark.parametrize("layout", LAYOUTS)
async def test_what_goes_over_the_second_socket_of_a_device(idle: LettaWorld, layout: Layout) -> None:
    await idle.workshop.up(layout)
    await idle.start_relay()
    idle.mind.steps = [Say("Hello.")]
    await idle.slack.slash(ADA, OPS, "hello")
    await idle.thread_says("Hello.")
    assert bool(idle.frames("stream_delta", "device stream")) == (layout != "one")
    assert bool(idle.frames("stream_delta", "device control")) == (layout == "one")
    assert idle.frames("turn_finished", "device stream") == []


async def test_a_conversation_is_created_on_the_device(here: LettaWorld) -> None:
    agent_id = here.runtime["agent_id"]
    headers = {"Authorization": f"Bearer {here.router.api_key}"}
    url = f"{here.router.url}/v1/conversations/?agent_id={agent_id}"
    async with aiohttp.ClientSession(headers=headers) as session, session.post(url, json={}) as answer:
        assert answer.status == 200
        created = await answer.json()
    assert created["agent_id"] == agent_id
    assert created["id"] != here.runtime["conversation_id"]


@pytest_asyncio.fixture(loop_scope="session")
async def app_server(tmp_path: Path) -> AsyncIterator[tuple[FakeModel, str]]:
    """The program as an App Server, with a model of its own; the address of its socket."""
    async with FakeModel() as model:
        program = LettaProgram(tmp_path, model.url)
        try:
            await program.connect_model()
            yield model, f"{await program.start_app_server()}/ws"
        finally:
            await program.kill()


async def test_an_app_server_speaks_the_same_frames_over_one_socket(
    app_server: tuple[FakeModel, str], tmp_path: Path
) -> None:
    model, address = app_server
    model.mind("mind", [Say("Hello.")])
    body = {"name": "mind", "model": "openai-compatible/mind", "memory_blocks": []}
    start = {"type": "runtime_start", "request_id": "1", "cwd": str(tmp_path)}
    async with aiohttp.ClientSession() as session, session.ws_connect(address) as socket:
        await socket.send_json({**start, "create_agent": {"body": body, "pin_global": False}})
        runtime = (await _next(socket, "runtime_start_response"))["runtime"]
        message = {"role": "user", "content": "hello", "client_message_id": "cm-1"}
        payload = {"kind": "create_message", "messages": [message]}
        await socket.send_json({"type": "input", "request_id": "2", "runtime": runtime, "payload": payload})
        assert (await _next(socket, "input_accepted"))["accepted"]
        finished = await _next(socket, "turn_finished")
    assert finished["stop_reason"] == "end_turn"
    assert "seq" not in finished


async def _next(socket: aiohttp.ClientWebSocketResponse, kind: str) -> dict[str, object]:
    while True:
        frame: dict[str, object] = await socket.receive_json(timeout=20)
        if frame["type"] == kind:
            return frame
