"""An environment at whose address nobody answers: said, not hammered, and served when somebody does."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from tests.scenarios.test_environments import told
from tests.scenarios.test_health import readiness
from tests.scrapes import logged, scraped
from tests.world import ADA, OPS, World, everything

PER_MESSAGE = {"LETTA_CONVERSATION_ID": "thread", "RELAY_METRICS_PORT": "0"}
SAID = 12


@dataclass
class Line:
    """A port of the loopback that refuses connections until it is opened; then it leads to a server."""

    port: int
    onward: str

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @contextlib.asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """Have the port lead to the server."""
        server = await asyncio.start_server(self._take, "127.0.0.1", self.port)
        try:
            yield
        finally:
            server.close()

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        parts = urlsplit(self.onward)
        onward_reader, onward = await asyncio.open_connection(parts.hostname, parts.port)
        with contextlib.suppress(OSError):
            await asyncio.gather(_pass_on(reader, onward), _pass_on(onward_reader, writer))
        for one in (onward, writer):
            one.close()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while said := await reader.read(65_536):
            writer.write(said)
            await writer.drain()
        writer.write_eof()


def line_to(onward: str) -> Line:
    """Return a port that nobody listens on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return Line(taken.getsockname()[1], onward)


async def send(world: World) -> None:
    """Say a few things, each in a thread of its own."""
    for number in range(SAID):
        await world.slack.slash(ADA, OPS, f"word {number}")


async def held(world: World) -> dict[str, Any]:
    """Wait until the relay says that it holds something back."""
    return await readiness(world, 200, "held back since")


async def test_where_nobody_answers_deliveries_are_held_back_and_it_is_said_everywhere(idle: World) -> None:
    line = line_to(idle.environment.base_url)
    await idle.start_relay({**PER_MESSAGE, "LETTA_BASE_URL": line.url})
    await send(idle)
    parts = await held(idle)
    assert "one at a time is tried: the environments API cannot be reached" in parts["deliveries to default"]
    assert "cannot be reached" in (await told(idle))["held"]["reason"]
    assert (await scraped(idle))["relay_environment_held", "default"] == 1
    assert len(logged(idle, "environment.held")) == 1
    # Whoever wrote is told, whether it was tried or not.
    for number in range(SAID):
        await idle.thread_says(f"word {number}")
    await idle.slack.wait_for(
        lambda slack: sum("offline since" in everything(one) for one in slack.channels[OPS].messages) == SAID
    )


async def test_once_somebody_answers_there_all_of_it_goes(idle: World) -> None:
    line = line_to(idle.environment.base_url)
    await idle.start_relay({**PER_MESSAGE, "LETTA_BASE_URL": line.url})
    await send(idle)
    await held(idle)
    assert idle.environment.received == []
    async with line.opened():
        await idle.environment.wait_for(lambda seen: len(seen.received) == SAID, timeout=30)
        assert {one.last_line for one in idle.environment.received} == {f"word {n}" for n in range(SAID)}
        assert not any(one.duplicate for one in idle.environment.received)
        assert len(logged(idle, "environment.resumed")) == 1
        assert (await scraped(idle))["relay_environment_held", "default"] == 0
        assert (await told(idle))["held"] is None
        await idle.stop_relay()


async def test_a_server_that_fails_whatever_it_is_asked_is_asked_one_thing_at_a_time(idle: World) -> None:
    await idle.start_relay(PER_MESSAGE)
    idle.environment.fail_posts(status=503, times=1_000)
    await send(idle)
    parts = await held(idle)
    assert "the environment answered 503" in parts["deliveries to default"]
    tried = len(idle.environment.posts)
    assert tried < 2 * SAID
    idle.environment.router.troubles.to_come.clear()  # it is mended
    await idle.environment.wait_for(lambda seen: len(seen.received) == SAID, timeout=30)
