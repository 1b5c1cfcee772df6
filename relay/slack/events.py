"""Events: what people post where the app is. One use case a post, then the acknowledgement.

A post is for the agent when it mentions the app, when it is said to the app alone, or in a thread the
agent is in. Slack tells of a mention twice, and of anything again when no answer came in time: by
channel and ts a post counts once.
"""

import asyncio
from dataclasses import replace
from typing import Any

from relay.config import Route
from relay.domain.people import Person, Standing
from relay.slack import sentences
from relay.slack.channels import ChannelNames
from relay.slack.door import SlackDoor
from relay.slack.roots import learn_thread
from relay.slack.stops import Stops
from relay.slack.tell import Tell
from relay.slack.typed import mentions, typed, without_mention
from relay.slack.wire import Posted, read_post
from relay.slack.words import Asker, Word, Words, read_word
from relay.store import StoreError
from relay.use_cases.forward_user_message import Forwarded, Said, forward_user_message
from relay.use_cases.whisper import Listener

_STOP = "!stop"


class Events:
    """Takes posts as messages to the agent."""

    def __init__(self, door: SlackDoor, tell: Tell, stops: Stops, words: Words) -> None:
        self._door = door
        self._words = words
        self._tell = tell
        self._stops = stops
        self._names = ChannelNames(door.client)

    async def take(self, body: dict[str, Any]) -> None:
        """Take a post, if it is for the agent. Raises StoreError, so that Slack brings it again."""
        post = read_post(body)
        if post is None or not post.is_said or self._is_ours(post):
            return
        word = self._word(post)
        if word is not None:
            await self._take_word(post, word)
            return
        if post.thread_ts not in (None, post.ts):
            await learn_thread(self._door, post.channel, str(post.thread_ts))
        if not await self._is_for_us(post):
            return
        listener = listener_of(self._door, post)
        route = self._door.config.route(post.channel)
        text = typed(without_mention(post.text or "", self._door.workspace.bot_user_id)).strip()
        if route is None:
            if mentions(post.text or "", self._door.workspace.bot_user_id):
                await self._tell.now(listener, sentences.NO_ROUTE)
        elif text.lower() == _STOP:
            self._stops.soon(self._stop(post, route, listener))
        elif text or post.files:
            await self._forward(post, text, route, listener)
        else:
            command = self._door.config.slack.command
            await self._tell.now(listener, sentences.help_text(command, route.runtime.environment))

    def _word(self, post: Posted) -> Word | None:
        """Return the answer that a person typed: what an app or a workflow posts is none, in any name."""
        if post.bot_id or post.app_id:
            return None
        text = typed(without_mention(post.text or "", self._door.workspace.bot_user_id)).strip()
        return read_word(text.removeprefix("!")) if text.startswith("!") else None

    async def _take_word(self, post: Posted, word: Word) -> None:
        listener = listener_of(self._door, post)
        asker = Asker(str(post.user), _team(post), listener, f"{post.key}/word")
        try:
            said = await self._words.take(word, asker)
        except StoreError as problem:
            self._door.not_stored("word", problem, post.user)
            await self._tell.now(listener, sentences.EVENT_NOT_STORED)
            raise
        if said:
            await self._tell.now(listener, said)

    async def _stop(self, post: Posted, route: Route, listener: Listener) -> None:
        person, key = await self._person(post), f"{post.key}/stop"
        if post.thread_ts is not None:
            await self._stops.in_thread(person, listener, post.thread_ts, key)
        else:
            await self._stops.in_channel(person, listener, key, route.runtime)

    def _is_ours(self, post: Posted) -> bool:
        workspace = self._door.workspace
        return post.user == workspace.bot_user_id or (bool(post.bot_id) and post.bot_id == workspace.bot_id)

    async def _is_for_us(self, post: Posted) -> bool:
        if post.type == "app_mention" or mentions(post.text or "", self._door.workspace.bot_user_id):
            return True
        if post.bot_id:
            return False
        if post.is_direct:
            return True
        thread_ts = post.thread_ts
        if thread_ts is None or thread_ts == post.ts:
            return False
        team_id = self._door.workspace.team_id
        known = await self._door.store.transact(
            lambda tx: tx.messages.in_thread(team_id, post.channel, thread_ts)
        )
        return known is not None

    async def _forward(self, post: Posted, text: str, route: Route, listener: Listener) -> None:
        person, channel_name = await asyncio.gather(self._person(post), self._names.name(post.channel))
        try:
            forwarded = await self._store(post, text, route, person, channel_name)
        except StoreError as problem:
            self._door.not_stored("message", problem, post.user)
            await self._tell.now(listener, sentences.EVENT_NOT_STORED)
            raise
        if forwarded.fresh:
            await self._answer(forwarded, route, listener)

    async def _person(self, post: Posted) -> Person:
        person = await self._door.people.person(listener_of(self._door, post).user_id, _team(post))
        # What an app says in somebody's name is not what somebody says.
        return replace(person, standing=Standing.BOT) if post.bot_id else person

    async def _store(
        self, post: Posted, text: str, route: Route, person: Person, channel_name: str
    ) -> Forwarded:
        said = Said(
            team_id=self._door.workspace.team_id,
            channel_id=post.channel,
            channel_name=channel_name,
            person=person,
            text=text,
            key=post.key,
            response_url=None,
            posted=True,
            # A conversation with the app alone needs no threads; elsewhere the post is the root of one.
            thread_ts=post.thread_ts or (None if post.is_direct else post.ts),
            ts=post.ts,
            files=tuple(one.described for one in post.files or ()),
        )
        rights, now = self._door.rights, self._door.clock()
        return await self._door.store.transact(
            lambda tx: forward_user_message(
                tx, said, route.runtime, rights, quote=False, now=now, per=route.per
            )
        )

    async def _answer(self, forwarded: Forwarded, route: Route, listener: Listener) -> None:
        """Say in private what there is to say: that it was refused, or why the answer will take a while."""
        if not forwarded.verdict.allowed:
            reason = forwarded.verdict.reason
            self._door.became("refused")
            self._door.log.info("message.refused", user_id=listener.user_id, reason=reason)
            await self._tell.now(listener, sentences.refused_message(reason))
            return
        environment = route.runtime.environment
        self._door.log.info("message.queued", message_id=forwarded.message_id, environment=environment)
        away = self._door.away_since(environment)
        if away is not None or forwarded.waiting is not None:
            await self._tell.now(listener, sentences.queued(environment, away, forwarded.waiting))


def listener_of(door: SlackDoor, post: Posted) -> Listener:
    """Return who posted, to be answered in their thread.

    Where the post is to become a thread there is none yet, and Slack shows nobody what is said in
    private in a thread without replies.
    """
    return Listener(door.workspace.team_id, post.channel, str(post.user), None, post.thread_ts)


def _team(post: Posted) -> str:
    return post.user_team or post.team or ""
