"""Presses that are about time: ask again what expired, let a request rest."""

from typing import Any

from slack_bolt.async_app import AsyncAck

from relay.domain.approvals import Approval
from relay.slack import sentences
from relay.slack.actions import listener_of
from relay.slack.deciding import Deciding
from relay.slack.door import SlackDoor
from relay.slack.tell import Tell
from relay.slack.wire import BlockActions, ButtonValue, read_click
from relay.store import StoreError
from relay.use_cases.ask_again import Press, ask_again
from relay.use_cases.snooze import snooze


class Patience:
    """Takes presses of "Ask again" and "Snooze…"."""

    def __init__(self, door: SlackDoor, tell: Tell, deciding: Deciding) -> None:
        self._door = door
        self._tell = tell
        self._deciding = deciding

    async def ask_again(self, ack: AsyncAck, body: dict[str, Any]) -> None:
        """Take a press of "Ask again"."""
        click = read_click(body)
        value = ButtonValue.read(click.actions[0].value) if click else None
        if click is not None and value is not None:
            try:
                await self._ask_again(click, value.approval_id)
            except StoreError as problem:
                self._door.not_stored("click", problem, click.user.id)
                await self._tell.now(listener_of(self._door, click), sentences.not_stored(problem))
        elif click is not None:
            await self._tell.now(listener_of(self._door, click), sentences.MALFORMED_BUTTON)
        await ack()

    async def _ask_again(self, click: BlockActions, approval_id: str) -> None:
        press = await self._press(click, approval_id, await self._deciding.approval(approval_id))
        rights, now = self._door.rights, self._door.clock()
        await self._door.store.transact(lambda tx: ask_again(tx, press, rights, now))

    async def snooze(self, click: BlockActions, approval: Approval) -> None:
        """Let a request rest for an hour, as its menu offers. Raises StoreError."""
        press = await self._press(click, approval.id, approval)
        rights, now = self._door.rights, self._door.clock()
        await self._door.store.transact(lambda tx: snooze(tx, press, rights, now))

    async def _press(self, click: BlockActions, approval_id: str, approval: Approval | None) -> Press:
        person = await self._deciding.person(click.user.id, click.user.team_id or "", approval)
        return Press(person, listener_of(self._door, click), click.key, approval_id)
