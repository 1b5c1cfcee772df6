"""Socket Mode: Slack's arrivals over a socket that we open.

The SDK's client asks for a new ticket after an ordinary end, but tries a refused ticket for ever;
so a socket that stays shut is given up with its client, and a new client asks for a new ticket.
"""

import asyncio
import contextlib
import logging
from typing import Any

import aiohttp
from slack_bolt.adapter.socket_mode.async_handler import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp
from slack_sdk.errors import SlackClientError
from slack_sdk.web.async_client import AsyncWebClient

from relay.config.proxies import proxy_for

_LOOK_EVERY = 2.0
_LOOKS_BEFORE_GIVING_UP = 3
_OPEN_WITHIN = 10


class SocketMode:
    """Holds the socket open, and says whether it is."""

    def __init__(
        self, app: AsyncApp, app_token: str, client: AsyncWebClient, logger: logging.Logger, log: Any
    ) -> None:
        self._app = app
        self._app_token = app_token
        self._client = client
        self._logger = logger
        self._log = log
        self._handler: AsyncSocketModeHandler | None = None
        self._watch: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Open the socket and keep it open. Raises SlackApiError when the app-level token is refused.

        A socket that does not open for another reason is tried again until it does.
        """
        with contextlib.suppress(aiohttp.ClientError, TimeoutError, OSError):
            async with asyncio.timeout(_OPEN_WITHIN):
                await self._connect()
        self._watch = asyncio.create_task(self._keep_open())

    @property
    def connected(self) -> bool:
        """Whether Slack can reach us now."""
        session = self._handler.client.current_session if self._handler else None
        return session is not None and not session.closed

    async def close(self) -> None:
        """Close the socket: Slack gives what comes next to another, or tells the person."""
        if self._watch is not None:
            self._watch.cancel()
        if self._handler is not None:
            await self._handler.client.close()  # type: ignore[no-untyped-call]  # the SDK's

    async def _connect(self) -> None:
        handler = AsyncSocketModeHandler(
            self._app, self._app_token, logger=self._logger, web_client=self._client, ping_interval=10
        )
        previous, self._handler = self._handler, handler
        if previous is not None:
            await previous.client.close()  # type: ignore[no-untyped-call]  # the SDK's
        # connect() asks for a ticket by itself, but hides a refusal and asks for ever.
        handler.client.wss_uri = await handler.client.issue_new_wss_url()
        handler.client.proxy = proxy_for(handler.client.wss_uri)
        await handler.client.connect()  # type: ignore[no-untyped-call]  # the SDK's

    async def _keep_open(self) -> None:
        shut = 0
        while True:
            await asyncio.sleep(_LOOK_EVERY)
            shut = 0 if self.connected else shut + 1
            if shut >= _LOOKS_BEFORE_GIVING_UP:
                shut = 0
                self._log.warning("slack.socket_reopened")
                with contextlib.suppress(SlackClientError, aiohttp.ClientError, TimeoutError, OSError):
                    async with asyncio.timeout(_OPEN_WITHIN):
                        await self._connect()
