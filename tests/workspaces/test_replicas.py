"""Several relays on one database serve every workspace alike, whichever of them it was installed at."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from relay.sandbox.slack import Consent
from relay.sandbox.slack.workspace import Ack
from tests import postgres
from tests.crash.relay_process import RelayProcess, running
from tests.scenarios.acts import ask_tool
from tests.store.beside import change, rows
from tests.store.lossy import lossy
from tests.workspaces.building import ALPHA, BETA, ORG, Browser, Building, Shown, building
from tests.workspaces.test_install import talked
from tests.world import ADA, APPROVALS, GRACE, OPS, World

ELEVEN_HOURS = 11 * 3600.0  # of the twelve that a token lasts: it is refreshed at the start
HEARD_WITHIN = 8.0  # by the store's word, or asked every second: long before relay looks by itself
_KEPT = """
    SELECT CAST(installations AS TEXT) FROM installations
    UNION SELECT facts FROM audit UNION SELECT value FROM settings
"""
_OLDER = "UPDATE installations SET expires_at = expires_at - 39600000000"  # by eleven hours


@dataclass
class Pair:
    """Two relays, each a process, on one database; Slack calls whichever it is told to."""

    made: Building
    first: RelayProcess
    second: RelayProcess

    def call(self, relay: RelayProcess) -> None:
        """Have Slack call a relay from now on."""
        for one in self.made.cloud.workspaces.values():
            one.request_url = f"{relay.url}/slack/events"

    async def install(self, relay: RelayProcess, whose: str) -> Shown:
        """Have somebody install the app by the pages of one relay."""
        self.made.cloud.consent = Consent(whose, GRACE)
        async with Browser(relay.url) as browser:
            return await browser.install()

    async def typed(self, world: World, relay: RelayProcess, words: str) -> Ack:
        """Have somebody type a command that one relay is called with."""
        self.call(relay)
        return await world.slack.slash(ADA, OPS, words)

    async def talked(self, world: World, relay: RelayProcess, words: str) -> None:
        """Have a message that one relay is called with go to the agent, and its answer to the thread."""
        self.call(relay)
        await talked(world, words)
        await world.thread_says(f"echo: {words}")

    def keeps_secrets(self) -> None:
        """Check that no token was told or stored."""
        told = json.dumps([*self.first.log, *self.second.log])
        told += str(rows(self.made.alpha.variables["RELAY_STORE_URL"], _KEPT))
        assert [secret for secret in self.made.secrets() if secret in told] == []


async def heard(relay: RelayProcess, **facts: str) -> None:
    """Wait until a relay has heard of something, well before it would have looked by itself."""
    async with asyncio.timeout(HEARD_WITHIN):
        await relay.logged(**facts)


@contextlib.asynccontextmanager
async def two_relays(made: Building, *, second_url: str = "") -> AsyncIterator[Pair]:
    """Give two relays that serve; both are dead at the end."""
    variables = made.alpha.variables
    async with running(made.alpha) as first:
        variables["RELAY_STORE_URL"] = second_url or variables["RELAY_STORE_URL"]
        async with running(made.alpha) as second:
            yield Pair(made, first, second)


@pytest.fixture
async def pair(tmp_path: Path, database_url: str) -> AsyncIterator[Pair]:
    """Two relays; the app is installed nowhere yet."""
    async with building(tmp_path) as made:
        made.alpha.variables["RELAY_STORE_URL"] = database_url
        async with two_relays(made) as relays:
            yield relays
            relays.keeps_secrets()


async def test_installed_at_one_relay_a_command_that_arrives_at_the_other_is_taken(pair: Pair) -> None:
    alpha, beta = pair.made.alpha, pair.made.beta
    assert (await pair.install(pair.first, ALPHA)).status == 200
    await pair.talked(alpha, pair.second, "at once")
    assert (await pair.install(pair.second, BETA)).status == 200
    await heard(pair.first, event="workspace.installed", team_id=BETA)  # before anybody named it there
    await pair.talked(beta, pair.first, "for beta")
    pair.call(pair.second)
    card = await ask_tool(beta, {"command": "make it"})
    pair.call(pair.first)
    await beta.slack.click(GRACE, APPROVALS, card.ts, "approve")
    await beta.card_says("Delivered.")
    assert [one.last_line for one in alpha.environment.received] == ["at once"]


async def test_taken_away_at_one_relay_the_other_refuses_and_posts_nothing_more(pair: Pair) -> None:
    alpha, beta = pair.made.alpha, pair.made.beta
    for world, team_id in ((alpha, ALPHA), (beta, BETA)):
        await pair.install(pair.first, team_id)
        await pair.talked(world, pair.second, "before")  # its office is open there
    pair.call(pair.first)
    await pair.made.cloud.uninstall(ALPHA)
    await heard(pair.second, event="workspace.uninstalled", team_id=ALPHA)
    called, arrived = len(alpha.slack.calls), len(alpha.environment.received)
    for relay in (pair.first, pair.second):
        assert "not installed" in str((await pair.typed(alpha, relay, "after")).body)
    await pair.talked(beta, pair.second, "beta goes on")
    assert (len(alpha.slack.calls), len(alpha.environment.received)) == (called, arrived)


async def test_the_word_that_it_is_gone_counts_at_a_relay_that_never_heard_of_it(pair: Pair) -> None:
    await pair.install(pair.first, ALPHA)
    pair.call(pair.second)
    await pair.made.cloud.uninstall(ALPHA)
    await pair.second.logged(event="workspace.uninstalled", team_id=ALPHA)
    await heard(pair.first, event="workspace.uninstalled", team_id=ALPHA)
    assert "not installed" in str((await pair.typed(pair.made.alpha, pair.first, "after")).body)


async def test_installed_again_at_one_relay_the_other_goes_on_with_the_new_token(pair: Pair) -> None:
    alpha = pair.made.alpha
    await pair.install(pair.first, ALPHA)
    for relay in (pair.first, pair.second):
        await pair.talked(alpha, relay, f"before at {relay.port}")
    pair.made.cloud.take_away(ALPHA, "token_revoked")
    await pair.install(pair.first, ALPHA)
    for relay in (pair.second, pair.first):
        await pair.talked(alpha, relay, f"again at {relay.port}")
    [(revoked,)] = rows(alpha.variables["RELAY_STORE_URL"], "SELECT revoked_at FROM installations")
    assert revoked is None


async def test_a_workspace_that_is_taken_from_an_organisation_and_given_back_is_so_at_both(
    tmp_path: Path, database_url: str
) -> None:
    async with building(tmp_path, org=True) as made:
        made.alpha.variables["RELAY_STORE_URL"] = database_url
        async with two_relays(made) as pair:
            await pair.install(pair.first, ORG)
            await pair.talked(made.alpha, pair.second, "before")
            await made.alpha.slack.event({"type": "team_access_revoked", "team_ids": [ALPHA]})
            await heard(pair.first, event="workspace.uninstalled", team_id=ALPHA)
            assert "not installed" in str((await pair.typed(made.alpha, pair.first, "after")).body)
            await made.alpha.slack.event({"type": "team_access_granted", "team_ids": [ALPHA]})
            await pair.talked(made.alpha, pair.second, "given back")
            pair.keeps_secrets()


async def test_tokens_that_expire_soon_when_both_start_are_refreshed_once_and_used_by_both(
    tmp_path: Path, database_url: str
) -> None:
    async with building(tmp_path, rotates=True) as made:
        made.alpha.variables["RELAY_STORE_URL"] = database_url
        async with two_relays(made) as pair:
            await pair.install(pair.first, ALPHA)
            await pair.install(pair.second, BETA)
        made.cloud.clock_ahead = ELEVEN_HOURS
        await asyncio.to_thread(change, database_url, _OLDER)
        async with asyncio.TaskGroup() as group:
            relays = [RelayProcess(made.alpha), RelayProcess(made.alpha)]
            for one in relays:
                group.create_task(one.start())
        pair = Pair(made, *relays)
        try:
            await made.alpha.slack.wait_for(lambda _: made.cloud.refreshed == 2)
            made.cloud.clock_ahead = made.cloud.token_lasts + 60  # those of before have expired
            for relay in relays:
                for world in (made.alpha, made.beta):
                    await pair.talked(world, relay, f"hello {relay.port}")
            assert made.cloud.asked_to_refresh == 2
            pair.keeps_secrets()
        finally:
            for one in relays:
                await one.kill()


async def test_where_the_database_passes_no_word_on_what_is_new_is_asked_for(
    tmp_path: Path, postgresql: postgres.Server, database_url: str
) -> None:
    with lossy(postgresql) as pooler:
        pooler.mute = True
        async with building(tmp_path) as made:
            made.alpha.variables["RELAY_STORE_URL"] = database_url
            async with two_relays(made, second_url=pooler.url(database_url)) as pair:
                await pair.second.logged(event="store.polling")
                await pair.install(pair.first, ALPHA)
                await heard(pair.second, event="workspace.installed", team_id=ALPHA)
                await pair.talked(made.alpha, pair.second, "hello")
                await pair.install(pair.first, BETA)
                await pair.talked(made.beta, pair.second, "at once")  # before it would have asked
                pair.call(pair.first)
                await made.cloud.uninstall(ALPHA)
                await heard(pair.second, event="workspace.uninstalled", team_id=ALPHA)
                assert "not installed" in str((await pair.typed(made.alpha, pair.second, "after")).body)
