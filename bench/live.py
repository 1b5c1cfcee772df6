"""How soon a question is in Slack and a click at the device, and what a turn and a conversation cost."""

import asyncio
import json
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from time import perf_counter, process_time, time
from typing import Any
from urllib.parse import urlencode

from bench.commands import TEAM, cards, command_in, signed
from bench.contestants import ECHO, LIVE, LIVE_RELAY, ROOT, Contestant, Server, running
from bench.goals import goal_line, ratio
from bench.live_stub import Json, LiveStub
from bench.load import Load, until
from relay.environment.frames import parse
from relay.environment.sequencer import Sequencer
from relay.environment.turns import Turns

_RATE = 50
_RECORDED = ROOT / "tests" / "recorded" / "approve.jsonl"
_OPENING, _DECIDED = 7, 21  # the first frame of the recorded turn, and the first after its decision
_WITHIN = 20.0
_TOGETHER = 4


@dataclass
class Live:
    """What one run gave: seconds, megabytes, and seconds of processor time a turn."""

    to_slack: float = float("nan")
    to_device: float = float("nan")
    memory: float = float("nan")
    turn: float = float("nan")
    parsing: float = float("nan")
    following: float = float("nan")


@dataclass
class _Arrivals:
    """Moments by what arrived, with whoever waits for it."""

    moments: dict[str, float] = field(default_factory=dict)
    values: dict[str, str] = field(default_factory=dict)
    _awaited: dict[str, "asyncio.Future[None]"] = field(default_factory=dict)

    def take(self, what: str, value: str = "") -> None:
        self.moments.setdefault(what, perf_counter())
        self.values.setdefault(what, value)
        if what in self._awaited and not self._awaited[what].done():
            self._awaited[what].set_result(None)

    async def one(self, what: str) -> str:
        if what not in self.moments:
            awaited = self._awaited.setdefault(what, asyncio.get_running_loop().create_future())
            await asyncio.wait_for(awaited, _WITHIN)
        return self.values[what]


class _Bench:
    """A server that runs, between a stub and people."""

    def __init__(self, stub: LiveStub, load: Load) -> None:
        self._stub = stub
        self._load = load
        self._arrived = _Arrivals()
        self._clicks = 0
        stub.on_post = self._posted
        stub.on_decision = lambda _, call: self._arrived.take(f"decision {call}")
        stub.on_message = lambda where, which: self._arrived.take(f"message {where}", which)

    def _posted(self, body: Json, ts: str) -> None:
        blocks = body.get("blocks") or []
        for block in json.loads(blocks) if isinstance(blocks, str) else blocks:
            for element in block.get("elements", ()) if block["type"] == "actions" else ():
                if element.get("action_id") == "approve":
                    call = json.loads(element["value"])["tool_call_id"]
                    self._arrived.take(f"card {call}", f"{ts} {element['value']}")
        if "FINAL" in str(body.get("text")):
            self._arrived.take(f"reply {str(body['text']).partition('turn ')[2].split()[0]}")

    async def to_slack(self, seconds: float) -> float:
        """Return the median time from a question on the sockets to its card at Slack."""

        async def ask(number: int) -> None:
            call = f"call-timed-{number}"
            request = {"subtype": "can_use_tool", "tool_name": "Bash", "input": {"command": f"make {number}"}}
            where = {"agent_id": "agent-bench", "conversation_id": f"conv-{number % LIVE}"}
            frame = {"type": "control_request", "request_id": f"perm-{call}", "runtime": where}
            await self._stub.say(
                f"conv-{number % LIVE}", {**frame, "request": {**request, "tool_call_id": call}}
            )

        return await self._timed(int(seconds * _RATE), ask, "card call-timed-{}")

    async def to_device(self, seconds: float) -> float:
        """Return the median time from a click on a card to its decision at the environment."""

        async def click(number: int) -> None:
            await self._click(number % LIVE, self._arrived.values[f"card call-timed-{number}"])

        return await self._timed(int(seconds * _RATE), click, "decision call-timed-{}")

    async def _timed(self, count: int, act: Callable[[int], Awaitable[Any]], what: str) -> float:
        """Return the median time from each scheduled act to what comes of it."""
        began = perf_counter() + 0.1
        moments = {what.format(number): began + number / _RATE for number in range(count)}
        async with asyncio.TaskGroup() as group:
            for number, moment in enumerate(moments.values()):
                await until(moment)
                group.create_task(_awaited(act(number)))
        await asyncio.gather(*(self._arrived.one(one) for one in moments))
        return median(self._arrived.moments[one] - moment for one, moment in moments.items())

    async def _click(self, place: int, card: str) -> None:
        ts, _, value = card.partition(" ")
        self._clicks += 1
        clicked: Json = {
            "type": "block_actions",
            "user": {"id": "U0BENCH000", "team_id": TEAM},
            "team": {"id": TEAM},
            "channel": {"id": cards(place)},
            "container": {"type": "message", "message_ts": ts, "channel_id": cards(place)},
            "actions": [{"action_id": "approve", "type": "button", "value": value}],
            "trigger_id": f"{self._clicks}.398738663015.470bedcc",
        }
        clicked["actions"][0]["action_ts"] = f"{time():.6f}"
        await self._load.send(signed(urlencode({"payload": json.dumps(clicked)}).encode()))

    async def turns(self, count: int) -> list[list[str]]:
        """Live through recorded turns, each in a conversation of its own; return the frames of each."""
        places, texts = iter(range(count)), [list[str]() for _ in range(count)]
        await asyncio.gather(*(self._turns_of(places, texts) for _ in range(_TOGETHER)))
        return texts

    async def _turns_of(self, places: Iterator[int], texts: list[list[str]]) -> None:
        for place in places:
            await self._turn(place, texts[place])

    async def _turn(self, place: int, texts: list[str]) -> None:
        where, frames = f"conv-{place}", _RECORDED.read_text(encoding="utf-8").splitlines()
        await self._load.send(command_in(place, 1_000_000 + place))
        message_id = await self._arrived.one(f"message {where}")
        changed = {
            "cm-fbd72f01": message_id,
            "local-conv-1": where,
            '"agent-1"': '"agent-bench"',
            "call_1_0": f"call-turn-{place}",
            "FINAL: ": f"FINAL of turn {place} ",
        }
        texts += await self._play(where, frames[_OPENING:_DECIDED], changed)
        await self._click(place, await self._arrived.one(f"card call-turn-{place}"))
        await self._arrived.one(f"decision call-turn-{place}")
        texts += await self._play(where, frames[_DECIDED:], changed)
        await self._arrived.one(f"reply {place}")

    async def _play(self, where: str, frames: list[str], changed: dict[str, str]) -> list[str]:
        sent: list[str] = []
        for recorded in frames:
            text = recorded
            for old, new in changed.items():
                text = text.replace(old, new)
            frame = json.loads(text)
            if frame["type"] != "input_accepted":
                sent += await self._stub.say(where, frame)
        return sent


async def _awaited(act: Awaitable[Any]) -> None:
    await act


async def live(*, seconds: float, turns: int) -> tuple[Live, Live]:
    """Measure the echo and the relay; return the figures of both."""
    return await _one(ECHO, seconds, 0), await _one(LIVE_RELAY, seconds, turns)


async def _one(contestant: Contestant, seconds: float, turns: int) -> Live:
    with tempfile.TemporaryDirectory(prefix=".bench-", dir=ROOT) as folder:
        async with LiveStub() as stub, running(contestant, stub.port, Path(folder)) as server:
            await stub.listened_to(LIVE, 2 if contestant.durable else 1)
            load = Load(*server.ports)
            try:
                return await _measured(_Bench(stub, load), server, seconds, turns)
            finally:
                load.close()


async def _measured(bench: _Bench, server: Server, seconds: float, turns: int) -> Live:
    found = Live()
    # First: decisions of the timed clicks get no sign of delivery, and are attempted again meanwhile.
    if turns:
        used = server.cpu_seconds()
        texts = await bench.turns(turns)
        found.turn = (server.cpu_seconds() - used) / turns
        found.parsing = _seconds_a_turn(texts, _parse)
        found.following = _seconds_a_turn(texts, _follow)
    found.to_slack = await bench.to_slack(seconds)
    found.to_device = await bench.to_device(seconds)
    found.memory = server.memory_mb()
    return found


def _seconds_a_turn(turns: list[list[str]], take: Callable[[list[str]], None]) -> float:
    began = process_time()
    for texts in turns:
        take(texts)
    return (process_time() - began) / len(turns)


def _parse(texts: list[str]) -> None:
    for text in texts:
        parse(text)


def _follow(texts: list[str]) -> None:
    """Do what the relay's door to the environment does with the frames of a turn."""
    sequencer, turns = Sequencer(), Turns()
    for text in texts:
        for frame in sequencer.take(parse(text)):
            turns.take(frame)


def report(echo: Live, relay: Live) -> str:
    """Return the figures."""
    lines = [
        f"{LIVE} conversations listened to, {_RATE} questions and {_RATE} clicks a second",
        _line("question to Slack, p50", relay.to_slack, "the stand-ins' own", echo.to_slack),
        _line("click to device, p50", relay.to_device, "the stand-ins' own", echo.to_device),
        _line("CPU a turn's frames", relay.following, "parsing them only", relay.parsing),
        _line("CPU a whole turn", relay.turn, "parsing its frames only", relay.parsing),
        f"{'memory after it':25} {relay.memory:8.2f} MB",
    ]
    return "\n".join(lines)


def goals(echo: Live, relay: Live) -> list[str]:
    """Return a line for each goal."""
    return [
        goal_line("question-to-slack-ms", (relay.to_slack - echo.to_slack) * 1e3, "<=", 10.0),
        goal_line("click-to-device-ms", (relay.to_device - echo.to_device) * 1e3, "<=", 10.0),
        goal_line("memory-500-conversations-mb", relay.memory, "<=", 300.0),
        goal_line("cpu-turn-frames-vs-parsing", ratio(relay.following, relay.parsing), "<=", 1.5),
    ]


def _line(title: str, seconds: float, beside: str, own: float) -> str:
    return f"{title:25} {seconds * 1e3:8.2f} ms; {beside} {own * 1e3:.2f} ms"
