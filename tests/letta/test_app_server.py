"""The main job against the real program as a self-hosted App Server, told as what people see in Slack."""

import asyncio
import contextlib
import itertools
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import aiohttp
import pytest
import pytest_asyncio

from relay.sandbox.slack import FakeSlack
from relay.sandbox.slack.workspace import Message
from tests.crash.relay_process import relay_in_thread, running
from tests.letta.conftest import refused_by_the_witness
from tests.letta.model import Fail, FakeModel, Mind, Say, bash
from tests.letta.program import LettaProgram
from tests.world import ADA, APPROVALS, GRACE, OPS, Workplace, button, everything, settings_beside

pytestmark = pytest.mark.asyncio(loop_scope="session")
_numbers = itertools.count(1)


@dataclass
class AppServer:
    """The program as an App Server, which stays at its address when it is started again."""

    model: FakeModel
    program: LettaProgram
    address: str = "ws://127.0.0.1:0"

    async def start(self) -> None:
        """Start it, where it was before."""
        self.address = await self.program.start_app_server(self.address)

    async def new_agent(self, mind: Mind, folder: Path) -> tuple[str, str]:
        """Have it make an agent with this mind; return its id and its conversation's."""
        body = {"name": mind.name, "model": f"openai-compatible/{mind.name}", "memory_blocks": []}
        runtime = await self.start_runtime(
            mode="standard", cwd=str(folder), create_agent={"body": body, "pin_global": False}
        )
        return runtime["agent_id"], runtime["conversation_id"]

    async def start_runtime(self, **facts: Any) -> dict[str, str]:
        """Start a runtime with these facts, as another client does, and leave."""
        async with aiohttp.ClientSession() as session, session.ws_connect(f"{self.address}/ws") as socket:
            await socket.send_json({"type": "runtime_start", "request_id": "new", **facts})
            async with asyncio.timeout(20):
                while (answer := await socket.receive_json()).get("request_id") != "new":
                    pass
        assert answer["success"], answer
        runtime: dict[str, str] = answer["runtime"]
        return runtime


@dataclass
class AppServerWorld(Workplace):
    """A stand-in Slack, a relay, and an agent in the App Server."""

    server: AppServer = field(kw_only=True)
    mind: Mind = field(kw_only=True)
    desk: Path = field(kw_only=True)

    def made(self, name: str) -> str | None:
        """Return what a tool wrote into a file of the agent's folder, or None."""
        file = self.desk / name
        return file.read_text() if file.exists() else None

    async def ask(self) -> Message:
        """Have the agent ask for a command, and return its card."""
        self.mind.steps = [bash("echo built > made.txt; cat made.txt"), Say("It is built.")]
        await self.slack.slash(ADA, OPS, "build it")
        return await self.card()

    def card_text(self) -> str:
        """Return what the first card says now."""
        return everything(self.slack.channels[APPROVALS].messages[0])


class Wire:
    """Leads to the App Server until it is cut; what connects after that is led there again."""

    def __init__(self, address: str) -> None:
        self._to = urlsplit(address)
        self._server: asyncio.Server | None = None
        self._ends: list[asyncio.StreamWriter] = []
        self.address = ""

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._lead, "127.0.0.1", 0)
        self.address = f"ws://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()

    def cut(self) -> None:
        """Cut every connection, without a word to either end."""
        for end in self._ends:
            end.transport.abort()
        self._ends.clear()

    async def _lead(self, near: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        far, on = await asyncio.open_connection(self._to.hostname, self._to.port)
        self._ends += [back, on]
        await asyncio.gather(_pour(near, on), _pour(far, back))


async def _pour(source: asyncio.StreamReader, into: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while some := await source.read(65536):
            into.write(some)
            await into.drain()
    into.close()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[AppServer]:
    """The App Server, started once."""
    async with FakeModel() as model:
        made = AppServer(model, LettaProgram(tmp_path_factory.mktemp("home"), model.url))
        try:
            await made.program.connect_model()
            await made.start()
            yield made
        finally:
            await made.program.kill()


@pytest_asyncio.fixture(loop_scope="session")
async def idle(server: AppServer, tmp_path: Path) -> AsyncIterator[AppServerWorld]:
    """The App Server with a new agent, and a relay that the test starts itself."""
    desk = tmp_path / "desk"
    desk.mkdir()
    mind = server.model.mind(f"app-server-mind-{next(_numbers)}")
    agent_id, conversation_id = await server.new_agent(mind, desk)
    async with FakeSlack() as slack:
        variables = {
            **settings_beside(slack, tmp_path),
            "LETTA_BASE_URL": server.address,
            "LETTA_AGENT_ID": agent_id,
            "LETTA_CONVERSATION_ID": conversation_id,
        }
        made = AppServerWorld(slack, tmp_path, variables, server=server, mind=mind, desk=desk)
        try:
            yield made
            assert refused_by_the_witness(slack) == []
        finally:
            await made.stop_relay()


@pytest_asyncio.fixture(loop_scope="session")
async def here(idle: AppServerWorld) -> AppServerWorld:
    """A running relay."""
    await idle.start_relay()
    return idle


async def test_a_message_is_answered_in_its_thread(here: AppServerWorld) -> None:
    here.mind.steps = [Say("Good morning to you too.")]
    await here.slack.slash(ADA, OPS, "good morning")
    reply = await here.thread_says("Good morning to you too.")
    assert reply.thread_ts == here.slack.channels[OPS].messages[0].ts
    assert here.mind.read("user")[-1].endswith("\n\ngood morning")


async def test_an_approved_command_runs_and_its_result_is_in_the_reply(here: AppServerWorld) -> None:
    card = await here.ask()
    assert here.made("made.txt") is None
    await here.slack.click(GRACE, APPROVALS, card.ts, "approve")
    done = await here.card_says("Delivered.")
    assert button(done, "approve") is None
    await here.thread_says("It is built.")
    assert here.made("made.txt") == "built\n"
    assert "built" in here.mind.read("tool")[-1]


async def test_a_denied_command_does_not_run_and_the_agent_reads_who_denied_it(here: AppServerWorld) -> None:
    card = await here.ask()
    await here.slack.click(GRACE, APPROVALS, card.ts, "deny")
    await here.card_says("Delivered.")
    await here.thread_says("It is built.")
    assert here.made("made.txt") is None
    assert "Denied by grace in Slack." in here.mind.read("tool")[-1]


async def test_two_calls_at_once_are_asked_one_after_the_other(here: AppServerWorld) -> None:
    here.mind.steps = [bash("echo one > one.txt", "echo two > two.txt"), Say("One is done.")]
    await here.slack.slash(ADA, OPS, "do both")
    first = await here.card(1)
    await here.slack.click(GRACE, APPROVALS, first.ts, "approve")
    second = await here.card(2)
    await here.slack.click(GRACE, APPROVALS, second.ts, "deny")
    await here.card_says("Delivered.", 1)
    await here.card_says("Delivered.", 2)
    await here.thread_says("One is done.")
    assert here.made("one.txt") == "one\n" and here.made("two.txt") is None


async def test_a_message_while_a_decision_is_open_is_taken_and_answered_too(here: AppServerWorld) -> None:
    card = await here.ask()
    await here.slack.slash(GRACE, OPS, "in blue please")
    await here.slack.click(GRACE, APPROVALS, card.ts, "approve")
    await here.card_says("Delivered.")
    await here.thread_says("It is built.")
    await here.thread_says("Answered together with a later message")
    assert len(threads_with(here, "It is built.")) == 1
    assert any("in blue please" in said for said in here.mind.read("user"))


async def test_a_failure_of_the_model_is_said_once_in_the_thread(here: AppServerWorld) -> None:
    here.mind.steps = [Fail(500, "the model is out of order"), Say("I am back.")]
    await here.slack.slash(ADA, OPS, "hello")
    await here.thread_says("the model is out of order")
    await here.slack.slash(ADA, OPS, "hello again")
    await here.thread_says("I am back.")
    said = [everything(one) for one in here.slack.channels[OPS].messages]
    assert sum("out of order" in one for one in said) == 1


async def test_a_turn_stopped_from_slack_withdraws_its_card(here: AppServerWorld) -> None:
    await here.ask()
    await here.slack.slash(ADA, OPS, "stop")
    card = await here.card_says("The agent asks no longer; nothing was decided here.")
    assert button(card, "approve") is None
    await here.thread_says("stopped")
    assert here.made("made.txt") is None


async def test_it_is_listed_with_its_mode_and_what_waits_and_without_a_device(here: AppServerWorld) -> None:
    await here.ask()
    found = await listed(here)
    assert (found["online"], found["app_server"], found["device_id"]) == (True, True, None)
    assert (found["mode"], found["pending"]) == ("standard", 1)
    await here.stop_relay()
    assert (await listed(here))["online"]


async def test_it_is_warned_of_a_mode_in_which_nobody_is_asked(idle: AppServerWorld) -> None:
    agent_id, conversation_id = idle.variables["LETTA_AGENT_ID"], idle.variables["LETTA_CONVERSATION_ID"]
    await idle.server.start_runtime(agent_id=agent_id, conversation_id=conversation_id, mode="unrestricted")
    idle.mind.steps = [Say("Hello.")]
    await idle.start_relay()
    await idle.slack.slash(ADA, OPS, "hello")
    await idle.thread_says("Hello.")
    await idle.slack.slash(ADA, OPS, "status")
    await idle.told(ADA, "it runs every tool without asking anybody")
    assert idle.log.getvalue().count('"event": "environment.never_asks"') == 1


async def test_a_dead_server_is_listed_as_offline(here: AppServerWorld) -> None:
    await here.server.program.kill()
    try:
        found = await listed(here)
        assert not found["online"]
        assert "the App Server cannot be reached" in found["reason"]
    finally:
        await here.server.start()


async def test_a_relay_that_was_killed_finds_its_request_withdrawn(idle: AppServerWorld) -> None:
    async with running(idle) as first:
        await idle.ask()
        await first.logged(event="delivery.attempted", kind="card")
        await first.kill()
    await idle.start_relay()
    card = await idle.card_says("The agent asks no longer; nothing was decided here.")
    assert button(card, "approve") is None
    assert idle.made("made.txt") is None
    await idle.slack.wait_for(lambda _: threads_with(idle, "turn ended while I could not listen"), 30)
    idle.mind.steps = [Say("Still here.")]
    await idle.slack.slash(ADA, OPS, "are you there?")
    await idle.thread_says("Still here.")


async def test_a_relay_that_is_stopped_says_in_its_log_which_turn_it_cuts_short(idle: AppServerWorld) -> None:
    await idle.start_relay()
    await idle.ask()
    await idle.stop_relay()
    assert '"event": "environment.turn_left"' in idle.log.getvalue()


async def test_it_is_warned_at_the_start_that_a_lost_connection_cancels_a_turn(here: AppServerWorld) -> None:
    assert here.log.getvalue().count('"event": "environment.app_server"') == 1


async def test_a_click_while_the_server_is_dead_is_never_said_to_be_delivered(here: AppServerWorld) -> None:
    card = await here.ask()
    await here.server.program.kill()
    try:
        await here.slack.click(GRACE, APPROVALS, card.ts, "approve")
        await here.card_says("Not delivered yet")
    finally:
        await here.server.start()
    await here.slack.wait_for(lambda slack: "the agent had stopped asking" in here.card_text(), 30)
    assert here.made("made.txt") is None


async def test_a_dropped_socket_withdraws_the_request_and_the_next_message_is_answered(
    idle: AppServerWorld,
) -> None:
    async with Wire(idle.server.address) as wire:
        idle.variables["LETTA_BASE_URL"] = wire.address
        await idle.start_relay()
        await idle.ask()
        wire.cut()
        card = await idle.card_says("The agent asks no longer; nothing was decided here.")
        assert button(card, "approve") is None
        idle.mind.steps = [Say("Still here.")]
        await idle.slack.slash(ADA, OPS, "are you there?")
        await idle.thread_says("Still here.")
        assert idle.made("made.txt") is None
        await idle.stop_relay()


async def test_each_thread_has_a_conversation_of_its_own_where_the_route_says_so(
    idle: AppServerWorld,
) -> None:
    (idle.folder / "relay.toml").write_text('[[routes]]\nconversation = "thread"\n')
    await idle.start_relay()
    idle.mind.steps = [Say("To the first."), Say("To the second.")]
    await idle.slack.slash(ADA, OPS, "the first")
    await idle.thread_says("To the first.")
    await idle.slack.slash(ADA, OPS, "the second")
    await idle.thread_says("To the second.")
    assert not any("the first" in said for said in idle.mind.read("user"))


async def test_a_message_to_a_dead_server_arrives_when_it_is_back(here: AppServerWorld) -> None:
    here.mind.steps = [Say("Better late.")]
    await here.server.program.kill()
    try:
        await here.slack.slash(ADA, OPS, "hello")
        await here.thread_says("offline")
    finally:
        await here.server.start()
    await here.thread_says("Better late.")
    assert len(here.mind.requests) == 1


async def listed(world: AppServerWorld) -> dict[str, Any]:
    """Return what `relay environments` says of the one environment."""
    said = await relay_in_thread(world, "environments", "--json")
    [only] = json.loads(said.out)["environments"]
    found: dict[str, Any] = only
    return found


def threads_with(world: AppServerWorld, words: str) -> set[Any]:
    """Return the threads in which something is said."""
    return {one.thread_ts for one in world.slack.channels[OPS].messages if words in everything(one)}
