"""What is asked of Slack for tokens: for a code that an install brings, and for a refresh token.

https://docs.slack.dev/authentication/installing-with-oauth
https://docs.slack.dev/authentication/using-token-rotation
"""

import base64
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from urllib.parse import urlencode

from pydantic import BaseModel, ConfigDict, ValidationError
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from relay.config import OAuthConfig
from relay.domain.installations import Installation
from relay.slack.scopes import BOT_SCOPES


class NoInstallationError(Exception):
    """Slack's answer brings no bot token that can be used; the message says what it lacks."""


class _Sent(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)


class _Named(_Sent):
    id: str
    name: str | None = None


class _Person(_Sent):
    id: str = ""


class _Answer(_Sent):
    """https://docs.slack.dev/reference/methods/oauth.v2.access"""

    access_token: str
    refresh_token: str | None = None
    expires_in: int | None = None
    scope: str = ""
    bot_user_id: str = ""
    team: _Named | None = None
    enterprise: _Named | None = None
    is_enterprise_install: bool = False
    authed_user: _Person = _Person()


@dataclass(frozen=True)
class NextTokens:
    """What a refresh brings."""

    bot_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    expires_at: datetime | None


class OAuth:
    """Asks Slack; `client` has no token of its own."""

    def __init__(
        self,
        client: AsyncWebClient,
        config: OAuthConfig,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._client = client
        self._config = config
        self._clock = clock
        # The page where people consent stands beside the API.
        self._authorize = f"{client.base_url.removesuffix('/api/')}/oauth/v2/authorize"

    def address(self, state: str) -> str:
        """Return where somebody consents to the app, for an install under way."""
        asked = {
            "client_id": self._config.client_id,
            "scope": ",".join(BOT_SCOPES),
            "user_scope": "",
            "redirect_uri": self._config.redirect_uri,
            "state": state,
        }
        return f"{self._authorize}?{urlencode(asked)}"

    async def exchange(self, code: str) -> Installation:
        """Return what a code stands for. Raises NoInstallationError, and what Slack's client raises."""
        asked_at = self._clock()
        sent = await self._access(code=code, redirect_uri=self._config.redirect_uri)
        answer = _read(sent)
        team = answer.enterprise if answer.is_enterprise_install else answer.team
        if team is None:
            raise NoInstallationError("it names no workspace")
        # In a header: an address, which a token of its own argument would go into, is written down in logs.
        opened = {"Authorization": f"Bearer {answer.access_token}"}
        bot = await self._client.api_call("auth.test", headers=opened)
        if not answer.is_enterprise_install and bot.get("team_id") != team.id:
            raise NoInstallationError("the token is another workspace's")
        return Installation(
            team_id=team.id,
            enterprise_id=answer.enterprise.id if answer.enterprise else None,
            is_org=answer.is_enterprise_install,
            name=team.name or team.id,
            bot_user_id=str(bot.get("user_id") or answer.bot_user_id),
            bot_id=str(bot.get("bot_id") or ""),
            scopes=answer.scope,
            installed_by=answer.authed_user.id,
            installed_at=_by_slacks_clock(sent, asked_at),
            bot_token=answer.access_token,
            refresh_token=answer.refresh_token or "",
            expires_at=_expiry(answer, asked_at),
        )

    async def refresh(self, refresh_token: str) -> NextTokens:
        """Return what comes next; the refresh token is used up by that. Raises the same."""
        asked_at = self._clock()
        answer = _read(await self._access(grant_type="refresh_token", refresh_token=refresh_token))
        if not answer.refresh_token:
            raise NoInstallationError("it brings no refresh token")
        return NextTokens(answer.access_token, answer.refresh_token, _expiry(answer, asked_at))

    async def _access(self, **asked: str) -> AsyncSlackResponse:
        # The library's own method for this makes its header by a way that aiohttp gives up.
        named = f"{self._config.client_id}:{self._config.client_secret.get_secret_value()}"
        headers = {"Authorization": f"Basic {base64.b64encode(named.encode()).decode()}"}
        return await self._client.api_call("oauth.v2.access", data=asked, headers=headers)


def _by_slacks_clock(sent: AsyncSlackResponse, asked_at: datetime) -> datetime:
    """Return when Slack's answer says that it was made; our time, where it does not say.

    An uninstall is told with Slack's time: only by the same clock it is known to be of this installation.
    """
    try:
        told = parsedate_to_datetime(sent.headers["Date"])
    except (KeyError, ValueError):
        return asked_at
    # It tells whole seconds; our own fraction keeps two installs within one apart.
    return told.astimezone(UTC).replace(microsecond=asked_at.microsecond)


def _read(answer: AsyncSlackResponse) -> _Answer:
    try:
        read = _Answer.model_validate(answer.data)
    except ValidationError as problem:
        # Without its values: tokens are among them.
        lacks = ", ".join(
            str(one["loc"][0]) for one in problem.errors(include_input=False, include_url=False)
        )
        raise NoInstallationError(f"it lacks {lacks}") from None
    if not read.access_token.startswith(("xoxb-", "xoxe.xoxb-")):
        raise NoInstallationError("it brings no bot token")
    return read


def _expiry(answer: _Answer, asked_at: datetime) -> datetime | None:
    return asked_at + timedelta(seconds=answer.expires_in) if answer.expires_in else None
