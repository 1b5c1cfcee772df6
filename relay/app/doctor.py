"""Looks at everything that a relay needs, all of it at the same time; nothing is changed or posted."""

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any

import aiohttp
from slack_sdk.web.async_client import AsyncWebClient

from relay.app.http_clients import http_clients
from relay.app.log import silent_logger
from relay.config import Config
from relay.config.policies import policy_warnings
from relay.config.tracing import TRACING_FIX, lacks_tracing
from relay.control import GRANTS, ControlError, ask_running
from relay.domain.findings import Finding, good, warning, wrong
from relay.domain.policy import Rights
from relay.environment.examine import examined as environment_examined
from relay.slack.examine import people, places
from relay.slack.examine.app import BOT_TOKEN, Admitted, app_token, bot_token, signing_secret
from relay.slack.examine.installs import ABOUT, installs, tokens
from relay.slack.examine.named import named_in
from relay.slack.examine.sample import cards
from relay.store import StoreError
from relay.store.examine import examined as store_examined
from relay.store.examine import sealed_tokens

_WITHIN = 10.0  # seconds, for each question
_AT_ONCE = 5  # of the questions to Slack, which would refuse more of them for their rate
_RELAY_WITHIN = 3.0
Findings = list[Finding]


async def examined(config: Config, settings: Sequence[str] = (), within: float = _WITHIN) -> Findings:
    """Return what was found of everything; what gives no answer `within` seconds is said not to.

    `settings` are the names of those that the process environment gave.
    """
    limits = _Limits(within)
    async with http_clients(2 * within) as http:
        slack = AsyncWebClient(
            token=config.slack.bot_token.get_secret_value() or None,
            base_url=config.slack.api_url,
            session=http.slack,
            retry_handlers=[],
            logger=silent_logger(),
        )
        slack.proxy = None  # the session finds it, as in a relay that runs
        parts = await asyncio.gather(
            _of_slack(slack, config, limits),
            *(
                limits.keep(f"environment {one.name}", environment_examined(http.lookups, one))
                for one in config.environments.values()
            ),
            limits.keep("store", _of_store(config)),
        )
    return [*_configured(config, settings), *(finding for part in parts for finding in part)]


class _Limits:
    """Bounds how long each question may take, and how many are put to Slack at the same time."""

    def __init__(self, within: float) -> None:
        self._within = within
        self._at_once = asyncio.Semaphore(_AT_ONCE)

    async def keep(self, about: str, asking: Coroutine[Any, Any, Findings]) -> Findings:
        """Return what is answered, or that nothing is."""
        try:
            async with asyncio.timeout(self._within):
                return await asking
        except TimeoutError:
            found = f"no answer within {self._within:g} s"
            return [wrong(about, found, "Check the network, and run it again.")]

    async def in_turn(self, about: str, asking: Coroutine[Any, Any, Findings]) -> Findings:
        """Return the same of one of many questions to Slack."""
        async with self._at_once:
            return await self.keep(about, asking)


def _configured(config: Config, settings: Sequence[str]) -> Findings:
    """Return what the configuration comes to, and what of it can hardly be meant."""
    door = "Socket Mode" if config.slack.app_token else f"HTTP on {config.host}:{config.port}"
    counts = {
        "environments": len(config.environments),
        "routes": len(config.routes),
        "rules": len(config.policy.rules),
    }
    counted = ", ".join(f"{name}: {number}" for name, number in counts.items())
    return [
        good("configuration", f"can be used; {door}, {counted}"),
        *_tracing(config),
        *([good("settings", f"each of its form: {', '.join(settings)}")] if settings else []),
        *(warning("rules", one, f"Correct it in {config.file}.") for one in policy_warnings(config.policy)),
        *(warning("unused setting", one, "Take it out.") for one in config.unused),
    ]


def _tracing(config: Config) -> Findings:
    missing = lacks_tracing(config.tracing)
    if not missing:
        return []
    tell = wrong if config.tracing.wanted else warning  # a variable may be said to all on a machine
    return [tell("tracing", missing, f"Install it, {TRACING_FIX}.")]


async def _of_slack(slack: AsyncWebClient, config: Config, limits: _Limits) -> Findings:
    """Return what Slack says of the app, and then of all that the configuration names there."""
    if config.slack.oauth is not None:
        return await _of_many(slack, config, limits)
    admitted = Admitted([])

    async def admit() -> Findings:
        nonlocal admitted
        admitted = await bot_token(slack, config.slack)
        return admitted.findings

    of_bot, of_app = await asyncio.gather(
        limits.keep(BOT_TOKEN, admit()), limits.keep("SLACK_APP_TOKEN", app_token(slack, config.slack))
    )
    findings = [*of_bot, *of_app, *signing_secret(config.slack)]
    if admitted.team_id is None:
        fix = f"Mend {BOT_TOKEN} first."
        return [
            *findings,
            warning("channels, people and cards", "not checked: no bot token opens Slack", fix),
        ]
    return findings + await _named(slack, config, limits, config.rights(admitted.team_id))


async def _of_many(slack: AsyncWebClient, config: Config, limits: _Limits) -> Findings:
    """Return what Slack says of the app that many workspaces install: no token here looks into theirs."""
    parts = await asyncio.gather(
        limits.keep(ABOUT, installs(slack, config.slack)),
        limits.keep("SLACK_APP_TOKEN", app_token(slack, config.slack)),
    )
    said = "not looked at: each workspace's token is sealed in the store; a running relay's /readyz tells"
    own = [good("channels, people and cards", said)]
    return [*(finding for part in parts for finding in part), *signing_secret(config.slack), *own]


async def _named(slack: AsyncWebClient, config: Config, limits: _Limits, rights: Rights) -> Findings:
    named = named_in(config)
    parts = await asyncio.gather(
        *(
            limits.in_turn(f"channel {one}", places.channel(slack, one, uses))
            for one, uses in sorted(named.channels.items())
        ),
        *(limits.in_turn(f"person {one}", people.user(slack, one, rights)) for one in sorted(named.users)),
        limits.in_turn("user groups", people.groups(slack, named.groups)),
        limits.in_turn("a sample card", cards(slack, config)),
    )
    return [finding for part in parts for finding in part]


async def _of_store(config: Config) -> Findings:
    answers = await _relay_answers(config.store_url)
    found = await asyncio.to_thread(store_examined, config.store_url, relay_answers=answers)
    oauth = config.slack.oauth
    if oauth is None:
        return found
    return found + tokens(oauth, await asyncio.to_thread(sealed_tokens, config.store_url))


async def _relay_answers(store_url: str) -> bool:
    """Return whether a running relay is heard that has the store."""
    try:
        async with asyncio.timeout(_RELAY_WITHIN):
            return await ask_running(store_url, GRANTS, {}) is not None
    except ControlError:
        return True  # of another version, but there
    except (aiohttp.ClientError, StoreError, TimeoutError, OSError):
        return False
