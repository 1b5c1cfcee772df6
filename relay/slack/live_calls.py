"""The calls to Slack that show a running turn: best effort, few at a time, dropped when Slack is busy."""

import asyncio
from collections.abc import Awaitable, Callable
from enum import Enum, auto
from functools import partial
from typing import Any

from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from relay.domain.deliveries import Retry
from relay.slack.blocks import Post
from relay.slack.budget import Budget, Closed
from relay.slack.verdicts import CARRIERS, code, meaning
from relay.store.messages import Message

_WITHIN = 5.0
_AT_ONCE = 8
_REMEMBERED_FOR = 3600.0
_REST = 5.0
_MOST_LOADING_WORDS = 10

# Of these the thread or message is the reason: the channel is not.
_NOT_THE_CHANNEL = frozenset(
    {
        "invalid_thread_ts",
        "thread_not_found",
        "message_not_found",
    }
)
_LIMITED = frozenset({"ratelimited", "rate_limited"})


class Said(Enum):
    """How a call ended."""

    DONE = auto()
    DROPPED = auto()  # not made, or refused for its rate
    REFUSED = auto()  # it took no effect
    UNCLEAR = auto()  # it may have taken effect


class LiveCalls:
    """Makes the calls, each once at most; what a channel refuses is not tried there again for an hour."""

    def __init__(self, client: AsyncWebClient, log: Any) -> None:
        self.no_status = Closed(_REMEMBERED_FOR)
        self.no_streams = Closed(_REMEMBERED_FOR)
        self._client = client
        self._log = log
        self._limit = asyncio.Semaphore(_AT_ONCE)
        # Slack's own tiers are 20 streams begun and 100 appends a minute; finishing needs room, too.
        self._statuses = Budget(120, 20)
        self._starts = Budget(15, 10)
        self._appends = Budget(80, 20)
        self._posts = Budget(30, 10)

    async def status(self, channel: str, thread_ts: str, words: str, loading: list[str]) -> Said:
        """Set the status of a thread; empty words take it away."""
        if channel in self.no_status or not (self._statuses.take() or not words):
            return Said.DROPPED
        asked: dict[str, Any] = {"channel_id": channel, "thread_ts": thread_ts, "status": words}
        if loading and words:
            asked["loading_messages"] = loading[:_MOST_LOADING_WORDS]
        said, _ = await self._call(partial(self._client.assistant_threads_setStatus, **asked), self._statuses)
        if said is Said.REFUSED:
            self._close(self.no_status, channel, "status")
        return said

    async def start(self, message: Message, words: str) -> tuple[Said, str]:
        """Begin a stream in the thread of a message, for its author; return its ts."""
        channel = message.channel_id
        if channel in self.no_streams or not self._starts.take():
            return Said.DROPPED, ""
        asked: dict[str, Any] = {
            "channel": channel,
            "thread_ts": message.thread_ts,
            "markdown_text": words,
        }
        if not channel.startswith("D"):
            asked |= {"recipient_user_id": message.user_id, "recipient_team_id": message.team_id}
        said, answer = await self._call(partial(self._client.chat_startStream, **asked), self._starts)
        if said is Said.REFUSED:
            self._close(self.no_streams, channel, "stream")
        return said, str(answer.get("ts") or "") if answer else ""

    async def append(self, channel: str, ts: str, words: str) -> Said:
        """Add words to a stream."""
        if not self._appends.take():
            return Said.DROPPED
        append = partial(self._client.chat_appendStream, channel=channel, ts=ts, markdown_text=words)
        said, _ = await self._call(append, self._appends, alone=True)
        return said

    async def post(self, message: Message, post: Post) -> tuple[Said, str]:
        """Post something of the moment into the thread of a message; return its ts."""
        if not self._posts.take():
            return Said.DROPPED, ""
        posting = partial(
            self._client.chat_postMessage,
            channel=message.channel_id,
            thread_ts=message.answers_in,
            text=post.text,
            blocks=post.blocks,
        )
        said, answer = await self._call(posting, self._posts, alone=True)
        return said, str(answer.get("ts") or "") if answer else ""

    async def take_away(self, channel: str, ts: str, *, stream: bool) -> None:
        """Delete something of the moment, a stream that nothing will finish included."""
        if stream:
            stopping = partial(self._client.chat_stopStream, channel=channel, ts=ts)
            await self._call(stopping, self._posts, alone=True)
        deleting = partial(self._client.chat_delete, channel=channel, ts=ts)
        await self._call(deleting, self._posts, alone=True)

    async def _call(
        self, calling: Callable[[], Awaitable[Any]], budget: Budget, *, alone: bool = False
    ) -> tuple[Said, Any]:
        """Make a call; `alone`: what it is refused says nothing about the next."""
        try:
            async with self._limit, asyncio.timeout(_WITHIN):
                return Said.DONE, await calling()
        except SlackApiError as problem:
            error, outcome = code(problem), meaning(problem)
            if error in _LIMITED:
                budget.rest((outcome.after if isinstance(outcome, Retry) else None) or _REST)
                return Said.DROPPED, None
            if isinstance(outcome, Retry) and outcome.uncertain:
                return Said.UNCLEAR, None
            passing = not alone and error in _NOT_THE_CHANNEL
            return Said.DROPPED if passing else Said.REFUSED, None
        except CARRIERS:
            return Said.UNCLEAR, None

    def _close(self, closed: Closed, channel: str, what: str) -> None:
        closed.add(channel)
        self._log.info("live.refused", channel=channel, what=what)
