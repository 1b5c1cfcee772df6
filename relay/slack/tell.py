"""Says something to one person alone, by whichever way is open: response_url, ephemeral, DM."""

import asyncio
import contextlib
from collections.abc import Coroutine
from typing import Any

import aiohttp
import httpx
from slack_sdk.errors import SlackClientError
from slack_sdk.web.async_client import AsyncWebClient

from relay.slack.blocks import Post
from relay.slack.hosts import SlackHosts
from relay.slack.posts import plain
from relay.use_cases.whisper import Listener


class Tell:
    """The private ways to a person, tried in turn."""

    def __init__(self, client: AsyncWebClient, http: httpx.AsyncClient, hosts: SlackHosts, log: Any) -> None:
        self._client = client
        self._hosts = hosts
        self._http = http
        self._log = log
        self._under_way: set[asyncio.Task[None]] = set()

    async def privately(self, listener: Listener, post: Post) -> None:
        """Say `post` to `listener`. Raises what the last way raises when none is open."""
        if listener.response_url and await self._by_response_url(listener.response_url, post):
            return
        try:
            await self._client.chat_postEphemeral(
                channel=listener.channel_id,
                user=listener.user_id,
                text=post.text,
                blocks=post.blocks,
                thread_ts=listener.thread_ts,
            )
        except SlackClientError:
            await self._client.chat_postMessage(
                channel=listener.user_id,
                text=post.text,
                blocks=post.blocks,
                unfurl_links=False,
                unfurl_media=False,
            )

    async def instead(self, listener: Listener, post: Post) -> bool:
        """Say `post` in the place of the private message whose button was pressed; return whether it is."""
        return await self._by_response_url(str(listener.response_url), post, replaces=True)

    async def _by_response_url(self, url: str, post: Post, *, replaces: bool = False) -> bool:
        if not self._hosts.takes_answers(url):
            self._log.warning("response_url.refused", reason="it does not lead to Slack")
            return False
        # Five uses in thirty minutes: an exhausted one answers 404, and nothing else tells.
        body = {
            "response_type": "ephemeral",
            "replace_original": replaces,
            "text": post.text,
            "blocks": post.blocks,
        }
        try:
            answer = await self._http.post(url, json=body)
        except (httpx.HTTPError, httpx.InvalidURL):
            return False
        return answer.status_code == httpx.codes.OK and not answer.content.startswith(b'{"ok":false')

    async def now(self, listener: Listener, sentence: str) -> None:
        """Say a sentence that belongs to no transaction, without keeping the acknowledgement waiting."""
        self.soon(self._try(listener, sentence))

    def soon(self, answering: Coroutine[Any, Any, None]) -> None:
        """Answer somebody without keeping the acknowledgement waiting; `finish` waits for the end."""
        task = asyncio.create_task(answering)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def finish(self, seconds: float) -> None:
        """Wait up to `seconds` for the answers under way, and give up the rest."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self._under_way:
                    await asyncio.wait(set(self._under_way))
        left = list(self._under_way)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    async def _try(self, listener: Listener, sentence: str) -> None:
        try:
            await self.privately(listener, plain(sentence))
        except (SlackClientError, aiohttp.ClientError, TimeoutError) as problem:
            self._log.warning("sentence.not_said", user_id=listener.user_id, reason=type(problem).__name__)
