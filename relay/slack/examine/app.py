"""The app itself: its tokens, what they allow, and whether our clock agrees with Slack's."""

import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from relay.config import SlackConfig
from relay.domain.deliveries import Retry
from relay.domain.findings import Finding, good, warning, wrong
from relay.slack.scopes import BOT_SCOPES
from relay.slack.verdicts import CARRIERS, code, meaning

BOT_TOKEN, APP_TOKEN, SECRET = "SLACK_BOT_TOKEN", "SLACK_APP_TOKEN", "SLACK_SIGNING_SECRET"
INSTALL_AGAIN = "Install the app again with the manifest (manifest.yml)."
_MOST_SKEW = 60.0  # seconds; Slack's signatures are refused after 300
_SIGNING_SECRET = re.compile(r"[0-9a-f]{32}")
_LIMITED = ("ratelimited", "rate_limited")


@dataclass(frozen=True)
class Admitted:
    """What was found of the bot token, and the workspace it is for; None where it opens none."""

    findings: list[Finding]
    team_id: str | None = None


async def bot_token(
    client: AsyncWebClient, config: SlackConfig, wall: Callable[[], float] = time.time
) -> Admitted:
    """Return what the bot token opens, what it allows, and how far our clock is from Slack's."""
    begun = wall()
    try:
        answer = await client.auth_test()
    except CARRIERS as problem:
        headers = _headers(problem)
        refused = refused_token(BOT_TOKEN, problem, config, "the app's page, OAuth & Permissions")
        return Admitted([refused, *_clock_of(headers, (begun + wall()) / 2)])
    team = f"workspace {answer.get('team')} ({answer.get('team_id')}), as {answer.get('user')}"
    headers = answer.headers or {}
    findings = [good(BOT_TOKEN, f"Slack takes it: {team}"), *_scopes(headers)]
    findings += _clock_of(headers, (begun + wall()) / 2)
    return Admitted(findings, str(answer.get("team_id") or ""))


async def app_token(client: AsyncWebClient, config: SlackConfig) -> list[Finding]:
    """Return whether the app-level token opens Socket Mode; the ticket it gets is left to lapse."""
    if config.app_token is None:
        return []
    try:
        await client.apps_connections_open(app_token=config.app_token.get_secret_value())
    except CARRIERS as problem:
        return [
            refused_token(APP_TOKEN, problem, config, "the app's page, Basic Information, App-Level Tokens")
        ]
    return [good(APP_TOKEN, "Slack takes it: Socket Mode can be opened")]


def signing_secret(config: SlackConfig) -> list[Finding]:
    """Return whether the signing secret looks like one: only a request of Slack's could show more."""
    if config.app_token is not None or config.signing_secret is None:
        return []
    if _SIGNING_SECRET.fullmatch(config.signing_secret.get_secret_value()):
        return [good(SECRET, "has the form of one; that it is this app's, only a request of Slack's shows")]
    fix = "Copy it from the app's page, Basic Information, App Credentials."
    return [warning(SECRET, "is not the 32 characters 0-9 and a-f that Slack's signing secrets are", fix)]


def refused_token(about: str, problem: Exception, config: SlackConfig, where: str) -> Finding:
    """Return what it means that a call with a token had no good answer."""
    if not isinstance(problem, SlackApiError) or not code(problem):
        return wrong(
            about,
            f"Slack cannot be reached at {config.api_url} ({type(problem).__name__})",
            "Check the network, a proxy, and SLACK_API_URL.",
        )
    if isinstance(meaning(problem), Retry) and code(problem) in _LIMITED:
        return unasked(about, problem)
    if code(problem) == "missing_scope":
        return wrong(about, "it lacks the scope connections:write", f"Make another one: {where}.")
    return wrong(about, f"Slack refuses it: {code(problem)}", f"Copy it again from {where}.")


def unasked(about: str, problem: Exception) -> Finding:
    """Return why Slack did not say how something is."""
    error = code(problem)
    if error == "missing_scope":
        return warning(about, "not checked: the app lacks the scope to ask", INSTALL_AGAIN)
    if error in _LIMITED:
        return warning(about, "not checked: Slack takes no more questions now", "Run it again in a minute.")
    outcome = meaning(problem)
    said = outcome.reason if isinstance(outcome, Retry) else f"Slack answers {error}"
    return wrong(about, f"not known: {said}", "Run it again; if it stays so, check the network and Slack.")


def _scopes(headers: Mapping[str, str]) -> Iterator[Finding]:
    """Yield each scope that the app was not given, or that none is missing."""
    written = headers.get("x-oauth-scopes")
    if written is None:
        yield warning("scopes", "Slack does not say which the app has", INSTALL_AGAIN)
        return
    given = {one.strip() for one in written.split(",")}
    missing = [scope for scope in BOT_SCOPES if scope not in given]
    for scope in missing:
        yield wrong(f"scope {scope}", f"missing; it is for {BOT_SCOPES[scope]}", INSTALL_AGAIN)
    if not missing:
        yield good("scopes", f"all {len(BOT_SCOPES)} of the manifest")


def _clock_of(headers: Mapping[str, str], now: float) -> Iterator[Finding]:
    """Yield how far our clock is from Slack's, where Slack said what time it is."""
    try:
        theirs = parsedate_to_datetime(headers.get("Date") or "").timestamp()
    except ValueError:
        return
    skew = now - theirs
    if abs(skew) <= _MOST_SKEW:
        yield good("clock", "agrees with Slack's")
        return
    which = "ahead of" if skew > 0 else "behind"
    yield wrong(
        "clock",
        f"{abs(skew):.0f} s {which} Slack's; requests are refused from five minutes on",
        "Set this machine's clock, and keep it by NTP.",
    )


def _headers(problem: Exception) -> Mapping[str, str]:
    answer: Any = getattr(problem, "response", None)
    return getattr(answer, "headers", None) or {}
