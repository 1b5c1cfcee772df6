"""Slash commands: parse, one use case, answer. Stored first, then acknowledged."""

import hashlib
from collections.abc import Mapping
from typing import Any

from slack_bolt import BoltResponse
from slack_bolt.async_app import AsyncAck

from relay.config import Route
from relay.domain.canonical import json_writer
from relay.domain.people import Person
from relay.slack import sentences
from relay.slack.door import SlackDoor
from relay.slack.home import Home
from relay.slack.mrkdwn import unescape
from relay.slack.status import status_answer
from relay.slack.stops import Stops
from relay.slack.wire import SlashCommand, read_command
from relay.slack.words import Asker, Word, Words, read_word
from relay.store import StoreError
from relay.use_cases.forward_user_message import Forwarded, Said, forward_user_message
from relay.use_cases.whisper import Listener

# What Slack says instead of a name where there is none to tell.
_NO_NAMES = frozenset({"directmessage", "privategroup"})
_WRITE = json_writer()


class Commands:
    """Answers the one slash command."""

    def __init__(self, door: SlackDoor, stops: Stops, words: Words, home: Home) -> None:
        self._door = door
        self._home = home
        self._words = words
        self._stops = stops

    async def taken(self, body: Mapping[str, Any]) -> BoltResponse:
        """Return what a command is acknowledged with: what became of it, in private."""
        answer = await self._answer(body)
        said = {"text": answer, "response_type": "ephemeral"}
        # Written here: Bolt would have it written by an encoder that is made anew for it.
        return BoltResponse(status=200, body=_WRITE(said) if answer else "")

    async def unknown(self, ack: AsyncAck, body: dict[str, Any]) -> None:
        """Acknowledge a command that is not relay's own, and say which one is."""
        self._door.became("unknown")
        theirs, ours = str(body.get("command", "")), self._door.config.slack.command
        await ack(text=sentences.unknown_command(theirs, ours), response_type="ephemeral")

    async def _answer(self, body: Mapping[str, Any]) -> str:
        command = read_command(body)
        if command is None:
            return sentences.MALFORMED_COMMAND
        if command.team_id not in ("", self._door.workspace.team_id, *self._door.config.allowed_workspaces):
            self._door.became("refused")
            return sentences.WRONG_WORKSPACE
        word = read_word(unescape(command.text))
        if word is not None:
            return await self._word(command, word)
        text = unescape(command.text).strip()
        if text.lower() in ("approvals", "grants"):
            return self._list(command, text.lower())
        route = self._door.config.route(command.channel_id)
        if route is None:
            return sentences.NO_ROUTE
        if text.lower() in ("", "help", "?"):
            return sentences.help_text(command.command, route.runtime.environment)
        if text.lower() == "status":
            return await status_answer(self._door, command, route.runtime.environment)
        if text.lower() == "stop":
            return self._stop(command, route)
        return await self._forward(command, text, route)

    async def _word(self, command: SlashCommand, word: Word) -> str:
        listener = Listener(self._door.workspace.team_id, command.channel_id, command.user_id, None)
        ours = f"{self._door.config.slack.command} "
        asker = Asker(command.user_id, command.team_id, listener, _key(command), ours)
        try:
            return await self._words.take(word, asker) or sentences.WORD_TAKEN
        except StoreError as problem:
            self._door.not_stored("word", problem, command.user_id)
            return sentences.not_stored(problem)

    def _list(self, command: SlashCommand, what: str) -> str:
        """Have what waits, or what is allowed for a while, told in private: Slack is asked much for it."""
        team_id = self._door.workspace.team_id
        listener = Listener(team_id, command.channel_id, command.user_id, command.response_url)
        lists = {"approvals": self._home.list_approvals, "grants": self._home.list_grants}
        lists[what](listener, command.team_id)
        return ""

    def _stop(self, command: SlashCommand, route: Route) -> str:
        async def stop() -> None:
            person = await self._door.people.person(command.user_id, command.team_id)
            team_id = self._door.workspace.team_id
            listener = Listener(team_id, command.channel_id, command.user_id, command.response_url)
            await self._stops.in_channel(person, listener, _key(command), route.runtime)

        self._stops.soon(stop())
        return sentences.STOPPING

    async def _forward(self, command: SlashCommand, text: str, route: Route) -> str:
        person = await self._door.people.person(command.user_id, command.team_id)
        try:
            forwarded = await self._store(command, text, route, person)
        except StoreError as problem:
            self._door.not_stored("message", problem, command.user_id)
            return sentences.not_stored(problem)
        if not forwarded.verdict.allowed:
            self._door.became("refused")
            self._door.log.info("message.refused", user_id=command.user_id, reason=forwarded.verdict.reason)
            return sentences.refused_message(forwarded.verdict.reason)
        self._door.log.info(
            "message.queued", message_id=forwarded.message_id, environment=route.runtime.environment
        )
        environment = route.runtime.environment
        return sentences.queued(environment, self._door.away_since(environment), forwarded.waiting)

    async def _store(self, command: SlashCommand, text: str, route: Route, person: Person) -> Forwarded:
        said = Said(
            team_id=self._door.workspace.team_id,
            channel_id=command.channel_id,
            channel_name="" if command.channel_name in _NO_NAMES else command.channel_name,
            person=person,
            text=text,
            key=_key(command),
            response_url=command.response_url,
        )
        quote, now = self._door.config.slack.quote_commands, self._door.clock()
        return await self._door.store.transact(
            lambda tx: forward_user_message(
                tx, said, route.runtime, self._door.rights, quote=quote, now=now, per=route.per
            )
        )


def _key(command: SlashCommand) -> str:
    return f"command/{command.trigger_id or _digest(command)}"


def _digest(command: SlashCommand) -> str:
    return hashlib.sha256(command.model_dump_json().encode()).hexdigest()
