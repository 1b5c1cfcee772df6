"""A relay that is killed while Slack gives it the next tokens: the installation is not lost in silence."""

import asyncio
import json
from pathlib import Path

from tests.crash.relay_process import RelayProcess, running
from tests.workspaces.building import ALPHA, Browser, Building, building
from tests.workspaces.test_departures import kept
from tests.world import ADA, OPS

SOON = 3600  # seconds: less than relay looks ahead, so that it refreshes at its start


async def killed_while_refreshing(made: Building, *, took_effect: bool) -> str:
    """Kill a relay that waits for Slack's answer; return the bot token that it had."""
    await made.start_relay()
    await made.install(ALPHA)
    await made.stop_relay()
    [token] = made.cloud.tokens
    held = made.cloud.hold_refreshes()
    relay = RelayProcess(made.alpha)
    await relay.start()
    async with asyncio.timeout(30):
        await held.begun.wait()
    if not took_effect:
        made.cloud.exchange_error = "fatal_error"
    await relay.kill()
    held.go_on.set()
    await made.alpha.slack.wait_for(lambda _: held.answered)
    made.cloud.exchange_error = ""
    return token


async def test_a_refresh_that_took_no_effect_is_made_again(tmp_path: Path) -> None:
    async with building(tmp_path, rotates=True) as made:
        made.cloud.token_lasts = SOON
        token = await killed_while_refreshing(made, took_effect=False)
        assert kept(made, ALPHA)["refresh_begun_at"] is not None
        async with running(made.alpha) as relay:
            await relay.logged(event="workspace.tokens_rotated")
            await made.alpha.slack.slash(ADA, OPS, "hello")
            await made.alpha.thread_says("hello")
        assert made.cloud.refreshed == 1
        assert len(made.cloud.tokens) == 2 and token in made.cloud.tokens


async def test_a_refresh_that_took_effect_is_said_and_the_token_goes_on_to_work(tmp_path: Path) -> None:
    async with building(tmp_path, rotates=True) as made:
        made.cloud.token_lasts = SOON
        await killed_while_refreshing(made, took_effect=True)
        assert made.cloud.refreshed == 1
        async with running(made.alpha) as relay:
            said = await relay.logged(event="workspace.refresh_refused")
            assert "was never stored: install the app again before" in said["problem"]
            await made.alpha.slack.slash(ADA, OPS, "hello")
            await made.alpha.thread_says("hello")
            async with Browser(relay.url) as browser:
                shown = await browser.go(f"{relay.url}/readyz")
            assert json.loads(shown.text)[f"workspace {ALPHA}"] == said["problem"]
