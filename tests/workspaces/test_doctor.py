"""`relay doctor` on the settings of many workspaces."""

from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from relay.app.doctor import examined
from relay.config import load
from relay.domain.findings import Level
from tests.store.beside import change
from tests.workspaces.building import ALPHA, Building, building


async def found(made: Building, **changed: str) -> dict[str, tuple[Level, str]]:
    """Return what is found of each thing."""
    config = load({**made.alpha.variables, **changed}, made.alpha.folder)
    return {one.about: (one.level, one.found + one.fix) for one in await examined(config)}


@pytest.mark.parametrize("socket_mode", [True, False])
async def test_the_apps_id_and_secret_are_tried_and_nothing_is_installed(
    tmp_path: Path, socket_mode: bool
) -> None:
    async with building(tmp_path, socket_mode=socket_mode) as made:
        said = await found(made)
        assert said["SLACK_CLIENT_ID, SLACK_CLIENT_SECRET"] == (Level.OK, "Slack takes them")
        assert "https://relay.example.com/slack/install" in said["installing"][1]
        assert made.cloud.tokens == {}
        assert ("SLACK_APP_TOKEN" in said) is socket_mode
        assert not any(level is Level.WRONG and "SLACK" in about for about, (level, _) in said.items())


@pytest.mark.parametrize(
    ("error", "about", "words"),
    [
        ("bad_client_secret", "SLACK_CLIENT_ID, SLACK_CLIENT_SECRET", "bad_client_secret"),
        ("bad_redirect_uri", "RELAY_PUBLIC_URL", "Redirect URLs"),
    ],
)
async def test_what_slack_refuses_is_said_with_how_to_mend_it(
    tmp_path: Path, error: str, about: str, words: str
) -> None:
    async with building(tmp_path) as made:
        made.cloud.exchange_error = error
        level, said = (await found(made))[about]
    assert level is Level.WRONG
    assert words in said


async def test_the_keys_are_tried_on_the_tokens_that_are_kept(tmp_path: Path, store_url: str) -> None:
    async with building(tmp_path) as made:
        made.alpha.variables["RELAY_STORE_URL"] = store_url
        assert "RELAY_TOKEN_KEYS" not in await found(made)  # there is nothing to try them on
        await made.start_relay()
        await made.install(ALPHA)
        opened = (Level.OK, "workspaces whose tokens they open: 1")
        assert (await found(made))["RELAY_TOKEN_KEYS"] == opened
        await made.stop_relay()
        other, own = Fernet.generate_key().decode(), made.alpha.variables["RELAY_TOKEN_KEYS"]
        assert (await found(made, RELAY_TOKEN_KEYS=f"{other},{own}"))["RELAY_TOKEN_KEYS"] == opened
        level, said = (await found(made, RELAY_TOKEN_KEYS=other))["RELAY_TOKEN_KEYS"]
    assert level is Level.WRONG
    assert f"none of them opens the tokens of {ALPHA}" in said and other not in said


@pytest.mark.parametrize("kept", ["X'00'", "'no seal'", "''"])
async def test_a_damaged_token_is_said_to_be_one_that_no_key_opens(
    tmp_path: Path, file_url: str, kept: str
) -> None:
    async with building(tmp_path) as made:
        made.alpha.variables["RELAY_STORE_URL"] = file_url
        await made.start_relay()
        await made.install(ALPHA)
        await made.stop_relay()
        change(file_url, f"UPDATE installations SET sealed_bot = {kept}")  # noqa: S608
        level, said = (await found(made))["RELAY_TOKEN_KEYS"]
    assert level is Level.WRONG and ALPHA in said


async def test_readiness_tells_how_many_are_served_and_how_their_places_fare(tmp_path: Path) -> None:
    async with building(tmp_path) as made:
        await made.start_relay()
        async with made.browser() as browser:
            assert '"workspaces": "0 installed"' in (await browser.go(f"{made.alpha.url}/readyz")).text
            await made.install(ALPHA)
            await made.alpha.slack.home_opened("U0REQUESTER")
            shown = (await browser.go(f"{made.alpha.url}/readyz")).text
    assert '"workspaces": "1 installed"' in shown
    assert f"place {ALPHA} C0APPROVALS" in shown
