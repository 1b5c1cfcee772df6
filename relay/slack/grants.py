"""Presses of Revoke: on a card, in the Home tab, in a list."""

from typing import Any

from slack_bolt.async_app import AsyncAck

from relay.domain.approvals import Approval
from relay.slack import sentences
from relay.slack.actions import listener_of
from relay.slack.deciding import Deciding
from relay.slack.door import SlackDoor
from relay.slack.home import Home
from relay.slack.tell import Tell
from relay.slack.wire import BlockActions, RetryValue, read_click
from relay.store import StoreError, Transaction
from relay.use_cases.grants import Revoking, revoke_grant


class Revocations:
    """Takes grants back: stored first, then acknowledged."""

    def __init__(self, door: SlackDoor, tell: Tell, deciding: Deciding, home: Home) -> None:
        self._door = door
        self._tell = tell
        self._deciding = deciding
        self._home = home

    async def revoke(self, ack: AsyncAck, body: dict[str, Any]) -> None:
        """Take a press of Revoke."""
        click = read_click(body)
        value = RetryValue.read(click.actions[0].value) if click else None
        if click is None or value is None:
            await ack()
            if click is not None:
                await self._tell.now(listener_of(self._door, click), sentences.MALFORMED_BUTTON)
            return
        try:
            await self._revoke(click, value.subject_id)
            if click.stood_in_private:  # cards are rewritten, and so is the Home tab
                self._home.list_grants_again(listener_of(self._door, click), click.user.team_id or "")
        except StoreError as problem:
            self._door.not_stored("click", problem, click.user.id)
            await self._tell.now(listener_of(self._door, click), sentences.not_stored(problem))
        await ack()

    async def _revoke(self, click: BlockActions, grant_id: str) -> None:
        door = self._door
        given_with = await door.store.transact(lambda tx: _given_with(tx, door.workspace.team_id, grant_id))
        person = await self._deciding.person(click.user.id, click.user.team_id or "", given_with)
        revoking, now = Revoking(person, listener_of(door, click), click.key, grant_id), door.clock()
        revoked = await door.store.transact(lambda tx: revoke_grant(tx, revoking, door.rights, now))
        door.log.info("grant.revoking", grant_id=grant_id, user_id=person.user_id, revoked=revoked)
        self._home.changed()


def _given_with(tx: Transaction, team_id: str, grant_id: str) -> Approval | None:
    grant = tx.grants.theirs(team_id, grant_id)
    return None if grant is None else tx.approvals.theirs(team_id, grant.approval_id)
