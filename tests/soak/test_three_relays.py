"""Three relays on one database through what lasts long: a Slack that is asked too much, a flood, a full disk.

`make test` has seconds of each, `make nightly` minutes, and ten thousand messages.
"""

import asyncio
import contextlib
import itertools
import os
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field

import psycopg
import pytest
from psycopg import sql

from relay.sandbox.environment import Step, Turn, Wait
from relay.sandbox.slack.workspace import ApiCall, Channel
from tests import postgres
from tests.crash import facts
from tests.crash.fleet import fleet
from tests.crash.load import Crowd
from tests.world import ADA, APPROVALS, OPS, World, button

NIGHTLY = os.environ.get("HYPOTHESIS_PROFILE") == "nightly"
LASTS = 240.0 if NIGHTLY else 4.0  # seconds
MESSAGES = 10_000 if NIGHTLY else 200
PLACES = 5
POSTS = ("chat.postMessage", "chat.update", "chat.postEphemeral", "assistant.threads.setStatus")
RETRY_AFTER = 2
SEGMENT_MB = 1
FULL = SEGMENT_MB * 1024 * 1024  # bytes, of the largest file: the journal's must have room
_COLUMNS = """
    SELECT string_agg(quote_ident(column_name), ', ') FROM information_schema.columns
    WHERE table_name = 'deliveries' AND NOT column_name = ANY(%s)
"""
_OWN = ["seq", "id", "state", "next_attempt_at", "lease_until"]
_SETTLED = sql.SQL("""
    INSERT INTO deliveries (id, state, {others}) SELECT 'dlv_' || number, 'dropped', {others}
    FROM (SELECT * FROM deliveries LIMIT 1) AS one, generate_series(1, %s::integer / 200) AS number
""")


@pytest.fixture(scope="module")
def server() -> Iterator[postgres.Server]:
    """A server that waits for its disk, which may be full."""
    with postgres.server(fsync=True, segment_mb=SEGMENT_MB) as made:
        yield made


@pytest.fixture
async def shared(idle: World, server: postgres.Server) -> AsyncIterator[World]:
    """A world whose relays keep their store in a database."""
    idle.variables["RELAY_STORE_URL"] = server.new_database()
    yield idle
    server.allow_files_of(None)


async def typed_all_the_while(crowd: Crowd, ends: float) -> None:
    """Have more commands typed until a moment, four a second at most."""
    for number in itertools.count(crowd.commands):
        if asyncio.get_running_loop().time() >= ends:
            return
        await asyncio.gather(crowd.type(number), asyncio.sleep(0.25))


@pytest.mark.nightly
async def test_while_slack_is_asked_too_much_commands_go_on_and_afterwards_all_is_posted_once(
    shared: World,
) -> None:
    crowd = Crowd(shared, commands=24, clicks=6, longer=2 * LASTS)
    slack, loop = shared.slack, asyncio.get_running_loop()
    async with fleet(shared, 3) as relays:
        crowd.up.set()
        load = asyncio.create_task(crowd.run())
        await crowd.until_arrived(8)
        over = asyncio.Event()
        for method in POSTS:
            slack.fail(
                method, "ratelimited", times=10**9, retry_after=RETRY_AFTER, when=lambda _: not over.is_set()
            )
        before = len(slack.calls)
        await typed_all_the_while(crowd, loop.time() + LASTS)
        typed = {one.text for one in crowd.typed}
        await shared.environment.wait_for(lambda _: typed <= set(crowd.arrived()), 60 + LASTS)
        refused = [one for one in slack.calls[before:] if one.error == "ratelimited"]
        over.set()
        assert len(typed) > 8
        assert hurried(refused) == []
        await load
        await crowd.settled()
        assert [await one.stop() for one in relays.serving] == [0, 0, 0]
    facts.holds(crowd)


def hurried(refused: Sequence[ApiCall]) -> list[str]:
    """Return the posts that were tried again before Slack wanted to hear of them."""
    last: dict[str, float] = {}
    found = []
    for one in refused:
        if one.method == "chat.postMessage":
            text = str(one.arguments["text"])
            if one.at - last.get(text, 0.0) < RETRY_AFTER - 0.1:
                found.append(text)
            last[text] = one.at
    assert last, "nothing was posted all the while"
    return found


@dataclass
class Flood:
    """Messages that people type in several channels, each with a conversation of its own."""

    world: World
    number: int
    acknowledged: dict[int, list[str]] = field(default_factory=lambda: defaultdict(list))

    def __post_init__(self) -> None:
        self.world.environment.script = lambda turn: self._script(turn)
        members = set(self.world.slack.channels[OPS].members)
        routes = []
        for place in range(PLACES):
            channel = f"C3FLOOD{place}"
            self.world.slack.channels[channel] = Channel(channel, channel.lower(), members=set(members))
            routes.append(f'[[routes]]\nchannel = "{channel}"\nconversation = "conv-{place}"\n')
        (self.world.folder / "relay.toml").write_text("\n".join(routes), encoding="utf-8")

    def _script(self, _: Turn) -> Iterator[Step]:
        yield Wait(asyncio.Event())  # the turn that takes them all in does not end

    async def type(self, place: int) -> None:
        """Type one place's share, each once the one before is acknowledged."""
        for number in range(self.number // PLACES):
            text = f"place {place} message {number}"
            ack = await self.world.slack.slash(ADA, f"C3FLOOD{place}", text)
            if ack.ok and "Queued" in str(ack.body):
                self.acknowledged[place].append(text)

    def arrived(self) -> dict[int, list[str]]:
        """Return what reached the environment, by place, as often and in the order as it took effect."""
        found: dict[int, list[str]] = defaultdict(list)
        for message in self.world.environment.received:
            if not message.duplicate:
                found[int(message.last_line.split()[1])].append(message.last_line)
        return found

    def roots(self) -> Counter[str]:
        """Return how often each message is quoted."""
        return Counter(
            message.text[message.text.index("place ") :]
            for place in range(PLACES)
            for message in self.world.slack.channels[f"C3FLOOD{place}"].messages
            if message.thread_ts is None and "place " in message.text
        )

    async def until_taken(self, number: int) -> None:
        """Wait until the environment has taken so many."""
        received = self.world.environment.received
        async with asyncio.timeout(60 + self.number / 5):
            while sum(not message.duplicate for message in received) < number:
                await self.world.environment.ledger.next_change()


async def test_what_waits_for_an_environment_that_is_away_arrives_once_and_in_order_when_it_is_back(
    shared: World,
) -> None:
    flood = Flood(shared, MESSAGES)
    async with fleet(shared, 3) as relays:
        await relays.holder()
        await shared.environment.go_offline()
        await asyncio.gather(*(flood.type(place) for place in range(PLACES)))
        assert {place: len(texts) for place, texts in flood.acknowledged.items()} == dict.fromkeys(
            range(PLACES), MESSAGES // PLACES
        )
        assert shared.environment.received == []
        await shared.environment.come_back()
        await flood.until_taken(MESSAGES // 3)
        holder = await relays.holder()
        await holder.kill()  # while it carries them over
        await flood.until_taken(MESSAGES)
        await quoted(flood)
        assert [await one.stop() for one in relays.serving] == [0, 0]
    assert flood.arrived() == flood.acknowledged
    assert facts.given_up(shared) == []


async def quoted(flood: Flood) -> None:
    """Wait until every message is quoted, once each."""
    every = {text: 1 for texts in flood.acknowledged.values() for text in texts}
    async with asyncio.timeout(60 + flood.number / 5):
        while True:
            found = flood.roots()
            if found.total() >= len(every):
                break
            await asyncio.sleep(0.2)
    assert found == every


class Insistent(Crowd):
    """A crowd that presses again where it was told that nothing was stored."""

    async def click(self, user: str, number: int, action_id: str) -> None:
        """Press a button until it is gone."""
        slack = self.world.slack
        while button(card := self.cards(number)[0], action_id) is not None:
            await slack.click(user, APPROVALS, card.ts, action_id)
            with contextlib.suppress(AssertionError):
                await slack.wait_for(lambda _: button(self.cards(number)[0], action_id) is None, 5)


@pytest.mark.nightly
async def test_on_a_full_disk_nothing_is_taken_that_is_not_kept_and_with_room_again_all_goes_on(
    shared: World, server: postgres.Server
) -> None:
    crowd = Insistent(shared, commands=24, clicks=6, longer=2 * LASTS)
    async with fleet(shared, 3) as relays:
        crowd.up.set()
        load = asyncio.create_task(crowd.run())
        await shared.card()
        await asyncio.to_thread(enlarge_outbox, shared.variables["RELAY_STORE_URL"])
        server.allow_files_of(FULL)
        said = asyncio.Event()
        typing = asyncio.create_task(typed_until(crowd, said))
        await shared.told(ADA, "I could not store that, so nothing was sent or decided.")
        said.set()
        await asyncio.sleep(LASTS)  # how long it is full
        server.allow_files_of(None)
        await asyncio.gather(load, typing)
        await crowd.settled()
        assert [await one.stop() for one in relays.serving] == [0, 0, 0]
    assert set(crowd.arrived()) == {one.text for one in crowd.typed}
    facts.holds(crowd)


async def typed_until(crowd: Crowd, said: asyncio.Event) -> None:
    """Have commands typed until something is said, and the last one be taken: what was free is filled up."""
    for number in itertools.count(10**6):
        await crowd.type(number)
        if said.is_set():
            return


def enlarge_outbox(url: str) -> None:
    """Make the outbox a larger file than there may be when the disk is full, by what was settled long ago."""
    with psycopg.connect(url) as beside:
        found = beside.execute(_COLUMNS, [_OWN]).fetchone()
        assert found is not None
        beside.execute(_SETTLED.format(others=sql.SQL(found[0])), [FULL])
        size = beside.execute("SELECT pg_relation_size('deliveries')").fetchone()
    assert size is not None and size[0] > FULL
