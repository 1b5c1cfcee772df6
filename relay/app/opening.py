"""How Slack is opened: by the one token there is, or by those of every workspace that installed the app."""

import asyncio
from dataclasses import dataclass
from typing import Any, Self

import aiohttp
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from relay.app.errors import StartError
from relay.app.http_clients import HttpClients
from relay.app.log import silent_logger
from relay.app.office import Office, Shared
from relay.app.offices import ManyOffices, OneOffice
from relay.app.parts import Opening
from relay.config import Config, OAuthConfig
from relay.domain.seen import Seen, unseen
from relay.slack.door import Workspace
from relay.slack.installing.client import WorkspaceClient
from relay.slack.installing.oauth import OAuth
from relay.slack.installing.pages import InstallPages
from relay.slack.installing.refreshing import Refreshing
from relay.slack.installing.roll import Held, Roll
from relay.slack.installing.seal import SealError, TokenSeal
from relay.slack.limits import CountsLimits
from relay.slack.places import Places
from relay.store import Store, StoreError

SLACK_TIMEOUT = 10
_LAST_REFRESH = 2.0


def slack_options(config: Config, http: HttpClients, seen: Seen) -> dict[str, Any]:
    """Return what every client of Slack's Web API has in common."""
    return {
        "base_url": config.slack.api_url,
        "session": http.slack,
        "timeout": SLACK_TIMEOUT,
        # The dispatcher retries: a retry in here could post a message twice.
        "retry_handlers": [] if seen is unseen else [CountsLimits(seen)],
        "logger": silent_logger(),
    }


@dataclass
class One:
    """The one workspace whose bot token is configured."""

    config: Config
    client: AsyncWebClient
    workspace: Workspace
    places: Places | None = None

    @classmethod
    async def open(cls, config: Config, options: dict[str, Any]) -> Self:
        """Ask Slack which workspace the token is for. Raises StartError."""
        client = _by_session(AsyncWebClient(token=config.slack.bot_token.get_secret_value(), **options))
        return cls(config, client, await _workspace(client))

    @property
    def opening(self) -> Opening:
        """What the parts need to know of it."""
        return Opening(self._offices, self.client, self.workspace.team_id)

    def _offices(self, shared: Shared) -> OneOffice:
        office = Office(shared.present, self.client, self.workspace, shared)
        self.places = office.places
        return OneOffice(office, self.config.slack.bot_token.get_secret_value())

    async def run(self) -> None:
        """End where another workspace would read the cards. Raises StartError.

        Nobody waits for it: no card is posted to a place that was not looked at, and Slack answers about
        fifty places a minute.
        """
        if self.places is not None and (shared := await self.places.check()):
            raise StartError(
                f"{', '.join(shared)} is shared with another workspace, which would read the cards: "
                "choose another RELAY_APPROVALS_CHANNEL, or other approvals in relay.toml"
            )
        await asyncio.Event().wait()

    async def finish(self) -> None:
        """End: nothing is under way here."""


class Many:
    """Every workspace that installed the app."""

    def __init__(self, oauth: OAuthConfig, store: Store, options: dict[str, Any], log: Any) -> None:
        self._install_url = oauth.install_url
        self._options = options
        self._client = _by_session(AsyncWebClient(**options))
        asking = OAuth(self._client, oauth, store.now)
        seal = TokenSeal(key.get_secret_value() for key in oauth.keys)
        self._roll = Roll(store, seal, store.now, log)
        self._refreshing = Refreshing(store, self._roll, asking, store.now, log)
        self._pages = InstallPages(oauth, asking, self._roll, store, store.now, log)
        self._now = store.now
        self._log = log

    @classmethod
    async def open(cls, oauth: OAuthConfig, store: Store, options: dict[str, Any], log: Any) -> Self:
        """Read which workspaces are served. Raises StartError and StoreError."""
        many = cls(oauth, store, options, log)
        try:
            await many._roll.load()
        except SealError as problem:
            raise StartError(
                f"no key of RELAY_TOKEN_KEYS opens the tokens of {problem}: put the key that sealed them "
                "behind the first one, after a comma"
            ) from None
        log.info("workspaces.read", installations=len(many._roll.held))
        return many

    @property
    def opening(self) -> Opening:
        """What the parts need to know of it."""
        return Opening(self._offices, self._client, None, self._pages)

    def _offices(self, shared: Shared) -> ManyOffices:
        return ManyOffices(self._roll, self, shared, self._install_url)

    def client(self, held: Held, team_id: str) -> AsyncWebClient:
        """Return a client of one of an installation's workspaces."""
        # Of an organisation's token Slack wants to know for which of its workspaces it is used.
        team = {"team_id": team_id} if held.installation.is_org else {}
        return _by_session(WorkspaceClient(held, self._refreshing.renew, self._lost, **self._options, **team))

    async def token(self, held: Held) -> str:
        """Return the present bot token of an installation, for what no client asks for."""
        if held.expires_at is not None and held.expires_at <= self._now():
            await self._refreshing.renew(held, held.installation.bot_token)
        return held.installation.bot_token

    async def _lost(self, held: Held, error: str) -> None:
        """Take it that the app was taken away where Slack's own word of that never came."""
        try:
            await self._roll.uninstall(held, error)
        except StoreError as problem:
            team_id = held.installation.team_id
            self._log.error("departure.not_stored", team_id=team_id, reason=str(problem))

    async def run(self) -> None:
        """Keep the tokens fresh, and hear what other relays change, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._refreshing.run())
            group.create_task(self._roll.follow())

    async def finish(self) -> None:
        """Store what was asked of Slack last."""
        await self._refreshing.finish(_LAST_REFRESH)


def _by_session(client: AsyncWebClient) -> AsyncWebClient:
    client.proxy = None  # the session finds it, and goes by NO_PROXY, which Slack's library does not
    return client


async def _workspace(client: AsyncWebClient) -> Workspace:
    try:
        answer = await client.auth_test()
    except SlackApiError as problem:
        raise StartError(
            f"Slack refuses SLACK_BOT_TOKEN: {problem.response.get('error')}; copy it from the installed app"
        ) from problem
    except (aiohttp.ClientError, TimeoutError, OSError) as problem:
        raise StartError(
            f"Slack cannot be reached ({type(problem).__name__}); check the network and SLACK_API_URL"
        ) from problem
    return Workspace(
        team_id=str(answer["team_id"]),
        bot_user_id=str(answer.get("user_id") or ""),
        bot_id=str(answer.get("bot_id") or ""),
        enterprise_id=answer.get("enterprise_id"),
    )
