"""A whole relay that is given cases one by one, and must be as good as new after all of them."""

import asyncio
import contextlib
import json
import sqlite3
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import aiohttp

from tests.fuzz.shapes import NIGHTLY
from tests.world import ADA, OPS, World, world

T = TypeVar("T")
PATIENCE = 3.0  # seconds, as Slack has it
_LAST_WITHIN = 1_200.0 if NIGHTLY else 60.0  # seconds: it comes behind all that was taken


@dataclass
class Running:
    """A relay between its stand-ins, on a loop that runs while it is asked something."""

    made: World
    session: aiohttp.ClientSession
    runner: asyncio.Runner

    def run(self, asking: Coroutine[Any, Any, T]) -> T:
        """Have something done."""
        return self.runner.run(asking)

    def lives(self) -> None:
        """Say so if it does not serve any more, or took in a defect."""
        self.run(self._lives())

    async def _lives(self) -> None:
        async with asyncio.timeout(_LAST_WITHIN):
            async with self.session.get(f"{self.made.url}/healthz") as answer:
                assert answer.status == 200
            await self.made.environment.wait_for(lambda environment: len(environment.sockets) >= 2, 30)
            assert (await self.made.slack.slash(ADA, OPS, "the last word")).ok
            await self.made.slack.wait_for(lambda _: "the last word" in self.received(), _LAST_WITHIN)

    def received(self) -> list[str]:
        """Return the last line of each message that the environment took."""
        return [one.last_line for one in self.made.environment.received]

    def stored(self) -> set[str]:
        """Return the text of every message in the store."""
        path = f"file:{self.made.folder}/relay.db?mode=ro"
        with contextlib.closing(sqlite3.connect(path, uri=True)) as reading:
            return {text for (text,) in reading.execute("select text from messages")}

    def defects(self) -> list[str]:
        """Return the lines of the log that tell of errors of our own: Bolt's are no defects."""
        said = [json.loads(line) for line in self.made.log.getvalue().splitlines()]
        told = [line for line in said if any("/relay/" in one for one in _where(line))]
        return [json.dumps(line) for line in told]


def _where(line: dict[str, Any]) -> list[str]:
    """Return the files in which the errors of a line of the log were raised."""
    return [error["frames"][-1]["filename"] for error in line.get("exception", ()) if error["frames"]]


@contextlib.contextmanager
def relay_running(folder: Path, *, socket_mode: bool = False) -> Iterator[Running]:
    """Give a relay that serves; at the end it is as alive as at the start, and nothing broke in it."""
    with asyncio.Runner() as runner:
        stack = contextlib.AsyncExitStack()
        made = runner.run(stack.enter_async_context(world(folder, socket_mode=socket_mode)))
        try:
            runner.run(made.start_relay())
            session = runner.run(_session(stack))
            running = Running(made, session, runner)
            yield running
            running.lives()
            if defects := running.defects():
                raise AssertionError("\n".join(defects[:3]))
        finally:
            runner.run(stack.aclose())


async def _session(stack: contextlib.AsyncExitStack) -> aiohttp.ClientSession:
    return await stack.enter_async_context(aiohttp.ClientSession())
