"""Presses that open a form, and the menu of a card: who may is found out first, then it opens.

A form opens by the press's trigger, which Slack takes once and for three seconds.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any

import aiohttp
from slack_bolt.async_app import AsyncAck
from slack_sdk.errors import SlackClientError

from relay.domain.approvals import Approval
from relay.domain.people import Person
from relay.domain.policy import may_vote
from relay.slack import sentences
from relay.slack.actions import listener_of
from relay.slack.deciding import Answering, Deciding
from relay.slack.door import SlackDoor
from relay.slack.forms.fields import Meant
from relay.slack.forms.kinds import FORMS
from relay.slack.tell import Tell
from relay.slack.wire import BlockActions, ButtonValue, MoreValue, read_click
from relay.store import StoreError
from relay.use_cases.record_decision import Answer

_TRIGGER_LIVES = 3.0
_ANOTHER = "another"  # no hash: nothing that is asked matches it

# What an option of the menu does that is no form: called before the press is acknowledged, so that
# what it stores is stored by then; what takes long it does by itself. It may raise StoreError.
Option = Callable[[BlockActions, Approval], Awaitable[None]]


class Opening:
    """Opens forms for who may answer with them, and carries out the rest of a card's menu."""

    def __init__(
        self,
        door: SlackDoor,
        tell: Tell,
        deciding: Deciding,
        options: Mapping[str, Option],
    ) -> None:
        self._door = door
        self._tell = tell
        self._deciding = deciding
        self._options = options

    async def deny_reason(self, ack: AsyncAck, body: dict[str, Any]) -> None:
        """Take a press of "Deny with reason…"."""
        await self._pressed(ack, body, "deny_reason")

    async def edit(self, ack: AsyncAck, body: dict[str, Any]) -> None:
        """Take a press of "Edit…"."""
        await self._pressed(ack, body, "edit")

    async def _pressed(self, ack: AsyncAck, body: dict[str, Any], form: str) -> None:
        await ack()
        click = read_click(body)
        value = ButtonValue.read(click.actions[0].value) if click else None
        if click is None or value is None:
            await self._malformed(click)
            return
        self._soon(click, self._open(click, form, value))

    async def more(self, ack: AsyncAck, body: dict[str, Any]) -> None:
        """Take a choice from a card's menu."""
        click = read_click(body)
        option = click.actions[0].selected_option if click else None
        value = MoreValue.read(option.value) if option else None
        if click is None or value is None:
            await ack()
            await self._malformed(click)
            return
        if value.do in FORMS:
            await ack()
            self._soon(click, self._open_chosen(click, value))
            return
        try:
            await self._do(click, value)
        except StoreError as problem:
            self._door.not_stored("click", problem, click.user.id)
            await self._tell.now(listener_of(self._door, click), sentences.not_stored(problem))
        await ack()

    async def _do(self, click: BlockActions, value: MoreValue) -> None:
        approval = await self._deciding.approval(value.approval_id)
        option = self._options.get(value.do)
        if value.do == "deny_stop":
            answering = self._answering(click, _named(value, approval))
            await self._deciding.answer(answering, Answer(approve=False, stop=True))
        elif option is None or approval is None:
            unknown = sentences.UNKNOWN_CARD if approval is None else sentences.UNKNOWN_ACTION
            await self._tell.now(listener_of(self._door, click), unknown)
        else:
            await option(click, approval)

    async def _open_chosen(self, click: BlockActions, value: MoreValue) -> None:
        approval = await self._deciding.approval(value.approval_id)
        await self._open(click, value.do, _named(value, approval))

    async def _open(self, click: BlockActions, form: str, value: ButtonValue) -> None:
        admitted = await self._deciding.admit(self._answering(click, value), FORMS[form].leads_to)
        if admitted is None:
            self._door.log.info(
                "form.refused", form=form, approval_id=value.approval_id, user_id=click.user.id
            )
            return
        approval, person = admitted
        meant = Meant(**value.model_dump(exclude={"input_hash"}), **_shown_at(click, approval))
        # Beside the loop: people's clicks are not to wait for a large input.
        view = await asyncio.to_thread(FORMS[form].view, approval, meant, self._has_vote(approval, person))
        await self._door.client.views_open(trigger_id=click.trigger_id, view=view)
        self._door.log.info("form.opened", form=form, approval_id=approval.id, user_id=person.user_id)

    def _has_vote(self, approval: Approval, person: Person) -> bool:
        rights = self._door.rights
        return may_vote(rights, approval.ask, approval.requesters, person, approve=True).allowed

    def _answering(self, click: BlockActions, value: ButtonValue) -> Answering:
        return Answering(
            user_id=click.user.id,
            team_id=click.user.team_id or "",
            listener=listener_of(self._door, click),
            key=click.key,
            message_ts=click.message_ts,
            **value.model_dump(),
        )

    def _soon(self, click: BlockActions, opening: Coroutine[Any, Any, None]) -> None:
        # Slack waits for the acknowledgement, not for its own answer to another call.
        self._tell.soon(self._guarded(click, opening))

    async def _guarded(self, click: BlockActions, opening: Coroutine[Any, Any, None]) -> None:
        listener = listener_of(self._door, click)
        try:
            async with asyncio.timeout(_TRIGGER_LIVES):
                await opening
        except StoreError as problem:
            self._door.log.error("form.not_opened", reason=str(problem), user_id=click.user.id)
            await self._tell.now(listener, sentences.not_stored(problem))
        except (SlackClientError, aiohttp.ClientError, TimeoutError) as problem:
            self._door.log.warning("form.not_opened", reason=type(problem).__name__, user_id=click.user.id)
            await self._tell.now(listener, sentences.FORM_FAILED)
        except Exception:  # no error handler of Bolt's watches over this any more
            self._door.log.exception("arrival.defect", kind="form")
            await self._tell.now(listener, sentences.DEFECT)

    async def _malformed(self, click: BlockActions | None) -> None:
        if click is not None:
            await self._tell.now(listener_of(self._door, click), sentences.MALFORMED_BUTTON)


def _named(value: MoreValue, approval: Approval | None) -> ButtonValue:
    """Return what the option stands for: it has no room for the whole hash, nor for the tool call's id."""
    shown = approval.shown_hash if approval and approval.shown_hash.startswith(value.h) else _ANOTHER
    return ButtonValue(approval_id=value.approval_id, input_hash=shown)


def _shown_at(click: BlockActions, approval: Approval) -> dict[str, Any]:
    return {
        "shown_hash": approval.shown_hash,
        "channel_id": click.channel_id,
        "message_ts": click.message_ts,
    }
