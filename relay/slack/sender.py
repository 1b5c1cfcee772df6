"""Takes deliveries out into Slack, each rendered from the state things are in when it is sent."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from typing import Any

from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.web.async_client import AsyncWebClient

from relay.domain.approvals import Approval
from relay.domain.deliveries import Delivered, Delivery, Kind, Outcome, Refused, Retry
from relay.domain.runtime import Runtime
from relay.slack import cards, posts, sentences
from relay.slack.arguments import is_large
from relay.slack.blocks import Post
from relay.slack.live import Live
from relay.slack.live_finish import Finish
from relay.slack.places import Places
from relay.slack.reach import MOST_MEMBERS, Reach
from relay.slack.reminders import Reminders
from relay.slack.tell import Tell
from relay.slack.threads import asking_thread
from relay.slack.verdicts import CARRIERS, code, meaning, too_large
from relay.store import Store
from relay.store.approvals import Copy
from relay.store.messages import Message
from relay.use_cases.cards import is_group, spread_copy
from relay.use_cases.draw_card import draw_card
from relay.use_cases.open_approval import IN_THREAD
from relay.use_cases.whisper import Listener, Sentence

_EVENT_TYPE = "relay_delivery"
_CARD_SCALES = (1.0, 0.4, 0.1)
_PAGES = 5
# Stopped since, or cut off from the store: another relay may have posted it by now.
_RAN_OUT = Retry("its claim ran out before it was posted")


class SlackSender:
    """Sends one delivery at a time."""

    def __init__(
        self,
        client: AsyncWebClient,
        store: Store,
        tell: Tell,
        places: Places,
        live: Live,
        reach: Reach,
        command: str,
        has: Callable[[Delivery], bool],
    ) -> None:
        self._client = client
        self._reach = reach
        self._command = command
        self._has = has
        self._store = store
        self._tell = tell
        self._places = places
        self._live = live
        self._finish = Finish(client, store, live)
        self._ways: dict[Kind, Callable[[Delivery], Awaitable[Outcome]]] = {
            Kind.ROOT: self._root,
            Kind.STATUS: self._status,
            Kind.REPLY: self._reply,
            Kind.CARD: self._card,
            Kind.WHISPER: self._whisper,
            Kind.REMINDER: Reminders(client, store, self._post, command).send,
        }

    async def send(self, delivery: Delivery) -> Outcome:
        """Attempt a delivery once and return how it ended."""
        try:
            return await self._ways[delivery.kind](delivery)
        except CARRIERS as problem:
            return meaning(problem)

    async def _root(self, delivery: Delivery) -> Outcome:
        message = await self._message(delivery)
        return await self._post(delivery, message.channel_id, posts.root(message))

    async def _status(self, delivery: Delivery) -> Outcome:
        message = await self._message(delivery)
        post = posts.status(message)
        if _is_private(message):
            return await self._privately(delivery, message, post)
        if message.status_ts is not None and await self._rewritten(message, message.status_ts, post):
            return Delivered({"channel": message.channel_id, "ts": message.status_ts})
        return await self._post(delivery, message.channel_id, post, thread_ts=message.answers_in)

    async def _rewritten(self, message: Message, ts: str, post: Post) -> bool:
        """Rewrite a message that is there; return False when somebody deleted it."""
        try:
            await self._client.chat_update(
                channel=message.channel_id, ts=ts, text=post.text, blocks=post.blocks
            )
        except SlackClientError as problem:
            if code(problem) != "message_not_found":
                raise
            return False
        return True

    async def _reply(self, delivery: Delivery) -> Outcome:
        found, begun = await self._finish.begun(delivery)
        message = _there(delivery, found)
        post = await self._reply_post(delivery)
        if _is_private(message):
            return await self._privately(delivery, message, post)
        if begun is not None and (finished := await self._finish.stream(delivery, begun, post)):
            return finished
        try:
            return await self._post(delivery, message.channel_id, post, thread_ts=message.answers_in)
        except SlackClientError as problem:
            if not too_large(problem):
                raise
            # Words that Slack will not lay out are still words.
            bare = Post(posts.literal(delivery.body.get("text", "")), [])
            return await self._post(delivery, message.channel_id, bare, thread_ts=message.answers_in)

    async def _reply_post(self, delivery: Delivery) -> Post:
        answer = delivery.body.get("answer")
        if answer is None:
            return _reply_post(delivery)
        try:
            found = await self._client.chat_getPermalink(channel=answer["channel"], message_ts=answer["ts"])
        except SlackApiError as problem:
            if not isinstance(meaning(problem), Refused):
                raise
            return posts.plain(sentences.answered_together(""))  # somebody deleted it
        return posts.plain(sentences.answered_together(str(found["permalink"])))

    async def _card(self, delivery: Delivery) -> Outcome:
        drawn = await self._store.transact(lambda tx: draw_card(tx, delivery.subject_id, delivery.created_at))
        copy, approval = drawn.copy, drawn.approval
        if copy.ts is None:  # a live status locks the composer
            asked = approval.asked
            await self._live.quiet(Runtime(asked.environment, asked.agent_id, asked.conversation_id))
        lost = await self._reach.nobody_left(approval)
        large = is_large(approval)  # people's clicks are not to wait for it
        for scale in _CARD_SCALES:
            lay_out = partial(
                cards.card,
                approval,
                drawn.votes,
                scale=scale,
                nobody_left=lost,
                command=self._command,
                grant=drawn.grant,
                one_of_several=drawn.one_of_several,
            )
            post = await asyncio.to_thread(lay_out) if large else lay_out()
            try:
                return await self._post_or_update(delivery, copy, approval, post)
            except SlackClientError as problem:
                if not too_large(problem) or scale == _CARD_SCALES[-1]:
                    raise
        return Refused("no_form_of_the_card_fits")

    async def _post_or_update(
        self, delivery: Delivery, copy: Copy, approval: Approval, post: Post
    ) -> Outcome:
        if copy.ts is None:
            if not copy.places:
                return Delivered({"channel": copy.channel_id, "ts": copy.ts})  # there was no place for it
            if is_group(copy.places[0]):
                return await self._post_to_members(delivery, copy, approval, post)
            if copy.places[0] != IN_THREAD:
                return await self._post_card(delivery, copy, copy.places[0], post)
            where = await self._store.transact(lambda tx: asking_thread(tx, approval))
            if not isinstance(where, tuple):
                return where
            return await self._post_card(delivery, copy, where[0], post, thread_ts=where[1])
        await self._client.chat_update(
            channel=str(copy.channel_id), ts=copy.ts, text=post.text, blocks=post.blocks
        )
        return Delivered({"channel": copy.channel_id, "ts": copy.ts})

    async def _post_to_members(
        self, delivery: Delivery, copy: Copy, approval: Approval, post: Post
    ) -> Outcome:
        """Give each member of a user group a card of their own, this copy to the first of them."""
        members = await self._reach.members(copy.places[0])
        if not members:
            return Refused(
                f"{copy.places[0]} is not a user group of 1 to {MOST_MEMBERS} people that I can see"
            )
        spread = await self._store.transact(
            lambda tx: spread_copy(tx, approval, copy, members, delivery.created_at)
        )
        return await self._post_or_update(delivery, spread, approval, post)

    async def _post_card(
        self, delivery: Delivery, copy: Copy, place: str, post: Post, *, thread_ts: str | None = None
    ) -> Outcome:
        # A direct conversation with the app has no third reader.
        closed = None if place.startswith("D") else await self._places.closed(place)
        if closed is not None:
            return closed
        try:
            delivered = await self._post(delivery, place, post, thread_ts=thread_ts, about=copy.id)
        except SlackClientError as problem:
            self._places.refused(place, problem)
            raise
        self._places.took(place)
        return delivered

    async def _whisper(self, delivery: Delivery) -> Outcome:
        body = delivery.body
        approval_id = body["facts"].get("approval_id")
        approval = (
            await self._store.transact(lambda tx: tx.approvals.theirs(delivery.team_id, approval_id))
            if approval_id
            else None
        )
        post = posts.plain(sentences.whispered(Sentence(body["sentence"]), body["facts"], approval))
        listener = Listener(delivery.team_id, body["channel_id"], body["user_id"], body["response_url"])
        return await self._say(delivery, listener, post)

    async def _privately(self, delivery: Delivery, message: Message, post: Post) -> Outcome:
        listener = Listener(message.team_id, message.channel_id, message.user_id, message.response_url)
        return await self._say(delivery, listener, post)

    async def _say(self, delivery: Delivery, listener: Listener, post: Post) -> Outcome:
        if not self._has(delivery):
            return _RAN_OUT
        await self._tell.privately(listener, post)
        return Delivered({})

    async def _post(
        self,
        delivery: Delivery,
        channel: str,
        post: Post,
        *,
        thread_ts: str | None = None,
        about: str | None = None,
    ) -> Outcome:
        about = about or delivery.id
        if delivery.uncertain:
            found = await self._find(delivery, channel, about, thread_ts)
            if found is not None:
                await self._client.chat_update(channel=channel, ts=found, text=post.text, blocks=post.blocks)
                return Delivered({"channel": channel, "ts": found})
        if not self._has(delivery):
            return _RAN_OUT
        answer = await self._client.chat_postMessage(
            channel=channel,
            text=post.text,
            blocks=post.blocks,
            thread_ts=thread_ts,
            metadata={"event_type": _EVENT_TYPE, "event_payload": {"id": about}},
            unfurl_links=False,
            unfurl_media=False,
        )
        if thread_ts:
            self._live.posted(channel, thread_ts)
        return Delivered({"channel": str(answer["channel"]), "ts": str(answer["ts"])})

    async def _find(self, delivery: Delivery, channel: str, about: str, thread_ts: str | None) -> str | None:
        """Return the ts of a message that an earlier attempt may have posted, by its metadata."""
        if not channel.startswith(("C", "G", "D")):
            return None
        oldest = str((delivery.created_at - timedelta(minutes=1)).timestamp())
        cursor: str | None = None
        for _ in range(_PAGES):
            asked: dict[str, Any] = {
                "channel": channel,
                "oldest": oldest,
                "limit": 200,
                "include_all_metadata": True,
            }
            if cursor:
                asked["cursor"] = cursor
            if thread_ts:
                page = await self._client.conversations_replies(ts=thread_ts, **asked)
            else:
                page = await self._client.conversations_history(**asked)
            for found in page.get("messages") or []:
                if _about(found) == about:
                    return str(found["ts"])
            cursor = (page.get("response_metadata") or {}).get("next_cursor")
            if not cursor:
                break
        return None

    async def _message(self, delivery: Delivery) -> Message:
        return _there(delivery, await self._store.transact(lambda tx: tx.messages.get(delivery.subject_id)))


def _there(delivery: Delivery, message: Message | None) -> Message:
    if message is None:
        raise LookupError(f"{delivery.id} speaks for a message that is not in the store")
    return message


def _is_private(message: Message) -> bool:
    """Return whether what there is to say is for the person alone: there is no place in the channel."""
    return message.place == "private" or (message.place == "thread" and message.thread_ts is None)


def _reply_post(delivery: Delivery) -> Post:
    if "not_passed" in delivery.body:
        return posts.plain(sentences.not_passed(delivery.body["not_passed"]))
    if "ending" in delivery.body:
        return posts.plain(sentences.turn_ended(delivery.body["ending"], delivery.body.get("by")))
    if "error" in delivery.body:
        return posts.plain(sentences.turn_failed(delivery.body["error"]))
    return posts.reply(delivery.body["text"])


def _about(message: dict[str, Any]) -> str | None:
    metadata = message.get("metadata") or {}
    if metadata.get("event_type") != _EVENT_TYPE:
        return None
    found: str | None = (metadata.get("event_payload") or {}).get("id")
    return found
