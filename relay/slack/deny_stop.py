"""Deny and stop: the denial first, then the turn is stopped."""

from relay.domain.approvals import Approval, State
from relay.domain.deliveries import STOP_WAITS, Delivered, Delivery, Outcome, Retry
from relay.domain.runtime import Runtime
from relay.slack import sentences
from relay.slack.deciding import Deciding
from relay.slack.door import SlackDoor
from relay.slack.stops import Stops
from relay.slack.tell import Tell
from relay.use_cases.stop_after import Prospect, StopAfter, prospect

_SAID = {Prospect.OVER: sentences.NOTHING_RUNS, Prospect.ANOTHERS: sentences.STOP_ANOTHERS}


class DenyStop:
    """Takes out the stops that go with denials: due once a denial was seen to arrive, or after ten seconds.

    Stored with the denial, so that a restart loses none. One that a restart has delayed waits as long for its
    environment as the denial may take, and ends no turn but the one it is about, as far as anything tells.
    """

    def __init__(self, door: SlackDoor, tell: Tell, deciding: Deciding, stops: Stops) -> None:
        self._door = door
        self._tell = tell
        self._deciding = deciding
        self._stops = stops
        self._began = door.clock()

    async def send(self, delivery: Delivery) -> Outcome:
        """Carry out a stop, or say why not. Raises StoreError."""
        approval = await self._deciding.approval(delivery.subject_id)
        if approval is None or approval.decision is None:
            return Delivered({})
        wanted, now = StopAfter.read(dict(delivery.body)), self._door.clock()
        patient = now < max(self._began, approval.decision.decided_at) + STOP_WAITS
        if approval.state is State.DECIDED and patient:
            return Retry("the denial is on its way")
        if delivery.deadline is not None and now >= delivery.deadline:
            await self._tell.now(wanted.listener, sentences.STOP_TOO_LATE)
            return Delivered({"stopped": False})
        return await self._stop(delivery, approval, wanted, patient=patient)

    async def _stop(
        self, delivery: Delivery, approval: Approval, wanted: StopAfter, *, patient: bool
    ) -> Outcome:
        asked = approval.asked
        runtime = Runtime(asked.environment, asked.agent_id, asked.conversation_id)
        found = await self._door.store.transact(lambda tx: prospect(tx, approval, wanted.message_ids))
        seen = self._stops.runs_for(runtime)
        if found is Prospect.MEANT and seen and not set(seen) & set(wanted.message_ids):
            found = Prospect.ANOTHERS
        if found is not Prospect.MEANT:
            await self._tell.now(wanted.listener, _SAID[found])
            return Delivered({"stopped": False})
        person = await self._door.people.person(wanted.user_id, wanted.team_id)
        key = f"{wanted.key}/stop/{delivery.attempts}"
        stopped = await self._stops.stop(runtime, person, wanted.listener, key, patient=patient)
        if stopped is None and patient:
            return Retry("its sockets are not open")
        return Delivered({"stopped": stopped})
