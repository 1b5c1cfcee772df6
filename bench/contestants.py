"""The servers that are measured, each a process of its own on one core."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter

import aiohttp

from bench.commands import CONVERSATIONS, SIGNING_SECRET, cards, channel
from bench.stub import CONNECTION, DEVICE

ROOT = Path(__file__).resolve().parent.parent
_START_WITHIN = 30.0
_STOP_WITHIN = 15.0
_TICKS = os.sysconf("SC_CLK_TCK")


class ContestantError(Exception):
    """A server did not start or did not stay; the message has the end of what it printed."""


@dataclass(frozen=True)
class Contestant:
    """A way to serve the command. Only what `forwards` is looked for at the environment."""

    name: str
    title: str
    arguments: tuple[str, ...]
    forwards: bool = True
    durable: bool = False
    conversations: int = CONVERSATIONS
    quotes: bool = False  # whether a message quotes each command: Slack takes about one a second a channel


BOLT = Contestant("bolt", "(b) bare Bolt, only acks", ("-m", "bench.bolt_acks"), forwards=False)
BOLT_HTTPX = Contestant("bolt-httpx", "(c) Bolt + httpx, nothing stored", ("-m", "bench.bolt_httpx"))
RELAY = Contestant("relay", "(e) relay serve", ("-m", "relay", "serve"), durable=True)
CONTESTANTS = (BOLT, BOLT_HTTPX, RELAY)
# Beside these: what listens and is clicked at. The first does no more than passing on what comes.
LIVE = 500
ECHO = Contestant("echo", "the stand-ins' own time", ("-m", "bench.echo"), conversations=LIVE)
LIVE_RELAY = Contestant(
    "live", "relay serve", ("-m", "relay", "serve"), durable=True, conversations=LIVE, quotes=True
)


@dataclass
class Server:
    """A contestant that runs; `started` says after how many seconds it listened, and was ready."""

    pid: int
    port: int = 0
    started: dict[str, float] = field(default_factory=dict)

    def cpu_seconds(self) -> float:
        """Return the processor time it has used so far, in user and kernel mode, all threads."""
        fields = Path(f"/proc/{self.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def memory_mb(self) -> float:
        """Return its resident memory in megabytes."""
        status = Path(f"/proc/{self.pid}/status").read_text(encoding="ascii")
        line = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
        return int(line.split()[1]) / 1024


def cores() -> tuple[int, int]:
    """Return the core for the servers and the core for the load and the neighbours."""
    usable = sorted(os.sched_getaffinity(0))
    return usable[-1], usable[0]


@contextlib.asynccontextmanager
async def running(contestant: Contestant, stub_port: int, folder: Path) -> AsyncIterator[Server]:
    """Run a contestant in `folder` from its start until the block ends."""
    printed = folder / "printed"
    own = _relay_variables(folder, contestant) if contestant.durable else _BOLT_VARIABLES
    variables = _variables(stub_port) | own
    began = perf_counter()
    with printed.open("wb") as out:
        child = await asyncio.create_subprocess_exec(
            sys.executable, *contestant.arguments, cwd=ROOT, env=variables, stdout=out, stderr=out
        )
    try:
        os.sched_setaffinity(child.pid, {cores()[0]})
        server = Server(child.pid)
        await _wait_for_start(server, contestant, child, printed, began)
        yield server
    finally:
        await _stop(child)


def _variables(stub_port: int) -> dict[str, str]:
    """Return the process environment of every contestant: nothing of this one's but the path."""
    stub = f"http://127.0.0.1:{stub_port}"
    return {
        "PATH": os.environ.get("PATH", ""),
        "SLACK_BOT_TOKEN": "xoxb-bench",
        "SLACK_SIGNING_SECRET": SIGNING_SECRET,
        "SLACK_API_URL": f"{stub}/api/",
        "LETTA_API_KEY": "bench",
        "LETTA_BASE_URL": stub,
        "LETTA_AGENT_ID": "agent-bench",
    }


_BOLT_VARIABLES = {"LETTA_CONNECTION_ID": CONNECTION}


def _relay_variables(folder: Path, contestant: Contestant) -> dict[str, str]:
    configuration = folder / "relay.toml"
    configuration.write_text(_relay_toml(contestant), encoding="utf-8")
    return {
        "LETTA_DEVICE_ID": DEVICE,
        "RELAY_APPROVALS_CHANNEL": "C0APPROVALS",
        "RELAY_CONFIG": str(configuration),
        "RELAY_STORE_URL": f"sqlite:///{folder / 'relay.db'}",
        "RELAY_PORT": "0",
    }


def _relay_toml(contestant: Contestant) -> str:
    """Return a route for each conversation."""
    routes = (
        f'[[routes]]\nchannel = "{channel(place)}"\nenvironment = "default"\nconversation = "conv-{place}"\n'
        f'approvals = ["{cards(place)}"]\n'
        for place in range(contestant.conversations)
    )
    quotes = "true" if contestant.quotes else "false"
    return f"[slack]\nquote_commands = {quotes}\n\n" + "\n".join(routes)


async def _wait_for_start(
    server: Server,
    contestant: Contestant,
    child: asyncio.subprocess.Process,
    printed: Path,
    began: float,
) -> None:
    stage = "it named no port"
    try:
        async with asyncio.timeout(_START_WITHIN):
            while not (port := _port(printed)):
                _check_alive(child)
                await asyncio.sleep(0.01)
            server.port, server.started["listens"] = port, perf_counter() - began
            if contestant.durable:
                stage = "/readyz never said that it is ready"
                await _wait_for_ready(port)
                server.started["ready"] = perf_counter() - began
    except TimeoutError as problem:
        raise ContestantError(f"{contestant.title}: {stage}\n{_end_of(printed)}") from problem
    except ContestantError as problem:
        raise ContestantError(f"{contestant.title}: {problem}\n{_end_of(printed)}") from problem


def _end_of(printed: Path) -> str:
    return printed.read_text(encoding="utf-8", errors="replace")[-2000:]


def _check_alive(child: asyncio.subprocess.Process) -> None:
    if child.returncode is not None:
        raise ContestantError(f"it ended with exit status {child.returncode}")


def _port(printed: Path) -> int:
    for line in printed.read_text(encoding="utf-8", errors="replace").splitlines():
        with contextlib.suppress(ValueError):
            said = json.loads(line)
            if isinstance(said, dict) and said.get("event") in ("serving", "relay.serving"):
                return int(said["port"])
    return 0


async def _wait_for_ready(port: int) -> None:
    async with aiohttp.ClientSession() as session:
        while True:
            async with session.get(f"http://127.0.0.1:{port}/readyz") as answer:
                if answer.status == 200:
                    return
            await asyncio.sleep(0.01)


async def _stop(child: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        child.send_signal(signal.SIGTERM)
    try:
        async with asyncio.timeout(_STOP_WITHIN):
            await child.wait()
    except TimeoutError:
        child.kill()
        await child.wait()
