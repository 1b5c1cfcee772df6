"""A reply finishes the stream of its words, so that there is one message for it, whatever came between."""

from dataclasses import dataclass
from typing import Any

from slack_sdk.errors import SlackClientError
from slack_sdk.web.async_client import AsyncWebClient

from relay.domain.deliveries import Delivered, Delivery, Outcome, Refused
from relay.slack.blocks import Post
from relay.slack.live import Live
from relay.slack.posts import literal
from relay.slack.verdicts import code, meaning, too_large
from relay.store import Store
from relay.store.live_posts import LivePost
from relay.store.messages import Message

_MOST_REPLIES = 200
_GONE = frozenset({"message_not_found", "thread_not_found"})
_DEAD = frozenset({"message_not_in_streaming_state", "streaming_state_conflict", "unknown_method"})


@dataclass(frozen=True)
class Begun:
    """A message that streams a reply, and the words it surely has; None: nobody knows."""

    post: LivePost
    appended: str | None


class Finish:
    """Finishes the stream of a reply, or says that there is none."""

    def __init__(self, client: AsyncWebClient, store: Store, live: Live) -> None:
        self._client = client
        self._store = store
        self._live = live

    async def begun(self, delivery: Delivery) -> tuple[Message | None, Begun | None]:
        """Return the message that a reply answers, and what was streamed of the reply already."""
        which = (delivery.subject_id, str(delivery.body.get("stream") or ""))
        stream = await self._live.stream_of(*which)
        message, post = await self._store.transact(
            lambda tx: (tx.messages.get(which[0]), tx.live_posts.get(*which) if which[1] else None)
        )
        if post is None:
            return message, None
        # What the stream holds is known for sure only where nothing went wrong since it began.
        sure = stream is not None and post.ts is not None and not delivery.uncertain
        return message, Begun(post, stream.appended if stream is not None and sure else None)

    async def stream(self, delivery: Delivery, begun: Begun, post: Post) -> Outcome | None:
        """Make the streamed message of a reply say all of it; None: there is no such message to finish."""
        where = begun.post
        ts = where.ts or await self._lost(where, post)
        if ts is None:
            return None
        try:
            if not await self._stopped(where.channel_id, ts, delivery, post, begun.appended):
                await self._rewrite(where.channel_id, ts, post, delivery.body.get("text") or post.text)
        except SlackClientError as problem:
            mistaken = where.ts is None and isinstance(meaning(problem), Refused)
            if code(problem) in _GONE or mistaken:  # deleted, or another app's: posted anew
                return None
            raise
        return Delivered({"channel": where.channel_id, "ts": ts})

    async def _stopped(
        self, channel: str, ts: str, delivery: Delivery, post: Post, appended: str | None
    ) -> bool:
        """Stop the stream; return whether its message says everything then."""
        words = _said(post)
        sure = appended is not None and words.startswith(appended)
        rest = words[len(appended or "") :] if sure else ""
        about = {"event_type": "relay_delivery", "event_payload": {"id": delivery.id}}
        try:
            await self._client.chat_stopStream(
                channel=channel, ts=ts, markdown_text=rest or None, metadata=about
            )
        except SlackClientError as problem:
            if code(problem) in _DEAD or too_large(problem):
                return False
            raise
        return sure

    async def _rewrite(self, channel: str, ts: str, post: Post, text: str) -> None:
        try:
            await self._client.chat_update(channel=channel, ts=ts, text=post.text, blocks=post.blocks)
        except SlackClientError as problem:
            if not too_large(problem):
                raise
            # Words that Slack will not lay out are still words.
            await self._client.chat_update(channel=channel, ts=ts, text=literal(text), blocks=[])

    async def _lost(self, begun: LivePost, post: Post) -> str | None:
        """Return the ts of a stream that Slack never confirmed: it holds how this reply begins."""
        page = await self._client.conversations_replies(
            channel=begun.channel_id,
            ts=begun.thread_ts,
            oldest=f"{begun.created_at.timestamp() - 60:.6f}",
            limit=_MOST_REPLIES,
            include_all_metadata=True,
        )
        words = _said(post)
        for found in page.get("messages") or []:
            if _is_ours(found, begun.thread_ts) and words.startswith(_words(found)):
                return str(found["ts"])
        return None


def _is_ours(found: dict[str, Any], thread_ts: str) -> bool:
    """Whether it is a message of an app, in the thread, that no delivery of relay's has posted."""
    return bool(found.get("bot_id")) and found.get("ts") != thread_ts and not found.get("metadata")


def _said(post: Post) -> str:
    """Return the words of a reply as a stream has them; what only leads to a reply was never streamed."""
    words = post.blocks[0]["text"]
    return words if isinstance(words, str) else ""


def _words(found: dict[str, Any]) -> str:
    return str(found.get("text") or "\0")
