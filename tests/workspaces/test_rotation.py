"""Tokens that expire: the next ones are there before, asked for once, and kept through every trouble."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import pytest
import structlog
from cryptography.fernet import Fernet
from pydantic import SecretStr
from slack_sdk.web.async_client import AsyncWebClient

from relay.config import OAuthConfig
from relay.domain.installations import Installation
from relay.sandbox.slack import FakeSlackCloud
from relay.slack.installing.client import WorkspaceClient
from relay.slack.installing.oauth import OAuth
from relay.slack.installing.refreshing import Refreshing
from relay.slack.installing.roll import Held, Roll
from relay.slack.installing.seal import TokenSeal
from relay.store import Store, StoreError
from relay.store.installations import Installed
from tests.workspaces.building import ALPHA, BETA, building
from tests.workspaces.test_departures import until
from tests.workspaces.test_install import talked
from tests.world import ADA, OPS

TWELVE_HOURS = 12 * 3600


class Rotating:
    """What refreshes, over a real store and a stand-in for Slack, with a clock of the test's."""

    def __init__(self, cloud: FakeSlackCloud, store: Store, session: aiohttp.ClientSession) -> None:
        self.cloud = cloud
        self.store = store
        self.session = session
        self.now = datetime.now(UTC)
        self.key = Fernet.generate_key().decode()
        self.logged: list[tuple[str, str]] = []

    def begin(self) -> tuple[Roll, Refreshing]:
        """Return the parts as a start makes them."""
        log = structlog.wrap_logger(
            structlog.ReturnLogger(), processors=[self._note], wrapper_class=structlog.BoundLogger
        )
        config = OAuthConfig("1.2", SecretStr(self.cloud.client_secret), (), "https://relay.example.com")
        client = AsyncWebClient(base_url=self.cloud.api_url, session=self.session)
        roll = Roll(self.store, TokenSeal([self.key]), lambda: self.now, log)
        oauth = OAuth(client, config, lambda: self.now)
        return roll, Refreshing(self.store, roll, oauth, lambda: self.now, log)

    def _note(self, _: object, method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        self.logged.append((str(event["event"]), str(event.get("problem", ""))))
        assert not any(token in str(event) for token in (*self.cloud.tokens, *self.cloud.refresh_tokens))
        return event

    async def installed(self) -> tuple[Roll, Refreshing, Held]:
        """Install the app in a workspace."""
        roll, refreshing = self.begin()
        answer = self.cloud.installed(ALPHA)
        installation = Installation(
            team_id=ALPHA,
            enterprise_id=None,
            is_org=False,
            name="Alpha",
            bot_user_id="U0RELAY",
            bot_id="B0RELAY",
            scopes="",
            installed_by=ADA,
            installed_at=self.now,
            bot_token=answer["access_token"],
            refresh_token=answer["refresh_token"],
            expires_at=self.now + timedelta(seconds=answer["expires_in"]),
        )
        await roll.install(installation)
        found = roll.find(ALPHA)
        assert found is not None
        return roll, refreshing, found

    async def again(self) -> tuple[Roll, Refreshing, Held]:
        """Start again on the same store, as after a crash."""
        roll, refreshing = self.begin()
        await roll.load()
        found = roll.find(ALPHA)
        assert found is not None
        return roll, refreshing, found

    def pass_time(self, **more: float) -> None:
        """Let time pass, for Slack as well."""
        self.now += timedelta(**more)
        self.cloud.clock_ahead += timedelta(**more).total_seconds()

    def client(self, held: Held, refreshing: Refreshing) -> WorkspaceClient:
        """Return the client of the workspace."""

        async def lost(held: Held, error: str) -> None:
            raise AssertionError(error)

        return WorkspaceClient(
            held, refreshing.renew, lost, base_url=self.cloud.api_url, session=self.session
        )

    async def row(self) -> Installed:
        """Return what the store holds."""
        found = await self.store.transact(lambda tx: tx.installations.get(ALPHA))
        assert found is not None
        return found

    def said(self, event: str) -> list[str]:
        """Return the problems that were logged of a kind."""
        return [problem for name, problem in self.logged if name == event]


@pytest.fixture
async def rotating(tmp_path: Path) -> AsyncIterator[Rotating]:
    """Parts that refresh; the app is installed nowhere yet."""
    async with FakeSlackCloud(rotates=True) as cloud, aiohttp.ClientSession() as session:
        cloud.add(ALPHA)
        store = Store.open(f"sqlite:///{tmp_path}/relay.db")
        made = Rotating(cloud, store, session)
        yield made
        await store.close()


async def test_tokens_are_refreshed_two_hours_before_they_expire_and_not_sooner(rotating: Rotating) -> None:
    _, refreshing, held = await rotating.installed()
    first = held.installation.bot_token
    rotating.pass_time(hours=9, minutes=59)
    await refreshing.look()
    assert held.installation.bot_token == first
    rotating.pass_time(minutes=1)
    await refreshing.look()
    assert held.installation.bot_token != first
    assert rotating.cloud.refreshed == 1
    _, _, after = await rotating.again()
    assert after.installation == held.installation


async def test_what_was_installed_anew_while_others_were_stored_is_not_refreshed_for_the_former(
    rotating: Rotating, monkeypatch: pytest.MonkeyPatch
) -> None:
    roll, refreshing, held = await rotating.installed()
    former = held.installation
    anew = rotating.cloud.installed(ALPHA)

    async def others_first() -> None:
        tokens = {"bot_token": anew["access_token"], "refresh_token": anew["refresh_token"]}
        await roll.install(replace(former, **tokens))

    monkeypatch.setattr(refreshing, "_save_all", others_first)
    assert await refreshing.renew(held, former.bot_token)
    assert rotating.cloud.refreshed == 0
    assert held.installation.refresh_token == anew["refresh_token"]
    assert (await rotating.row()).refresh_begun_at is None


async def test_many_that_find_a_token_expired_ask_for_the_next_once_and_all_succeed(
    rotating: Rotating,
) -> None:
    _, refreshing, held = await rotating.installed()
    client = rotating.client(held, refreshing)
    rotating.pass_time(hours=13)
    answers = await asyncio.gather(*(client.auth_test() for _ in range(20)))
    assert {one["team_id"] for one in answers} == {ALPHA}
    assert rotating.cloud.refreshed == 1


async def test_a_crash_before_slack_was_asked_loses_nothing(rotating: Rotating) -> None:
    await rotating.installed()
    rotating.pass_time(hours=11)
    row = await rotating.row()
    assert await rotating.store.transact(
        lambda tx: tx.installations.begin_refresh(ALPHA, row.sealed_refresh, rotating.now, rotating.now)
    )
    rotating.pass_time(minutes=2)
    _, refreshing, held = await rotating.again()
    await refreshing.look()
    assert rotating.cloud.refreshed == 1
    assert held.trouble == ""
    assert (await rotating.row()).refresh_begun_at is None


async def test_a_crash_between_slacks_answer_and_the_store_is_said_with_what_to_do(
    rotating: Rotating,
) -> None:
    _, _, held = await rotating.installed()
    rotating.pass_time(hours=11)
    row = await rotating.row()
    await rotating.store.transact(
        lambda tx: tx.installations.begin_refresh(ALPHA, row.sealed_refresh, rotating.now, rotating.now)
    )
    rotating.cloud.use_up(held.installation.refresh_token)
    rotating.pass_time(minutes=2)
    _, refreshing, after = await rotating.again()
    await refreshing.look()
    [problem] = rotating.said("workspace.refresh_refused")
    assert "invalid_refresh_token" in problem
    assert "a refresh begun at" in problem
    assert "install the app again before" in problem
    assert after.trouble == problem
    answer = await rotating.client(after, refreshing).auth_test()  # until it expires it goes on to work
    assert answer["team_id"] == ALPHA
    record = await rotating.store.transact(lambda tx: [one.action for _, one in tx.audit.page(0, 10)])
    assert record[1:] == ["workspace.installed", "workspace.refresh_refused"]


async def test_what_slack_refuses_once_is_not_asked_for_again_at_every_call(rotating: Rotating) -> None:
    _, refreshing, held = await rotating.installed()
    rotating.cloud.use_up(held.installation.refresh_token)
    rotating.pass_time(hours=13)
    client = rotating.client(held, refreshing)
    for _ in range(5):
        with pytest.raises(Exception, match="token_expired"):
            await client.auth_test()
    assert rotating.cloud.asked_to_refresh == 1
    assert len(rotating.said("workspace.refresh_refused")) == 1


async def test_a_store_that_takes_nothing_loses_no_tokens_while_relay_runs(
    rotating: Rotating, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, refreshing, held = await rotating.installed()
    rotating.pass_time(hours=11)
    first, transact, full = held.installation.bot_token, rotating.store.transact, False

    async def sometimes(work: Callable[..., object]) -> object:
        nonlocal full
        if full:
            raise StoreError("the disk is full")
        full = True  # from the claim on
        return await transact(work)

    monkeypatch.setattr(rotating.store, "transact", sometimes)
    await refreshing.look()
    assert rotating.cloud.refreshed == 1
    assert held.installation.bot_token != first  # used all the same
    await refreshing.look()
    monkeypatch.undo()
    assert (await rotating.again())[2].installation.bot_token == first
    await refreshing.look()
    assert (await rotating.again())[2].installation == held.installation
    assert rotating.cloud.refreshed == 1


async def test_installed_again_while_slack_is_asked_the_new_tokens_stay(rotating: Rotating) -> None:
    roll, refreshing, held = await rotating.installed()
    rotating.pass_time(hours=11)
    answered = rotating.cloud.hold_refreshes()
    looking = asyncio.create_task(refreshing.look())
    await answered.begun.wait()
    fresh = rotating.cloud.installed(ALPHA)
    again = replace(
        held.installation,
        bot_token=fresh["access_token"],
        refresh_token=fresh["refresh_token"],
        expires_at=rotating.now + timedelta(hours=12),
        installed_at=rotating.now,
    )
    await roll.install(again)
    answered.go_on.set()
    await looking
    assert held.installation == again
    assert (await rotating.again())[2].installation == again


async def test_two_processes_do_not_use_the_same_refresh_token(rotating: Rotating) -> None:
    await rotating.installed()
    rotating.pass_time(hours=11)
    (_, one, _), (_, two, _) = await rotating.again(), await rotating.again()
    await asyncio.gather(one.look(), two.look())
    assert rotating.cloud.asked_to_refresh == 1


async def test_a_relay_whose_tokens_have_expired_meanwhile_goes_on(tmp_path: Path) -> None:
    async with building(tmp_path, rotates=True) as made:
        await made.start_relay()
        await made.install(ALPHA)
        await made.install(BETA)
        await talked(made.alpha, "before")
        made.cloud.clock_ahead = TWELVE_HOURS + 60
        await made.alpha.slack.slash(ADA, OPS, "long after")
        await made.alpha.thread_says("long after")
        await until(made, "workspace.tokens_rotated")
        assert [secret for secret in made.secrets() if secret in made.log] == []
        with sqlite3.connect(f"file:{tmp_path}/relay.db?mode=ro", uri=True) as store:
            said = [str(row) for row in store.execute("select * from audit")]
            rows = str(store.execute("select * from installations").fetchall())
        store.close()
        assert [one for one in made.secrets() if one in rows or any(one in line for line in said)] == []


async def test_whoever_still_has_a_client_calls_nothing_once_the_app_is_gone(rotating: Rotating) -> None:
    roll, refreshing, held = await rotating.installed()
    client = rotating.client(held, refreshing)
    await client.auth_test()
    await roll.uninstall(held, "app_uninstalled")
    called = len(rotating.cloud.workspaces[ALPHA].calls)
    with pytest.raises(Exception, match="not asked: app_uninstalled"):
        await client.chat_postMessage(channel=OPS, text="late")
    assert len(rotating.cloud.workspaces[ALPHA].calls) == called
    assert not await refreshing.renew(held, held.installation.bot_token)


def test_no_token_is_in_what_a_value_says_of_itself() -> None:
    installation = Installation(
        ALPHA, None, False, "n", "U", "B", "", "U", datetime.now(UTC), "xoxb-told", "xoxe-told", None
    )
    assert "told" not in repr(installation)
    assert "told" not in repr(Held(installation, "sealed"))


def test_a_token_that_was_sealed_for_one_workspace_opens_for_no_other() -> None:
    seal = TokenSeal([Fernet.generate_key().decode()])
    sealed = seal.seal(ALPHA, "xoxb-1")
    assert seal.open(ALPHA, sealed) == "xoxb-1"
    with pytest.raises(Exception, match=BETA):
        seal.open(BETA, sealed)


async def test_a_start_without_the_key_says_which_to_add(tmp_path: Path) -> None:
    async with building(tmp_path) as made:
        await made.start_relay()
        await made.install(ALPHA)
        await made.stop_relay()
        with pytest.raises(Exception, match="no key of RELAY_TOKEN_KEYS opens the tokens of T0ALPHA"):
            await made.start_relay({"RELAY_TOKEN_KEYS": Fernet.generate_key().decode()})
