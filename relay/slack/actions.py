"""Presses of buttons: parse, one use case. Every press is answered, on the card or in private."""

import asyncio
from typing import Any

import aiohttp
from slack_bolt.async_app import AsyncAck
from slack_sdk.errors import SlackClientError

from relay.domain.people import Person
from relay.domain.policy import may_send
from relay.slack import modals, sentences
from relay.slack.deciding import Answering, Deciding
from relay.slack.door import SlackDoor
from relay.slack.stops import Stops
from relay.slack.tell import Tell
from relay.slack.wire import BlockActions, ButtonValue, RetryValue, read_click
from relay.store import StoreError
from relay.use_cases.record_decision import Answer
from relay.use_cases.retry_delivery import RetryClick, record_retry
from relay.use_cases.whisper import Listener

_TRIGGER_LIVES = 3.0


class Actions:
    """Takes the presses of relay's own buttons, and answers those it does not know."""

    def __init__(self, door: SlackDoor, tell: Tell, stops: Stops, deciding: Deciding) -> None:
        self._door = door
        self._deciding = deciding
        self._tell = tell
        self._stops = stops

    async def approve(self, ack: AsyncAck, body: dict[str, Any]) -> None:
        """Take a press of Approve."""
        await self._decide(ack, body, Answer(approve=True))

    async def deny(self, ack: AsyncAck, body: dict[str, Any]) -> None:
        """Take a press of Deny."""
        await self._decide(ack, body, Answer(approve=False))

    async def _decide(self, ack: AsyncAck, body: dict[str, Any], answer: Answer) -> None:
        click = read_click(body)
        value = ButtonValue.read(click.actions[0].value) if click else None
        if click is None or value is None:
            await ack()
            await self._tell_privately(click, sentences.MALFORMED_BUTTON)
            return
        answering = Answering(
            user_id=click.user.id,
            team_id=click.user.team_id or "",
            listener=listener_of(self._door, click),
            key=click.key,
            approval_id=value.approval_id,
            tool_call_id=value.tool_call_id,
            input_hash=value.input_hash,
            message_ts=click.message_ts,
        )
        try:
            await self._deciding.answer(answering, answer)
        except StoreError as problem:
            await self._not_stored(ack, click, problem)
            return
        await ack()

    async def retry(self, ack: AsyncAck, body: dict[str, Any]) -> None:
        """Take a press of Retry."""
        click = read_click(body)
        value = RetryValue.read(click.actions[0].value) if click else None
        if click is None or value is None:
            await ack()
            await self._tell_privately(click, sentences.MALFORMED_BUTTON)
            return
        listener = listener_of(self._door, click)
        retry = RetryClick(await self._person(click), listener, click.key, value.subject_id)
        now = self._door.clock()
        try:
            await self._door.store.transact(lambda tx: record_retry(tx, retry, self._door.rights, now))
        except StoreError as problem:
            await self._not_stored(ack, click, problem)
            return
        await ack()

    async def stop(self, ack: AsyncAck, body: dict[str, Any]) -> None:
        """Take a press of Stop."""
        await ack()
        click = read_click(body)
        value = RetryValue.read(click.actions[0].value) if click else None
        if click is None or value is None:
            await self._tell_privately(click, sentences.MALFORMED_BUTTON)
            return
        self._tell.soon(self._stop(click, value.subject_id))

    async def _stop(self, click: BlockActions, message_id: str) -> None:
        listener = listener_of(self._door, click)
        await self._stops.of_message(message_id, await self._person(click), listener, click.key)

    async def details(self, ack: AsyncAck, body: dict[str, Any]) -> None:
        """Open the whole input in a modal for who may, while the press's trigger lives (three seconds)."""
        await ack()
        click = read_click(body)
        value = ButtonValue.read(click.actions[0].value) if click else None
        if click is None or value is None:
            await self._tell_privately(click, sentences.MALFORMED_BUTTON)
            return
        # Slack waits for the acknowledgement, not for its own answer to another call.
        self._tell.soon(self._show(click, value))

    async def _show(self, click: BlockActions, value: ButtonValue) -> None:
        try:
            async with asyncio.timeout(_TRIGGER_LIVES):
                await self._open_details(click, value)
        except (SlackClientError, aiohttp.ClientError, TimeoutError, StoreError) as problem:
            self._door.log.warning(
                "details.not_opened", approval_id=value.approval_id, reason=type(problem).__name__
            )
            await self._tell_privately(click, sentences.DETAILS_FAILED)
        except Exception:  # no error handler of Bolt's watches over this any more
            self._door.log.exception("arrival.defect", kind="details")
            await self._tell_privately(click, sentences.DEFECT)

    async def _open_details(self, click: BlockActions, value: ButtonValue) -> None:
        verdict = may_send(self._door.rights, await self._person(click))
        if not verdict.allowed:
            self._door.log.info(
                "details.refused",
                approval_id=value.approval_id,
                user_id=click.user.id,
                reason=verdict.reason,
            )
            await self._tell_privately(click, sentences.refused_details(verdict.reason))
            return
        approval = await self._deciding.approval(value.approval_id)
        if approval is None:
            await self._tell_privately(click, sentences.UNKNOWN_CARD)
            return
        view = await asyncio.to_thread(modals.details, approval)
        await self._door.client.views_open(trigger_id=click.trigger_id, view=view)

    async def unknown(self, ack: AsyncAck, body: dict[str, Any]) -> None:
        """Acknowledge whatever no other handler takes, and say so to whoever pressed."""
        self._door.became("unknown")
        await ack()
        if body.get("type") == "block_actions":
            await self._tell_privately(read_click(body), sentences.UNKNOWN_ACTION)

    async def _person(self, click: BlockActions) -> Person:
        return await self._door.people.person(click.user.id, click.user.team_id or "")

    async def _not_stored(self, ack: AsyncAck, click: BlockActions, problem: StoreError) -> None:
        self._door.not_stored("click", problem, click.user.id)
        await ack()
        await self._tell_privately(click, sentences.not_stored(problem))

    async def _tell_privately(self, click: BlockActions | None, sentence: str) -> None:
        if click is not None:
            await self._tell.now(listener_of(self._door, click), sentence)


def listener_of(door: SlackDoor, click: BlockActions) -> Listener:
    """Return how whoever pressed is told something in private."""
    return Listener(door.workspace.team_id, click.channel_id, click.user.id, click.response_url)
