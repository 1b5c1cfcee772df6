"""Deny and stop: the denial first, then the turn is stopped."""

import asyncio

from relay.domain.approvals import Approval, State
from relay.domain.runtime import Runtime
from relay.slack import sentences
from relay.slack.deciding import Answering, Deciding
from relay.slack.door import SlackDoor
from relay.slack.stops import Stops
from relay.slack.tell import Tell

# A denial of one of several calls is not seen to arrive before all of them are decided.
_WITHIN = 10.0
_LOOK_EVERY = 0.1
# Nobody of these says that the turn which asked goes on: to stop it might stop another.
_OVER = frozenset({State.WITHDRAWN, State.SUPERSEDED, State.DECIDED_ELSEWHERE})


class StopAfter:
    """Stops a turn once a denial was seen to arrive, or after ten seconds.

    Like every stop it is not kept over a restart: one that comes late would end something else.
    """

    def __init__(self, door: SlackDoor, tell: Tell, deciding: Deciding, stops: Stops) -> None:
        self._door = door
        self._tell = tell
        self._deciding = deciding
        self._stops = stops

    def denied(self, answering: Answering) -> None:
        """Stop the turn of a request that was just denied, without keeping anybody waiting."""
        self._stops.soon(self._stop(answering))

    async def _stop(self, answering: Answering) -> None:
        approval = await self._settled(answering.approval_id)
        if approval is None:
            return
        if approval.state in _OVER:
            await self._tell.now(answering.listener, sentences.NOTHING_RUNS)
            return
        asked = approval.asked
        runtime = Runtime(asked.environment, asked.agent_id, asked.conversation_id)
        person = await self._door.people.person(answering.user_id, answering.team_id)
        await self._stops.stop(runtime, person, answering.listener, f"{answering.key}/stop")

    async def _settled(self, approval_id: str) -> Approval | None:
        """Return the request once its denial is no longer on its way, or as it is after a while."""
        loop = asyncio.get_running_loop()
        until = loop.time() + _WITHIN
        while True:
            approval = await self._deciding.approval(approval_id)
            if approval is None or approval.state is not State.DECIDED or loop.time() >= until:
                return approval
            await asyncio.sleep(_LOOK_EVERY)
