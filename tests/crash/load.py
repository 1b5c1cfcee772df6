"""People who type and click at a relay that keeps dying, and what they were told."""

import asyncio
import contextlib
import itertools
import signal
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field

from relay.sandbox.environment import Step, Turn, UseTool
from relay.sandbox.slack.workspace import Message
from tests.crash.relay_process import KILLED, SERVE, RelayProcess, doomed, running
from tests.world import ADA, APPROVALS, GRACE, LINUS, OPS, World, button, everything

Doom = tuple[str, int]  # the point at which a relay dies, and at which pass


@dataclass(frozen=True)
class Typed:
    """A command that was acknowledged: when it was typed, and when the answer was there."""

    text: str
    at: float
    acknowledged: float


@dataclass
class Crowd:
    """Everybody at the relay of one world."""

    world: World
    commands: int
    clicks: int
    longer: float = 0.0  # than usual it may take: seconds of a trouble
    up: asyncio.Event = field(default_factory=asyncio.Event)
    typed: list[Typed] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.world.environment.script = self._script
        self._to_ask = iter(range(self.clicks))

    def _script(self, turn: Turn) -> Iterator[Step]:
        """Ask for every tool in the first turn, one after the other; commands meanwhile join it."""
        for number in self._to_ask:
            yield UseTool("Bash", {"command": tool(number)})

    async def run(self) -> None:
        """Click on each card as it comes, and type commands all the while."""
        each = self.commands // self.clicks
        async with asyncio.timeout(100 + self.longer):
            for number in range(self.clicks):
                typing = (self.type(number * each + more) for more in range(each))
                await asyncio.gather(*typing, self._answer(number))

    async def type(self, number: int) -> None:
        """Type a command, again until it is acknowledged."""
        for attempt in itertools.count():
            await self.up.wait()
            text, at = f"command {number} try {attempt}", time.monotonic()
            ack = await self.world.slack.slash(ADA, OPS, text)
            if ack.ok and "Queued" in str(ack.body):
                self.typed.append(Typed(text, at, time.monotonic()))
                return

    async def _answer(self, number: int) -> None:
        """Click on a card; on every third, two people press opposite buttons at once."""
        await self.world.slack.wait_for(lambda _: self.cards(number), 60 + self.longer)
        rival = [self.click(LINUS, number, "deny")] if number % 3 == 0 else []
        await asyncio.gather(*rival, self.click(GRACE, number, "approve"))

    async def click(self, user: str, number: int, action_id: str) -> None:
        """Press a button until the press is acknowledged, or the button is gone."""
        while True:
            await self.up.wait()
            card = self.cards(number)[0]
            if button(card, action_id) is None:
                return
            if (await self.world.slack.click(user, APPROVALS, card.ts, action_id)).ok:
                return

    def cards(self, number: int) -> list[Message]:
        """Return every card of a tool call."""
        messages = self.world.slack.channels[APPROVALS].messages
        return [card for card in messages if tool(number) in repr(card.blocks)]

    def roots(self, text: str) -> list[Message]:
        """Return every thread root that quotes a command."""
        return [
            message
            for message in self.world.slack.channels[OPS].messages
            if message.thread_ts is None and message.text.endswith(f" {text}")
        ]

    def arrived(self) -> list[str]:
        """Return the commands that reached the environment, in the order of their first arrival."""
        return list(dict.fromkeys(message.last_line for message in self.world.environment.received))

    async def until_arrived(self, number: int) -> None:
        """Wait until so many commands have reached the environment."""
        await self.world.environment.wait_for(lambda _: len(self.arrived()) >= number)

    async def settled(self) -> None:
        """Wait until every acknowledged command has arrived and every card has ended."""
        environment, slack = self.world.environment, self.world.slack
        texts = {typed.text for typed in self.typed}
        within = 40 + self.longer
        await environment.wait_for(lambda _: texts <= set(self.arrived()), within)
        await slack.wait_for(lambda _: all(ended(self.cards(one)) for one in range(self.clicks)), within)
        await slack.wait_for(lambda _: all(self.roots(text) for text in texts), within)


def tool(number: int) -> str:
    """Return the command that the agent wants to run as its tool call of that number."""
    return f"make part-{number:03}"


def ended(cards: Sequence[Message]) -> bool:
    """Return whether a tool call's card says that it is over."""
    return any(
        word in everything(card) for card in cards for word in ("Delivered.", "not confirmed", "no longer")
    )


async def survive(crowd: Crowd, dooms: Sequence[Doom]) -> None:
    """Let the crowd at a relay that meets each doom in turn, until all has settled."""
    async with dying(crowd, [doomed(point, passes) for point, passes in dooms]) as statuses:
        await crowd.run()
        await crowd.settled()
    assert struck(statuses) == len(dooms)
    assert statuses[-1] == 0


async def click_struck(world: World, point: str) -> Crowd:
    """Have a click hit by a kill at a point, and all settled by the relay after it."""
    crowd = Crowd(world, commands=1, clicks=1)
    async with running(world, doomed(point, 1, armed=False)) as relay:
        crowd.up.set()
        await crowd.type(0)
        await world.card()
        relay.send(signal.SIGUSR1)
        clicking = asyncio.create_task(crowd.click(GRACE, 0, "approve"))
        assert await relay.ended() == KILLED
    async with running(world) as relay:
        await clicking
        await crowd.settled()
        assert await relay.stop() == 0
    return crowd


@contextlib.asynccontextmanager
async def dying(crowd: Crowd, dooms: Sequence[Sequence[str]]) -> AsyncIterator[list[int]]:
    """Run the relay of the crowd again and again: each doom strikes, then it runs to the end.

    Gives the exit statuses so far. The last run is stopped as SIGTERM does, and counted too.
    """
    statuses: list[int] = []
    supervising = asyncio.create_task(_supervise(crowd, dooms, statuses))
    try:
        yield statuses
    finally:
        supervising.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await supervising


async def _supervise(crowd: Crowd, dooms: Sequence[Sequence[str]], statuses: list[int]) -> None:
    for arguments in (*dooms, SERVE):
        async with running(crowd.world, arguments) as process:
            crowd.up.set()
            try:
                await process.ended() if arguments is not SERVE else await _until_cancelled(process)
            finally:
                crowd.up.clear()
                statuses.append(await process.stop() if process.is_alive else await process.ended())


async def _until_cancelled(process: RelayProcess) -> None:
    await asyncio.Event().wait()


def struck(statuses: Sequence[int]) -> int:
    """Return how many dooms struck."""
    return sum(status == KILLED for status in statuses)
