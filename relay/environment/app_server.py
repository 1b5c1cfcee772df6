"""Listens to one conversation of a self-hosted App Server (`letta server --listen ws://…`).

One socket carries both ways what an environment behind the API has two sockets and an endpoint for. Each
conversation has a socket of its own: positions count for a socket, and a socket hears of those
conversations alone that it named.

Whose last socket closes, that conversation's turn is cancelled there, with what it asks.
"""

import contextlib
import math
from collections.abc import AsyncIterator, Iterable
from typing import Any

import aiohttp

from relay.config import Environment
from relay.environment.app_server_socket import open_socket
from relay.environment.directory import NEVER_ASKING
from relay.environment.frames import Frame
from relay.environment.listener import Listener

_NEVER = math.inf


class AppServerListener(Listener):
    """Supervises the one socket of one runtime."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        # It knows no ping among the frames: below them, it asks itself whether its clients are there.
        super().__init__(*arguments, ping_every=_NEVER, **named)
        self._warned = False

    async def run(self) -> None:
        """Listen until cancelled, and say of a turn under way then that it is cut short."""
        try:
            await super().run()
        finally:
            if self.busy:
                self.log.warning("environment.turn_left", conversation_id=self._runtime.conversation_id)

    def _seen(self, frame: Frame) -> None:
        super()._seen(frame)
        if self.mode in NEVER_ASKING and not self._warned:
            self._warned = True
            self.log.warning("environment.never_asks", mode=self.mode)

    @contextlib.asynccontextmanager
    async def _open(self, _: str) -> AsyncIterator[dict[str, aiohttp.ClientWebSocketResponse]]:
        async with await open_socket(self._session, self._environment) as socket:
            yield {"control": socket}


def warn_of(environments: Iterable[Environment], log: Any) -> None:
    """Say of each App Server, once, what is lost when relay is not connected to it."""
    for environment in environments:
        if environment.is_app_server:
            log.warning(
                "environment.app_server",
                environment=environment.name,
                reason="a turn whose last listener disconnects is cancelled there: stop relay between turns",
            )
