"""Starts a relay, and stops it in the reverse order within ten seconds."""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import aiohttp
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from relay import __version__
from relay.app.auditing import Auditing
from relay.app.errors import StartError
from relay.app.http_clients import http_clients
from relay.app.log import silent_logger
from relay.app.parts import Parts
from relay.config import Config
from relay.domain.seen import unseen
from relay.slack.door import Workspace
from relay.slack.limits import CountsLimits
from relay.slack.places import Places
from relay.store import Store

if TYPE_CHECKING:
    from relay.app.metrics import Figures

_SLACK_TIMEOUT = 10


@dataclass
class App:
    """A running relay. `port` is where it listens; `stop` ends it, keeping what is not done."""

    config: Config
    log: Any
    at: Callable[[str], None] = lambda _: None
    port: int = 0
    ready: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self, stop: asyncio.Event) -> None:
        """Serve until `stop` is set. Raises StartError, StoreError, and PartEndedError after a defect."""
        async with contextlib.AsyncExitStack() as stack:
            parts = await _unless(stop, self._start(stack))
            if parts is None:
                return
            self.port = parts.port
            self.ready.set()
            self.log.info(
                "relay.serving",
                version=__version__,
                store=self.config.store_url,
                host=self.config.host,
                port=self.port,
                socket_mode=parts.socket_mode is not None,
            )
            await parts.until(stop)
            self.log.info("relay.stopping")
        self.log.info("relay.stopped")

    async def _start(self, stack: contextlib.AsyncExitStack) -> "Parts":
        keys = [key.get_secret_value().encode() for key in self.config.audit.keys]
        figures = _figures(self.config)
        seen = figures.seen if figures is not None else unseen
        store = Store.open(self.config.store_url, audit_keys=keys, at=self.at, seen=seen)
        stack.push_async_callback(store.close)
        auditing = Auditing(store, self.config.audit.retention, self.log)
        stack.push_async_callback(auditing.finish)
        http = await stack.enter_async_context(http_clients(_SLACK_TIMEOUT))
        client = AsyncWebClient(
            token=self.config.slack.bot_token.get_secret_value(),
            base_url=self.config.slack.api_url,
            session=http.slack,
            timeout=_SLACK_TIMEOUT,
            # The dispatcher retries: a retry in here could post a message twice.
            retry_handlers=[] if figures is None else [CountsLimits(seen)],
            logger=silent_logger(),
        )
        client.proxy = None  # the session finds it, and goes by NO_PROXY, which Slack's library does not
        workspace = await _workspace(client)
        parts = Parts(self.config, store, http, client, workspace, self.log, self.at, seen)
        await parts.start(stack, auditing.run, partial(self._check_places, parts.places))
        if figures is not None:
            await parts.tell_figures(stack, figures)
        return parts

    async def _check_places(self, places: Places) -> None:
        """End where another workspace would read the cards.

        Nobody waits for it: no card is posted to a place that was not looked at, and Slack answers about
        fifty places a minute.
        """
        if shared := await places.check():
            raise StartError(
                f"{', '.join(shared)} is shared with another workspace, which would read the cards: "
                "choose another RELAY_APPROVALS_CHANNEL, or other approvals in relay.toml"
            )
        await asyncio.Event().wait()


def _figures(config: Config) -> "Figures | None":
    """Return what takes figures where they are told; a relay without that never loads their library."""
    if config.metrics.port is None:
        return None
    from relay.app.metrics import Figures

    return Figures(config.environments)


async def _unless(stop: asyncio.Event, starting: "Coroutine[Any, Any, Parts]") -> "Parts | None":
    """Return what `starting` returns, or None when told to stop before: a slow start is cut short."""
    start, stopping = asyncio.create_task(starting), asyncio.create_task(stop.wait())
    await asyncio.wait({start, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if start.done():
        return await start
    start.cancel()
    await asyncio.gather(start, return_exceptions=True)
    return None


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
