"""The relay as a process of its own, which can be killed, and the command line beside it."""

import asyncio
import contextlib
import io
import json
import os
import resource
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from relay.cli import main
from tests.world import Workplace

SERVE = ("-m", "relay", "serve")
KILLED = -signal.SIGKILL
_DOOMED = str(Path(__file__).with_name("doomed_relay.py"))


def doomed(point: str, passes: int, *, armed: bool = True) -> tuple[str, ...]:
    """Return the arguments of a relay that dies at a pass of a point; unarmed, it counts from SIGUSR1."""
    return (_DOOMED, point, str(passes), *([] if armed else ["unarmed"]))


class RelayProcess:
    """One run of the relay as a child process."""

    def __init__(self, world: Workplace, arguments: Sequence[str] = SERVE) -> None:
        self._world = world
        self._arguments = arguments
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None
        self._ended: asyncio.Task[int] | None = None
        self._serving = asyncio.Event()
        self._spoke = asyncio.Condition()
        self.port = 0
        self.log: list[dict[str, Any]] = []

    async def start(self) -> None:
        """Start it and return once it serves, with Slack's request URL set to it; or it is dead again."""
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, *self._arguments, env=_variables(self._world.variables),
            cwd=self._world.folder, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        self._reading = asyncio.create_task(self._read())
        self._ended = asyncio.create_task(self._wait())
        serving = asyncio.create_task(self._serving.wait())
        await asyncio.wait({serving, self._ended}, return_when=asyncio.FIRST_COMPLETED)
        serving.cancel()

    async def _read(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            said = json.loads(line)
            async with self._spoke:
                self.log.append(said)
                self._spoke.notify_all()
            if said["event"] == "relay.serving":
                self.port = said["port"]
                if "SLACK_APP_TOKEN" not in self._world.variables:
                    self._world.slack.request_url = f"{self.url}/slack/events"
                self._serving.set()

    async def _wait(self) -> int:
        assert self._process is not None
        assert self._reading is not None
        await self._reading
        return await self._process.wait()

    async def ended(self) -> int:
        """Wait until it is over and return its exit status."""
        assert self._ended is not None
        async with asyncio.timeout(60):
            return await asyncio.shield(self._ended)

    async def logged(self, **facts: str) -> dict[str, Any]:
        """Wait until its log has a line with these facts and return it."""

        def found() -> list[dict[str, Any]]:
            return [line for line in self.log if facts.items() <= line.items()]

        async with asyncio.timeout(30), self._spoke:
            return (await self._spoke.wait_for(found))[0]

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """The process."""
        assert self._process is not None
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        """Whether it still runs."""
        return self._ended is not None and not self._ended.done()

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        assert self._process is not None
        self._process.send_signal(number)

    async def stop(self) -> int:
        """Stop it as a supervisor does and return its exit status."""
        self.send(signal.SIGTERM)
        return await self.ended()

    async def kill(self) -> None:
        """Kill it without a word."""
        self.send(signal.SIGKILL)
        assert await self.ended() == KILLED

    def allow_files_of(self, largest: int) -> None:
        """Let no file grow beyond `largest` bytes: to the store, a full disk."""
        assert self._process is not None
        resource.prlimit(self._process.pid, resource.RLIMIT_FSIZE, (largest, resource.RLIM_INFINITY))

    async def ready(self) -> int:
        """Return the status of /readyz."""
        async with aiohttp.ClientSession() as session, session.get(f"{self.url}/readyz") as answer:
            return answer.status


@contextlib.asynccontextmanager
async def running(world: Workplace, arguments: Sequence[str] = SERVE) -> AsyncIterator[RelayProcess]:
    """Give a relay that serves; it is dead at the end, however the test ends."""
    process = RelayProcess(world, arguments)
    try:
        await process.start()
        yield process
    finally:
        if process.is_alive:
            process.send(signal.SIGKILL)
        await process.ended()


@dataclass(frozen=True)
class Said:
    """How one run of the command line ended."""

    status: int
    out: str
    err: str

    @property
    def problem(self) -> str:
        """The one line on stderr."""
        [line] = self.err.splitlines()
        return line


async def relay(world: Workplace, *arguments: str, changed: Mapping[str, str | None] | None = None) -> Said:
    """Run `relay ARGUMENTS` to its end; `changed` sets variables, or takes those away that are None."""
    variables = {**world.variables, **(changed or {})}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "relay", *arguments,
        env=_variables({name: value for name, value in variables.items() if value is not None}),
        cwd=world.folder, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        async with asyncio.timeout(30):
            out, err = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.communicate()
        raise AssertionError(f"`relay {' '.join(arguments)}` did not end") from None
    assert process.returncode is not None
    return Said(process.returncode, out.decode(), err.decode())


async def relay_in_thread(world: Workplace, *arguments: str) -> Said:
    """Run `relay ARGUMENTS` as a thread of this process, which starts a hundred times as fast."""
    out, err = io.StringIO(), io.StringIO()
    before = dict(os.environ)
    os.environ |= world.variables
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = await asyncio.to_thread(main, arguments)
    finally:
        os.environ.clear()
        os.environ |= before
    return Said(status, out.getvalue(), err.getvalue())


def _variables(wanted: Mapping[str, str]) -> dict[str, str]:
    """Return the process environment of a child: what is wanted and, of ours, only where programs are."""
    return {"PATH": os.environ.get("PATH", ""), "PYTHONUNBUFFERED": "1", **wanted}
