"""What channels are called: asked of Slack, remembered for an hour; without a name all works the same."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable

from slack_sdk.web.async_client import AsyncWebClient

from relay.slack.verdicts import CARRIERS

_REMEMBERED_FOR = 3600.0
_TROUBLE_REMEMBERED_FOR = 60.0
_REMEMBERED = 10_000
_TIMEOUT = 1.0  # of Slack's three seconds for an acknowledgement


class ChannelNames:
    """Knows the names of public channels, as slash commands tell them."""

    def __init__(self, client: AsyncWebClient, clock: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._clock = clock
        self._known: OrderedDict[str, tuple[float, str]] = OrderedDict()

    async def name(self, channel: str) -> str:
        """Return a channel's name, empty where there is none to tell. Raises nothing."""
        if channel.startswith("D"):
            return ""
        until, known = self._known.get(channel, (0.0, ""))
        if self._clock() < until:
            return known
        name, seconds = await self._ask(channel)
        self._known[channel] = (self._clock() + seconds, name)
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
        return name

    async def _ask(self, channel: str) -> tuple[str, float]:
        try:
            async with asyncio.timeout(_TIMEOUT):
                answer = await self._client.conversations_info(channel=channel)
        except CARRIERS:
            return "", _TROUBLE_REMEMBERED_FOR
        found = answer.get("channel")
        if not isinstance(found, dict) or found.get("is_private"):
            return "", _REMEMBERED_FOR
        return str(found.get("name") or ""), _REMEMBERED_FOR
