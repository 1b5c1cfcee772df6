"""One real program for a whole run; for each test an agent, a conversation and a relay of its own."""

import contextlib
import itertools
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import pytest_asyncio

from relay.sandbox.slack import FakeSlack
from tests.letta.lines import Json
from tests.letta.model import FakeModel, Mind
from tests.letta.program import LettaProgram
from tests.letta.router import BEHAVIOURS, LAYOUTS, FakeRouter, Layout
from tests.witnesses import slack as witness
from tests.world import OPS, Workplace, everything, settings_beside

_numbers = itertools.count(1)


@dataclass
class Workshop:
    """The program as a device, between our router and our model."""

    model: FakeModel
    router: FakeRouter
    program: LettaProgram

    async def up(self, layout: Layout) -> None:
        """Have the device up, with its sockets in this layout, also after a test that left it dead."""
        if not self.router.is_up:
            await self.program.kill()
            self.router.layout = layout
            await self.program.start_device()
        elif self.router.layout != layout:
            await self.router.rotate(layout)

    async def new_agent(self, mind: Mind, folder: Path) -> tuple[str, str]:
        """Have the device make an agent with this mind; return its id and its conversation's."""
        answer = await self.router.ask(
            {
                "type": "runtime_start",
                "mode": "standard",
                "cwd": str(folder),
                "create_agent": {
                    "body": {
                        "name": mind.name,
                        "model": f"openai-compatible/{mind.name}",
                        "memory_blocks": [],
                    },
                    "pin_global": False,
                },
            }
        )
        assert answer["success"], answer
        return answer["runtime"]["agent_id"], answer["runtime"]["conversation_id"]


@dataclass
class LettaWorld(Workplace):
    """A stand-in Slack, a relay, and an agent in the real program."""

    workshop: Workshop = field(kw_only=True)
    mind: Mind = field(kw_only=True)
    desk: Path = field(kw_only=True)

    @property
    def router(self) -> FakeRouter:
        """The router in front of the program."""
        return self.workshop.router

    @property
    def runtime(self) -> dict[str, str]:
        """The agent and its conversation, as frames name them."""
        return {
            "agent_id": self.variables["LETTA_AGENT_ID"],
            "conversation_id": self.variables["LETTA_CONVERSATION_ID"],
        }

    def threads_with(self, words: str) -> set[str | None]:
        """Return the threads in which something is said."""
        return {one.thread_ts for one in self.slack.channels[OPS].messages if words in everything(one)}

    def words(self, channel: str) -> str:
        """Return what notifications of a channel's messages say, a line each."""
        return "\n".join(one.text for one in self.slack.channels[channel].messages)

    def frames(self, kind: str, sender: str = "device") -> list[Json]:
        """Return the frames of a type that the device sent for this agent."""
        return [
            frame
            for who, frame in self.router.trace
            if who.startswith(sender) and frame["type"] == kind and frame.get("runtime") == self.runtime
        ]

    async def wait_for_frames(self, kind: str, number: int) -> None:
        """Wait until the device has sent so many frames of a type for this agent, and is up."""
        await self.router.wait_for(lambda router: router.is_up and len(self.frames(kind)) >= number)

    def made(self, name: str) -> str | None:
        """Return what a tool wrote into a file of the agent's folder, or None."""
        file = self.desk / name
        return file.read_text() if file.exists() else None


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def workshop(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Workshop]:
    """The program, started once: three seconds and a quarter of a gigabyte."""
    home = tmp_path_factory.mktemp("home")
    async with FakeModel() as model, FakeRouter() as router:
        variables = {
            "LETTA_BASE_URL": router.url,
            "LETTA_API_KEY": router.api_key,
            "IGNORE_SELF_HOSTED_LISTENER_ERROR": "1",
        }
        program = LettaProgram(home, model.url, variables)
        try:
            await program.connect_model()
            yield Workshop(model, router, program)
        finally:
            await program.kill()


def refused_by_the_witness(slack: FakeSlack) -> list[str]:
    """Return what Slack's own models say against the bodies it was sent."""
    bodies = [call.arguments.get("blocks") or [] for call in slack.calls if call.method.startswith("chat.")]
    return [problem for blocks in bodies for problem in witness.problems(blocks)]


@contextlib.asynccontextmanager
async def letta_world(workshop: Workshop, folder: Path) -> AsyncIterator[LettaWorld]:
    """Give a world with a new agent, whose relay is not started yet."""
    workshop.router.forget()
    desk = folder / "desk"
    desk.mkdir()
    mind = workshop.model.mind(f"mind-{next(_numbers)}")
    agent_id, conversation_id = await workshop.new_agent(mind, desk)
    async with FakeSlack() as slack:
        variables = {
            **settings_beside(slack, folder),
            "LETTA_API_KEY": workshop.router.api_key,
            "LETTA_BASE_URL": workshop.router.url,
            "LETTA_DEVICE_ID": workshop.router.device.device_id,
            "LETTA_AGENT_ID": agent_id,
            "LETTA_CONVERSATION_ID": conversation_id,
        }
        made = LettaWorld(slack, folder, variables, workshop=workshop, mind=mind, desk=desk)
        try:
            yield made
            assert refused_by_the_witness(slack) == []
        finally:
            await made.stop_relay()
            workshop.router.closed_to_devices = workshop.router.keeps_connections = False


@pytest_asyncio.fixture(loop_scope="session")
async def idle(workshop: Workshop, tmp_path: Path) -> AsyncIterator[LettaWorld]:
    """The program and its agent, and a relay that the test starts itself."""
    workshop.router.behaviour = "translating"
    await workshop.up("one")
    async with letta_world(workshop, tmp_path) as made:
        yield made


@pytest_asyncio.fixture(loop_scope="session")
async def here(idle: LettaWorld) -> LettaWorld:
    """A running relay behind a router that translates approvals."""
    await idle.start_relay()
    return idle


@pytest_asyncio.fixture(loop_scope="session", params=BEHAVIOURS)
async def both(request: pytest.FixtureRequest, idle: LettaWorld) -> LettaWorld:
    """A running relay, behind a router that translates approvals and behind one that does not."""
    idle.router.behaviour = request.param
    await idle.start_relay()
    return idle


@pytest_asyncio.fixture(loop_scope="session", params=LAYOUTS)
async def in_each_layout(request: pytest.FixtureRequest, here: LettaWorld) -> LettaWorld:
    """A running relay, with the device's sockets in each of their layouts."""
    await here.workshop.up(request.param)
    return here
