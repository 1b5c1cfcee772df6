"""The app that many workspaces install: whether Slack takes its id and secret, and where it leads back to."""

from collections.abc import Sequence
from typing import Any

from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from relay.config import OAuthConfig, SlackConfig
from relay.domain.findings import Finding, good, wrong
from relay.slack.examine.app import refused_token, unasked
from relay.slack.installing.oauth import OAuth
from relay.slack.installing.seal import SealError, TokenSeal
from relay.slack.verdicts import CARRIERS, code, passing

ABOUT = "SLACK_CLIENT_ID, SLACK_CLIENT_SECRET"
_KEYS = "RELAY_TOKEN_KEYS"
_NO_SUCH_CODE = "invalid_code"
_WHERE = "the app's page, Basic Information, App Credentials"


async def installs(client: AsyncWebClient, config: SlackConfig) -> list[Finding]:
    """Return whether workspaces can install the app. Nothing is installed by that."""
    oauth = config.oauth
    if oauth is None:
        return []
    findings = [good("installing", f"at {oauth.install_url}; the app's redirect URL is {oauth.redirect_uri}")]
    try:
        await OAuth(client, oauth).exchange("relay-doctor")  # no code of Slack's: what it says of that tells
    except SlackApiError as problem:
        return [*findings, _said(problem, config)]
    except CARRIERS as problem:
        return [*findings, refused_token(ABOUT, problem, config, _WHERE)]
    return findings


def tokens(oauth: OAuthConfig, sealed: Sequence[tuple[str, Any]]) -> list[Finding]:
    """Return whether the keys open the tokens that are kept of each workspace."""
    if not sealed:
        return []
    seal = TokenSeal(key.get_secret_value() for key in oauth.keys)
    unopened = [team_id for team_id, token in sealed if not _opens(seal, team_id, token)]
    if unopened:
        fix = "Put the key that sealed them behind the first one, after a comma."
        return [wrong(_KEYS, f"none of them opens the tokens of {', '.join(unopened)}", fix)]
    return [good(_KEYS, f"workspaces whose tokens they open: {len(sealed)}")]


def _opens(seal: TokenSeal, team_id: str, token: Any) -> bool:
    try:
        return isinstance(token, str) and bool(seal.open(team_id, token))  # a damaged file may hold anything
    except SealError:
        return False


def _said(problem: SlackApiError, config: SlackConfig) -> Finding:
    if code(problem) == _NO_SUCH_CODE:
        return good(ABOUT, "Slack takes them")
    if code(problem) == "bad_redirect_uri":
        fix = "Add it on the app's page, OAuth & Permissions, Redirect URLs."
        return wrong("RELAY_PUBLIC_URL", "Slack does not know the redirect URL that it makes", fix)
    if passing(problem):
        return unasked(ABOUT, problem)
    return refused_token(ABOUT, problem, config, _WHERE)
