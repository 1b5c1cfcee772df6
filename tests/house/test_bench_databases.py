"""What is measured with a database: the server is an ordinary one, queues carry, and a backlog leaves."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import aiohttp
import pytest

from bench import claims
from bench.__main__ import main
from bench.commands import CONVERSATIONS, Commands
from bench.contestants import (
    ON_POSTGRESQL,
    ON_SQLITE,
    PGQUEUER,
    PROCRASTINATE,
    TWO_RELAYS,
    Contestant,
    running,
)
from bench.database import database
from bench.load import Load
from bench.on_postgresql import Carried, goals, report
from bench.rounds import Drained, Lengths, Round
from bench.stub import CONNECTION, DEVICE, Stub
from tests.house.test_bench import GOAL
from tests.postgres import Server


@pytest.fixture(scope="module")
def measured() -> Iterator[Server]:
    with database() as server:
        yield server


def test_the_server_that_is_measured_has_the_settings_it_would_have_anywhere(measured: Server) -> None:
    found = measured.run("SELECT name, setting = boot_val FROM pg_settings")
    assert {name for name, is_own in found if is_own} >= {
        "fsync", "synchronous_commit", "full_page_writes", "wal_level", "autovacuum", "max_connections",
        "shared_buffers",
    }  # fmt: skip


@pytest.mark.parametrize("one", [PROCRASTINATE, PGQUEUER], ids=lambda one: one.name)
async def test_a_queue_carries_each_command_once(one: Contestant, measured: Server, tmp_path: Path) -> None:
    told = replace(one, variables={one.database: measured.new_database()})
    async with Stub() as stub, running(told, stub.port, tmp_path) as server:
        load = Load(*server.ports)
        sent = await load.saturate(Commands().make(40), 8, 60.0)
        await stub.arrivals.of(sent.acknowledged, quiet=30.0, longest=60.0)
        load.close()
    assert len(sent.acknowledged) == 40
    assert stub.arrivals.copies == dict.fromkeys(sent.acknowledged, 1)


async def test_what_waits_for_devices_that_are_away_arrives_once_they_are_back(tmp_path: Path) -> None:
    lengths = Lengths(
        rounds=1, schedule=1, saturation=1, drain=60, probe=1, close=1.3, turns=0, backlog=2 * CONVERSATIONS
    )
    async with Stub() as stub, running(ON_SQLITE, stub.port, tmp_path) as server:
        load = Load(*server.ports)
        commands = Commands(answers=f"http://127.0.0.1:{stub.port}/api")
        phases = Round(ON_SQLITE, commands, stub, lengths, server, load)
        drained = await phases.drain()
        load.close()
    assert (phases.count.sent, phases.count.refused) == (lengths.backlog, 0)
    assert (phases.count.lost, phases.count.doubled) == (0, 0)
    assert drained.wait > 0
    assert drained.rate > 0


async def test_a_device_that_is_away_takes_nothing_and_is_said_to_be_away() -> None:
    async with Stub() as stub, aiohttp.ClientSession(f"http://127.0.0.1:{stub.port}") as session:
        body = b"deploy the site, please (number 7)"

        async def tried() -> tuple[int, object, int]:
            async with session.post(f"/v1/environments/{CONNECTION}/messages", data=body) as answer:
                taken = answer.status
            async with session.get(f"/v1/environments/{DEVICE}") as answer:
                connection = (await answer.json())["connectionId"]
            return taken, connection, len(stub.arrivals.moments)

        socket = await session.ws_connect(f"/v1/environments/{CONNECTION}/status/ws")
        await stub.go_away()
        assert (await socket.receive(timeout=10)).type is aiohttp.WSMsgType.CLOSE
        assert await tried() == (404, None, 0)
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await session.ws_connect(f"/v1/environments/{CONNECTION}/status/ws")
        stub.come_back()
        assert await tried() == (200, CONNECTION, 1)


async def test_a_load_on_two_ports_has_as_many_connections_to_each() -> None:
    opened, ended = [0, 0], asyncio.Semaphore(0)

    async def answer(place: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        opened[place] += 1
        while await reader.read(65_536):
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nQueued")
        writer.close()
        await writer.wait_closed()
        ended.release()

    async with (
        await asyncio.start_server(partial(answer, 0), "127.0.0.1", 0) as one,
        await asyncio.start_server(partial(answer, 1), "127.0.0.1", 0) as other,
    ):
        load = Load(*(each.sockets[0].getsockname()[1] for each in (one, other)))
        sent = await load.saturate(Commands().make(60), 10, 30.0)
        load.close()
        for _ in range(sum(opened)):
            await ended.acquire()
    assert len(sent.acknowledged) == 60
    assert opened == [5, 5]


def carried(forwards: float, in_step: float = 100.0, drained: Drained | None = None) -> Carried:
    return Carried(forwards, in_step, 1.0, 0.001, 1.0, 0.5, 10, 0, 0, 0, drained)


RESULTS = {
    ON_SQLITE.name: [carried(400), carried(9_000), carried(500, drained=Drained(0.5, 400))],
    ON_POSTGRESQL.name: [carried(300), carried(1), carried(200, 90, Drained(0.5, 190))],
    TWO_RELAYS.name: [carried(290), carried(300), carried(310)],
    PROCRASTINATE.name: [carried(100), carried(100), carried(1_000)],
    PGQUEUER.name: [carried(100, 200)] * 3,
}


def test_the_goals_compare_medians_and_a_backlog_with_the_round_it_left_in() -> None:
    lines = goals(RESULTS)
    assert [line for line in lines if not GOAL.fullmatch(line)] == []
    assert lines == [
        "goal postgresql-vs-sqlite measured 0.40 to-reach >=0.50 short",
        "goal two-relays-vs-one measured 1.50 to-reach >=1.50 ok",
        "goal drain-vs-normal-sqlite measured 0.80 to-reach >=0.90 short",
        "goal drain-vs-normal-postgresql measured 0.95 to-reach >=0.90 ok",
        "goal postgresql-vs-procrastinate measured 2.00 to-reach >=1.00 ok",
        "goal postgresql-in-step-vs-procrastinate measured 1.00 to-reach >=1.00 ok",
        "goal postgresql-vs-pgqueuer measured 2.00 to-reach >=1.00 ok",
        "goal postgresql-in-step-vs-pgqueuer measured 0.50 to-reach >=1.00 short",
    ]


def test_of_who_took_no_part_there_is_neither_a_column_nor_a_goal() -> None:
    some = {one.name: RESULTS[one.name] for one in (ON_SQLITE, ON_POSTGRESQL)} | {PGQUEUER.name: []}
    assert not [line for line in goals(some) if "pgqueuer" in line or "two" in line]
    text = report(some, ["(j) Bolt + PgQueuer + httpx: not there"], 3)
    assert "two relays" not in text
    assert "left out: (j) Bolt + PgQueuer + httpx: not there" in text


def test_a_claim_is_compared_with_one_that_has_little_to_choose_from() -> None:
    found = claims.Claimed("SQLite", few=0.002, many=0.003)
    assert claims.goal(found) == "goal claim-10000-vs-100-sqlite measured 1.50 to-reach <=1.20 short"


def test_a_part_that_there_is_not_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["--only", "nothing"])
    assert stopped.value.code == 2
    assert "'postgresql'" in capsys.readouterr().err
