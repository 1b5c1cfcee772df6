"""Relays of two versions on one database: the older ones go on while the newer ones come, and after them.

The newer version is this one's code with one more migration; each runs as a process of its own.
"""

import asyncio

import pytest

from relay.store.schema import HEAD
from tests.crash import facts
from tests.crash.fleet import Fleet, fleet
from tests.crash.load import Crowd
from tests.crash.relay_process import SERVE, RelayProcess, relay, running
from tests.crash.versions import later, version
from tests.store.beside import rows
from tests.world import ADA, OPS, World

_SCHEMA = """
    SELECT version_num, value FROM alembic_version JOIN settings ON name = 'readable_from/' || version_num
"""


def schema_of(world: World) -> list[tuple[str, str]]:
    """Return of which schema the store is, and from which on relays work with it."""
    found = rows(world.variables["RELAY_STORE_URL"], _SCHEMA)
    return [(str(one), str(other)) for one, other in found]


def served_by(process: RelayProcess) -> str:
    """Return the version that a relay says it is of."""
    return str(next(line["version"] for line in process.log if line["event"] == "relay.serving"))


async def replaced(relays: Fleet, former: RelayProcess, arguments: tuple[str, ...]) -> RelayProcess:
    """Stop a relay as a supervisor does, and start another in its place."""
    assert await former.stop() == 0
    return await relays.add(arguments)


async def test_an_upgrade_relay_by_relay_under_load_costs_nothing_and_the_older_one_may_come_back(
    shared: World,
) -> None:
    newer = version(shared.folder, "newer", 1, HEAD)
    crowd = Crowd(shared, commands=80, clicks=16)
    async with fleet(shared, 2) as relays:
        first, second = relays.all
        assert schema_of(shared) == [(HEAD, HEAD)]
        crowd.up.set()
        load = asyncio.create_task(crowd.run())
        await crowd.until_arrived(8)
        third = await relays.add(newer)  # beside both, which go on
        assert (served_by(third), schema_of(shared)) == ("newer", [(later(1), HEAD)])
        await crowd.until_arrived(24)
        fourth = await replaced(relays, first, newer)
        await crowd.until_arrived(40)
        fifth = await replaced(relays, fourth, SERVE)  # the older version starts on what the newer one left
        assert served_by(fifth) == served_by(second) != "newer"
        await crowd.until_arrived(56)
        assert [await one.stop() for one in (second, third)] == [0, 0]
        await load  # with the older one alone
        await crowd.settled()
        assert await fifth.stop() == 0
    assert schema_of(shared) == [(later(1), HEAD)]
    facts.holds(crowd)


@pytest.mark.nightly
async def test_what_each_version_takes_the_other_delivers_whichever_has_the_sockets(shared: World) -> None:
    newer = version(shared.folder, "newer", 1, HEAD)
    async with fleet(shared, 1) as relays, running(shared, newer) as other:
        [older] = relays.all
        relays.all.append(other)
        for holder, former in ((older, other), (other, older)):
            if former is older:
                relays.freeze(older)
                await relays.holder(older)
                relays.wake(older)
                await older.logged(event="environment.let_go")
            assert await relays.holder() is holder
            for one in (older, other):
                shared.slack.request_url = f"{one.url}/slack/events"
                said = f"held by {served_by(holder)}, taken by {served_by(one)}"
                assert (await shared.slack.slash(ADA, OPS, said)).ok
                await shared.thread_says(f"echo: {said}")
        assert [await one.stop() for one in (older, other)] == [0, 0]
    assert len(shared.environment.received) == 4


@pytest.mark.nightly
async def test_a_store_that_says_it_is_too_new_is_refused_in_words_and_served_by_the_version_before_it(
    shared: World,
) -> None:
    async with running(shared) as process:
        assert await process.stop() == 0
    async with running(shared, version(shared.folder, "newest", 2, later(1))) as process:
        assert (served_by(process), schema_of(shared)) == ("newest", [(later(2), later(1))])
        refused = await relay(shared, "serve")
        assert refused.status == 1
        assert (
            f"a newer version of relay wrote it (schema {later(2)}; this one knows {HEAD})" in refused.problem
        )
        assert "Run that version" in refused.problem
        looked = await relay(shared, "doctor")
        assert f"version {later(2)}, of a newer relay; this one knows {HEAD}" in looked.out
        newer = version(shared.folder, "newer", 1, HEAD)
        async with running(shared, newer) as between:  # which this store says works with it
            await shared.slack.slash(ADA, OPS, "hello")
            await shared.thread_says("echo: hello")
            assert await between.stop() == 0
        assert await process.stop() == 0
    assert schema_of(shared) == [(later(2), later(1))]
