"""Somebody stops what the agent is doing: with a button, a word, a command, or Slack's own stop."""

from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from slack_bolt.async_app import AsyncAck

from relay.domain.people import Person
from relay.domain.policy import may_send
from relay.domain.runtime import Runtime
from relay.slack import sentences
from relay.slack.door import SlackDoor
from relay.slack.tell import Tell
from relay.slack.wire import read_session_stopped
from relay.store import StoreError, Transaction
from relay.store.messages import Message
from relay.use_cases.post_reply import ANSWERED_WITHIN
from relay.use_cases.stop_turn import Stop, begin_stop, end_stop
from relay.use_cases.whisper import Listener

StopTurn = Callable[[Runtime], Awaitable[bool | None]]


@dataclass(frozen=True)
class Aim:
    """The one turn that a stop is meant for: its messages, and whether it may be stopped still."""

    message_ids: tuple[str, ...]
    still: Callable[[], bool]


class AimLostError(Exception):
    """Meanwhile something else may run than the turn that a stop was meant for: nothing was stopped."""


class Stops:
    """Stops turns for who may, and says what came of it.

    No delivery, but for the one that goes with a denial: a stop that arrives late would end something else.
    `runs_for` tells the messages whose turn is seen to run in a conversation; empty: it is not seen.
    """

    def __init__(
        self,
        door: SlackDoor,
        tell: Tell,
        stop_turn: StopTurn,
        runs_for: Callable[[Runtime], tuple[str, ...]],
    ) -> None:
        self._door = door
        self._tell = tell
        self._stop_turn = stop_turn
        self._runs_for = runs_for

    def soon(self, stopping: Coroutine[Any, Any, None]) -> None:
        """Stop something without keeping the acknowledgement waiting."""
        self._tell.soon(self._guarded(stopping))

    async def stop(
        self,
        runtime: Runtime,
        person: Person,
        listener: Listener,
        key: str,
        *,
        aim: Aim | None = None,
        patient: bool = False,
    ) -> bool | None:
        """Stop the turn of a conversation, if the person may, and say what came of it.

        Return whether there was one to stop; None: the environment was not reached, of which nothing is
        said where whoever calls is `patient` and tries again. With an `aim` no other turn is stopped.
        Raises StoreError and AimLostError.
        """
        door, now = self._door, self._door.clock()
        message_ids = aim.message_ids if aim is not None else self._runs_for(runtime) or None
        stop = Stop(door.workspace.team_id, runtime, person, key, message_ids)
        begun = await door.store.transact(lambda tx: begin_stop(tx, stop, door.rights, now))
        if begun.again:
            return False
        if not begun.verdict.allowed:
            await self._tell.now(listener, sentences.refused_stop(begun.verdict.reason))
            return False
        if aim is not None and not aim.still():  # looking it up and storing it took a while
            await door.store.transact(lambda tx: tx.stops.forget(begun.message_ids))
            raise AimLostError
        stopped = await self._stop_turn(runtime)
        if stopped is None and patient:
            return None
        ended = door.clock()
        asked = await door.store.transact(lambda tx: _ended(tx, stop, begun.message_ids, ended, stopped))
        door.log.info("turn.stop", user_id=person.user_id, environment=runtime.environment, stopped=stopped)
        told = _told(asked, listener, ended)
        said = {True: told, False: sentences.NOTHING_RUNS, None: sentences.NOT_STOPPED}
        await self._tell.now(listener, said[stopped])
        return stopped

    async def in_channel(
        self, person: Person, listener: Listener, key: str, otherwise: Runtime | None
    ) -> None:
        """Stop the turn that runs for a channel; `otherwise` is the conversation of all its messages."""
        found = await self._running(listener.channel_id, None)
        runtimes = {runtime for runtime, _ in found}
        if len(runtimes) > 1:
            runtimes = {runtime for runtime, user_id in found if user_id == person.user_id}
        if not found and otherwise is not None and otherwise.conversation_id:
            runtimes = {otherwise}
        elsewhere = await self._elsewhere(runtimes, listener.channel_id)
        if elsewhere:
            verdict = may_send(self._door.rights, person)
            said = sentences.runs_elsewhere(elsewhere)
            await self._tell.now(
                listener, said if verdict.allowed else sentences.refused_stop(verdict.reason)
            )
            return
        await self._stop_one(runtimes, person, listener, key, several=bool(found))

    async def in_thread(self, person: Person, listener: Listener, thread_ts: str, key: str) -> None:
        """Stop the turn that runs for a thread."""
        found = await self._running(listener.channel_id, thread_ts)
        await self._stop_one({runtime for runtime, _ in found}, person, listener, key, several=bool(found))

    async def of_message(self, message_id: str, person: Person, listener: Listener, key: str) -> None:
        """Stop the turn that a message of ours began, as its Stop button asks."""

        async def stop() -> None:
            team_id = self._door.workspace.team_id
            message = await self._door.store.transact(lambda tx: tx.messages.theirs(team_id, message_id))
            if message is None:
                await self._tell.now(listener, sentences.MALFORMED_BUTTON)
                return
            runtime = Runtime(message.environment, message.agent_id, message.conversation_id)
            await self._stop_one(
                set() if message.turn_ended else {runtime}, person, listener, key, several=False
            )

        await self._guarded(stop())

    async def pressed_in_slack(self, ack: AsyncAck, body: dict[str, Any]) -> None:
        """Take a press of the stop button that Slack itself shows while a turn runs."""
        await ack()
        event = read_session_stopped(body)
        if event is None:
            return

        async def stop() -> None:
            person = await self._door.people.person(event.user, str(body.get("team_id") or ""))
            team_id = self._door.workspace.team_id
            listener = Listener(team_id, event.channel, event.user, None, event.thread_ts)
            key = f"event/{body.get('event_id') or event.event_ts}"
            await self.in_thread(person, listener, event.thread_ts, key)

        self.soon(stop())

    async def _elsewhere(self, runtimes: set[Runtime], channel_id: str) -> str:
        """Return the channel whose turn runs in a conversation that this one shares; empty: not another's."""
        if len(runtimes) != 1:
            return ""
        [runtime] = runtimes
        seen, since = self._runs_for(runtime), self._door.clock() - ANSWERED_WITHIN

        def channels(tx: Transaction) -> list[str]:
            tx.messages.only_of(self._door.workspace.team_id)
            of = (runtime.environment, runtime.agent_id, runtime.conversation_id)
            in_turn = [one for one in tx.messages.in_turn(*of) if one.settled_at and one.settled_at > since]
            return [one.channel_id for one in (tx.messages.some(seen) if seen else []) or in_turn]

        found = await self._door.store.transact(channels)
        return found[0] if found and channel_id not in found else ""

    async def _running(self, channel_id: str, thread_ts: str | None) -> list[tuple[Runtime, str]]:
        team_id, since = self._door.workspace.team_id, self._door.clock() - ANSWERED_WITHIN
        return await self._door.store.transact(
            lambda tx: tx.stops.can_be(team_id, channel_id, thread_ts, since)
        )

    async def _stop_one(
        self, runtimes: set[Runtime], person: Person, listener: Listener, key: str, *, several: bool
    ) -> None:
        if len(runtimes) == 1:
            await self.stop(runtimes.pop(), person, listener, key)
            return
        await self._tell.now(listener, sentences.SEVERAL_RUN if several else sentences.NOTHING_RUNS)

    async def _guarded(self, stopping: Coroutine[Any, Any, None]) -> None:
        try:
            await stopping
        except StoreError as problem:
            self._door.log.error("stop.not_stored", reason=str(problem))
        except Exception:  # no error handler of Bolt's watches over this any more
            self._door.log.exception("arrival.defect", kind="stop")


def _ended(
    tx: Transaction, stop: Stop, message_ids: Sequence[str], now: datetime, stopped: bool | None
) -> list[Message]:
    """Record how a stop ended, and return the messages whose turn it was."""
    end_stop(tx, stop, message_ids, now, stopped=stopped)
    return tx.messages.some(message_ids) if stopped and message_ids else []


def _told(asked: Sequence[Message], listener: Listener, now: datetime) -> str:
    """Return what was stopped, as far as whoever stopped it can read it where they are."""
    readable = [one for one in asked if one.channel_id == listener.channel_id]
    readable = [one for one in readable if one.place != "private" or one.user_id == listener.user_id]
    readable.sort(key=lambda one: one.created_at)
    arrived = [one.settled_at for one in readable if one.state == "delivered" and one.settled_at]
    lasted = now - min(arrived) if arrived else None
    return sentences.stopped([(one.user_id, one.text) for one in readable], lasted)
