"""A database that is lost in the middle of a commit: what is served is what the store has, and it is said."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import aiohttp
import pytest

from relay.domain.installations import Installation
from relay.sandbox.slack import FakeSlackCloud
from relay.slack.installing.roll import Held
from relay.store import DoubtError, Store, StoreError
from tests import postgres
from tests.store.lossy import lossy
from tests.workspaces.building import ALPHA
from tests.workspaces.installs import DoubtfulStore, Front, front
from tests.workspaces.test_rotation import Rotating


@pytest.fixture
async def pages(tmp_path: Path) -> AsyncIterator[Front]:
    """The pages of an install; the app is installed nowhere yet."""
    async with front(tmp_path) as made:
        yield made


@pytest.fixture
async def rotating(tmp_path: Path) -> AsyncIterator[Rotating]:
    """Parts that refresh, over a store that may lose its database."""
    async with FakeSlackCloud(rotates=True) as cloud, aiohttp.ClientSession() as session:
        cloud.add(ALPHA)
        store = DoubtfulStore.open(f"sqlite:///{tmp_path}/relay.db")
        yield Rotating(cloud, store, session)
        await store.close()


def losing(rotating: Rotating, loses: str, *, stays_away: bool = False) -> DoubtfulStore:
    """Have the next change of an installation lost."""
    store = rotating.store
    assert isinstance(store, DoubtfulStore)
    store.loses, store.stays_away = loses, stays_away
    return store


def reinstalled(rotating: Rotating, held: Held) -> Installation:
    """Return what a second install of the app in the workspace brings."""
    fresh = rotating.cloud.installed(ALPHA)
    return replace(
        held.installation,
        bot_token=fresh["access_token"],
        refresh_token=fresh["refresh_token"],
        installed_at=rotating.now + timedelta(seconds=1),
        expires_at=rotating.now + timedelta(hours=12),
    )


async def agrees(rotating: Rotating, held: Held) -> bool:
    """Return whether memory and store hold the same, and the next tokens can be got and are kept."""
    _, refreshing, stored = await rotating.again()
    if stored.installation != held.installation or stored.sealed_refresh != held.sealed_refresh:
        return False
    rotating.pass_time(hours=11)
    return await refreshing.renew(stored, stored.installation.bot_token)


async def test_an_install_whose_commit_was_lost_on_the_way_back_is_served(rotating: Rotating) -> None:
    roll, _, held = await rotating.installed()
    again = reinstalled(rotating, held)
    losing(rotating, "after")
    await roll.install(again)
    assert held.installation == again
    assert await agrees(rotating, held)


async def test_an_install_whose_commit_was_lost_on_the_way_there_is_said_not_to_be_kept(
    rotating: Rotating,
) -> None:
    roll, _, held = await rotating.installed()
    before = held.installation
    losing(rotating, "before")
    with pytest.raises(StoreError) as raised:
        await roll.install(reinstalled(rotating, held))
    assert not isinstance(raised.value, DoubtError)
    assert held.installation == before
    assert await agrees(rotating, held)


@pytest.mark.parametrize("loses", ["before", "after"])
async def test_while_nobody_can_be_asked_it_is_in_doubt_and_then_what_the_store_has_is_served(
    rotating: Rotating, loses: str
) -> None:
    roll, refreshing, held = await rotating.installed()
    before, again = held.installation, reinstalled(rotating, held)
    store = losing(rotating, loses, stays_away=True)
    with pytest.raises(DoubtError):
        await roll.install(again)
    await refreshing.look()
    assert held.installation == before
    store.is_away = False
    await refreshing.look()
    assert held.installation == (again if loses == "after" else before)
    assert await agrees(rotating, held)


async def test_a_first_install_in_doubt_is_served_at_the_first_arrival_that_finds_it(pages: Front) -> None:
    pages.store.loses, pages.store.stays_away = "after", True
    page = await pages.install()
    assert page.status == 503
    assert "Nobody can say yet whether the installation was kept. Begin again." in page.body
    with pytest.raises(StoreError):
        await pages.roll.served(ALPHA, None)
    pages.store.is_away = False
    found = await pages.roll.served(ALPHA, None)
    assert found is not None
    assert found.installation.bot_token in pages.cloud.tokens


async def test_the_page_says_that_it_is_installed_where_the_store_has_it_after_all(pages: Front) -> None:
    for _ in range(2):  # the second time in the place of the first
        pages.store.loses = "after"
        page = await pages.install()
        assert page.status == 200
        assert "relay is installed in" in page.body
        found = pages.roll.find(ALPHA)
        assert found is not None
        assert found.installation.bot_token == list(pages.cloud.tokens)[-1]


async def test_the_page_says_that_nothing_was_kept_where_the_store_has_nothing(pages: Front) -> None:
    pages.store.loses = "before"
    page = await pages.install()
    assert page.status == 503
    assert "Nothing was kept." in page.body
    assert pages.roll.find(ALPHA) is None
    assert (await pages.install()).status == 200


async def test_next_tokens_whose_commit_was_lost_are_followed_by_the_next_ones(rotating: Rotating) -> None:
    _, refreshing, held = await rotating.installed()
    rotating.pass_time(hours=11)
    answered = rotating.cloud.hold_refreshes()
    looking = asyncio.create_task(refreshing.look())
    await answered.begun.wait()
    losing(rotating, "after")
    answered.go_on.set()
    await looking
    await refreshing.look()
    assert rotating.cloud.refreshed == 1
    assert await agrees(rotating, held)


async def test_a_claim_that_is_never_given_is_in_the_log(rotating: Rotating) -> None:
    _, refreshing, held = await rotating.installed()
    rotating.pass_time(hours=11)
    ahead = rotating.now + timedelta(days=1)  # a clock that was set back since
    row = await rotating.row()
    assert await rotating.store.transact(
        lambda tx: tx.installations.begin_refresh(ALPHA, row.sealed_refresh, ahead, ahead)
    )
    await refreshing.look()
    assert rotating.said("workspace.refresh_not_claimed") == []  # another one may be at it
    rotating.pass_time(minutes=6)
    await refreshing.look()
    [problem] = rotating.said("workspace.refresh_not_claimed")
    assert "start relay anew" in problem
    assert rotating.cloud.asked_to_refresh == 0
    assert held.trouble == ""


async def test_tokens_that_the_store_has_and_nobody_here_are_taken_when_the_claim_is_not_given(
    rotating: Rotating,
) -> None:
    roll, refreshing, held = await rotating.installed()
    again = reinstalled(rotating, held)
    other, _ = rotating.begin()
    await other.install(again)
    rotating.pass_time(hours=11)
    used = held.installation.bot_token
    assert await refreshing.renew(held, used)
    assert held.installation == again
    assert roll.find(ALPHA) is held


@pytest.mark.parametrize("cut", ["before", "after"])
async def test_on_a_database_that_is_lost_in_the_commit_the_next_look_finds_what_it_kept(
    postgresql: postgres.Server, database_url: str, monkeypatch: pytest.MonkeyPatch, cut: str
) -> None:
    for patience in ("_PATIENCE", "_PATIENCE_IN_DOUBT"):
        monkeypatch.setattr(f"relay.store.postgresql.{patience}", 0.3)
    with lossy(postgresql) as cutter:
        async with FakeSlackCloud(rotates=True) as cloud, aiohttp.ClientSession() as session:
            cloud.add(ALPHA)
            store = Store.open(cutter.url(database_url))
            rotating = Rotating(cloud, store, session)
            roll, refreshing, held = await rotating.installed()
            before, again = held.installation, reinstalled(rotating, held)
            cutter.cut, cutter.carrying, cutter.shut_after_cut = cut, b"workspace.installed", True
            with pytest.raises(DoubtError):
                await roll.install(again)
            assert cutter.cuts == 1
            cutter.shut = False
            await refreshing.look()
            assert held.installation == (again if cut == "after" else before)
            assert await agrees(rotating, held)
            await store.close()
