"""Tokens of a store that several relays share: used by all, and each refresh token by one, once."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import aiohttp
import pytest
from cryptography.fernet import Fernet

from relay.domain.installations import Installation
from relay.domain.moments import moment_of
from relay.sandbox.slack import FakeSlackCloud
from relay.slack.installing.refreshing import Refreshing
from relay.slack.installing.roll import Held, Roll
from relay.store import Store, StoreError, Transaction
from tests.store.beside import rows
from tests.store.stores import store_at
from tests.workspaces.building import ALPHA, BETA
from tests.workspaces.test_rotation import Rotating

ALIVE_FOR = timedelta(seconds=10)


@dataclass
class Two:
    """The parts of two relays on one store, which hear of each other when they ask; one clock for both."""

    first: Rotating
    second: Rotating
    url: str

    def pass_time(self, **more: float) -> None:
        """Let time pass, for Slack as well."""
        self.first.pass_time(**more)
        self.second.now = self.first.now

    async def installed(self) -> tuple[Roll, Refreshing, Held]:
        """Install the app by the first relay."""
        return await self.first.installed()

    async def also(self) -> tuple[Roll, Refreshing, Held]:
        """Start the second relay."""
        return await self.second.again()

    def begun(self) -> datetime | None:
        """Return since when a refresh is under way, as the store has it."""
        [(found,)] = rows(self.url, "SELECT refresh_begun_at FROM installations")
        return moment_of(found)

    async def is_alive(self, which: Rotating) -> None:
        """Have a relay say that it is alive, for ten seconds."""
        now, who = which.now, which.store.writer
        await which.store.transact(lambda tx: tx.leases.appear(who, (), now, now + ALIVE_FOR))


@pytest.fixture
async def two(database_url: str) -> AsyncIterator[Two]:
    """Parts that refresh; the app is installed nowhere yet."""
    async with (
        FakeSlackCloud(rotates=True) as cloud,
        aiohttp.ClientSession() as session,
        store_at(database_url) as one,
        store_at(database_url) as other,
    ):
        cloud.add(ALPHA)
        made = Two(Rotating(cloud, one, session), Rotating(cloud, other, session), database_url)
        made.second.key, made.second.now = made.first.key, made.first.now
        yield made


async def test_both_find_the_tokens_about_to_expire_and_one_refreshes_them_for_both(two: Two) -> None:
    _, first, mine = await two.installed()
    _, second, theirs = await two.also()
    two.pass_time(hours=11)
    await asyncio.gather(first.look(), second.look())
    await asyncio.gather(first.look(), second.look())  # who came too late hears of it
    assert (two.first.cloud.asked_to_refresh, two.first.cloud.refreshed) == (1, 1)
    assert mine.installation == theirs.installation
    assert (mine.sealed_refresh, mine.trouble) == (theirs.sealed_refresh, theirs.trouble)
    two.pass_time(hours=11)
    await second.look()
    await first.look()
    assert two.first.cloud.asked_to_refresh == 2
    assert mine.installation == theirs.installation


async def test_whoever_needs_a_token_now_waits_for_the_one_that_another_relay_asks_for(two: Two) -> None:
    _, first, _ = await two.installed()
    _, second, theirs = await two.also()
    two.pass_time(hours=13)
    held = two.first.cloud.hold_refreshes()
    looking = asyncio.create_task(first.look())
    await held.begun.wait()
    calling = asyncio.create_task(two.second.client(theirs, second).auth_test())
    await until(lambda: bool(second._under_way))
    for _ in range(3):  # its claim is refused, and it has looked for what came of the other one
        await two.second.store.transact(lambda tx: tx.installations.get(ALPHA))
    held.go_on.set()
    assert (await calling)["team_id"] == ALPHA
    await looking
    assert two.first.cloud.asked_to_refresh == 1


async def test_a_relay_that_starts_while_another_asks_does_not_take_its_claim_for_one_of_the_dead(
    two: Two,
) -> None:
    _, first, _ = await two.installed()
    two.pass_time(hours=11)
    held = two.first.cloud.hold_refreshes()
    looking = asyncio.create_task(first.look())
    await held.begun.wait()
    two.pass_time(seconds=5)
    _, second, theirs = await two.also()
    await second.look()
    held.go_on.set()
    await looking
    await second.look()
    assert two.first.cloud.asked_to_refresh == 1
    assert theirs.trouble == ""


async def until(seen: Callable[[], bool]) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(30):
        while True:
            if seen():
                return
            await asyncio.sleep(0.01)


def takes(store: Store, number: int, patch: pytest.MonkeyPatch) -> None:
    """Let a store take so many works, and nothing after them."""
    transact, left = store.transact, iter(range(number))

    async def some(work: Callable[[Transaction], object]) -> object:
        if next(left, None) is None:
            raise StoreError("the database is gone")
        return await transact(work)

    patch.setattr(store, "transact", some)


@pytest.mark.parametrize(("stopped", "asked"), [(15, 1), (30, 0)])
async def test_who_was_stopped_in_its_tracks_behind_its_claim_asks_nothing_and_gives_it_back(
    two: Two, monkeypatch: pytest.MonkeyPatch, stopped: int, asked: int
) -> None:
    _, first, mine = await two.installed()
    two.pass_time(hours=11)
    transact = two.first.store.transact

    async def slowly(work: Callable[[Transaction], object]) -> object:
        done = await transact(work)
        two.pass_time(seconds=stopped)
        return done

    with monkeypatch.context() as patch:
        patch.setattr(two.first.store, "transact", slowly)
        await first.look()
    assert two.first.cloud.asked_to_refresh == asked
    assert (await two.first.row()).refresh_begun_at is None
    await first.look()
    assert two.first.cloud.refreshed == 1
    assert mine.trouble == ""


@pytest.mark.parametrize("alive", [True, False])
async def test_a_claim_that_is_old_is_taken_over_only_when_who_made_it_is_gone(
    two: Two, monkeypatch: pytest.MonkeyPatch, alive: bool
) -> None:
    _, first, mine = await two.installed()
    _, second, theirs = await two.also()
    two.pass_time(hours=11)
    with monkeypatch.context() as patch:
        takes(two.first.store, 2, patch)  # what is new, the claim; and not what came of it
        await first.look()
    assert two.first.cloud.refreshed == 1
    refreshed = mine.installation
    await second._roll.install(replace(refreshed, team_id=BETA))  # something to hear of
    await first._roll.hear()
    assert mine.installation == refreshed  # and not what the store still has
    two.pass_time(minutes=2)
    if alive:
        await two.is_alive(two.first)
    await second.look()
    assert two.first.cloud.asked_to_refresh == (1 if alive else 2)
    assert bool(theirs.trouble) is not alive
    await first.look()  # which stores what it has
    await second.look()
    assert theirs.installation == mine.installation
    assert theirs.trouble == ""  # and the other one asks for nothing any more
    assert two.first.cloud.refreshed == 1


async def test_what_comes_for_a_claim_is_kept_although_the_tokens_were_sealed_anew_meanwhile(
    two: Two,
) -> None:
    _, first, mine = await two.installed()
    two.pass_time(hours=11)
    held = two.first.cloud.hold_refreshes()
    looking = asyncio.create_task(first.look())
    await held.begun.wait()
    two.second.key = Fernet.generate_key().decode()
    row = await two.second.row()
    new = two.second.begin()[0]
    sealed = new.sealed(mine.installation)

    def reseal(tx: Transaction) -> bool:
        return tx.installations.reseal(ALPHA, row.sealed_bot, *sealed)

    assert await two.second.store.transact(reseal)
    held.go_on.set()
    await looking
    two.second.key = two.first.key
    _, second, theirs = await two.also()
    assert theirs.installation == mine.installation
    await second.look()
    assert two.first.cloud.asked_to_refresh == 1


async def test_what_cannot_be_opened_is_said_and_the_tokens_that_are_known_go_on_to_be_used(two: Two) -> None:
    roll, _, mine = await two.installed()
    before = mine.installation
    two.second.key = Fernet.generate_key().decode()
    stranger = two.second.begin()[0]
    await stranger.install(again(two, before))
    await roll.hear()
    assert two.first.said("workspace.not_opened") == [roll.troubles[ALPHA]]
    assert "give this one the same keys" in roll.troubles[ALPHA]
    assert roll.find(ALPHA) is mine
    assert mine.installation == before


def again(two: Two, before: Installation) -> Installation:
    """Return what Slack gives when the app is installed once more."""
    two.pass_time(minutes=1)
    fresh = two.first.cloud.installed(ALPHA)
    return replace(
        before,
        bot_token=fresh["access_token"],
        refresh_token=fresh["refresh_token"],
        installed_at=two.first.now,
    )


async def test_who_finds_its_token_revoked_does_not_take_away_what_another_relay_has_installed_since(
    two: Two,
) -> None:
    roll, _, mine = await two.installed()
    other, _, theirs = await two.also()
    before = mine.installation
    fresh = again(two, before)
    await roll.install(fresh)
    await other.uninstall(theirs, "token_revoked")
    assert other.find(ALPHA) is theirs
    assert theirs.installation == fresh
    assert (await two.first.row()).revoked_at is None
    assert roll.find(ALPHA) is mine


async def test_a_call_that_meets_a_token_of_before_is_made_with_that_of_another_relays_installation(
    two: Two,
) -> None:
    roll, _, mine = await two.installed()
    other, second, theirs = await two.also()
    two.first.cloud.take_away(ALPHA, "token_revoked")
    await roll.install(again(two, mine.installation))
    client = two.second.client(theirs, second)
    client._lost = other.uninstall
    assert (await client.auth_test())["team_id"] == ALPHA
    assert theirs.gone == ""


async def test_tokens_that_another_relay_refreshed_while_slack_was_asked_are_no_trouble(two: Two) -> None:
    _, first, mine = await two.installed()
    _, second, theirs = await two.also()
    two.pass_time(hours=11)
    held = two.first.cloud.hold_refreshes()
    looking = asyncio.create_task(first.look())  # asks, and is stopped in its tracks for minutes
    await held.begun.wait()
    two.pass_time(minutes=2)
    taking_over = asyncio.create_task(second.look())
    await until(lambda: bool(second._under_way) and two.begun() == two.second.now)
    held.go_on.set()
    await asyncio.gather(looking, taking_over)
    await asyncio.gather(first.look(), second.look())
    assert (two.first.cloud.asked_to_refresh, two.first.cloud.refreshed) == (2, 1)
    assert mine.installation == theirs.installation
    assert (mine.trouble, theirs.trouble) == ("", "")
