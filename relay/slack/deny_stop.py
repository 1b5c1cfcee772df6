"""Deny and stop: the denial first, then the turn is stopped."""

from collections.abc import Callable

from relay.domain.approvals import Approval, State
from relay.domain.deliveries import STOP_WAITS, Delivered, Delivery, Outcome, Retry
from relay.domain.presence import UnderWay
from relay.domain.runtime import Runtime
from relay.slack import sentences
from relay.slack.deciding import Deciding
from relay.slack.door import SlackDoor
from relay.slack.stops import Aim, AimLostError, Stops
from relay.slack.tell import Tell
from relay.use_cases.stop_after import Prospect, StopAfter, hits, prospect

_SAID = {
    Prospect.OVER: sentences.NOTHING_RUNS,
    Prospect.ANOTHERS: sentences.STOP_ANOTHERS,
    Prospect.LATER: sentences.STOP_LATER_TURN,
    Prospect.UNSEEN: sentences.STOP_TOO_LATE,
}


class DenyStop:
    """Takes out the stops that go with denials: due once a denial was seen to arrive, or after ten seconds.

    Stored with the denial, so that a restart loses none. One that a restart has delayed waits as long for its
    environment as the denial may take, and ends no turn but the one it is about: whose turn runs is told by
    `under_way`, and where that is in doubt, nothing is stopped and that is said.
    """

    def __init__(
        self,
        door: SlackDoor,
        tell: Tell,
        deciding: Deciding,
        stops: Stops,
        under_way: Callable[[Runtime], UnderWay | None],
    ) -> None:
        self._door = door
        self._tell = tell
        self._deciding = deciding
        self._stops = stops
        self._under_way = under_way
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
        return await self._look(delivery, approval, wanted, patient=patient)

    async def _look(
        self, delivery: Delivery, approval: Approval, wanted: StopAfter, *, patient: bool
    ) -> Outcome:
        """Stop the turn that asked if it is the one that runs."""
        seen = self._under_way(_runtime(approval))
        found = await self._door.store.transact(lambda tx: prospect(tx, approval, wanted.message_ids, seen))
        if found is Prospect.UNSEEN and patient:
            return Retry("what runs is not known yet")
        # Where the environment is not reached, the stop itself says so.
        if found is Prospect.MEANT or (found is Prospect.UNSEEN and seen is None):
            return await self._stop(delivery, approval, wanted, patient=patient)
        await self._tell.now(wanted.listener, _SAID[found])
        return Delivered({"stopped": False})

    async def _stop(
        self, delivery: Delivery, approval: Approval, wanted: StopAfter, *, patient: bool
    ) -> Outcome:
        runtime = _runtime(approval)
        person = await self._door.people.person(wanted.user_id, wanted.team_id)
        key = f"{wanted.key}/stop/{delivery.attempts}"
        aim = self._aim(approval, wanted)
        try:
            stopped = await self._stops.stop(runtime, person, wanted.listener, key, aim=aim, patient=patient)
        except AimLostError:
            return Retry("its turn may be over")
        if stopped is None and patient:
            return Retry("its sockets are not open")
        return Delivered({"stopped": stopped})

    def _aim(self, approval: Approval, wanted: StopAfter) -> Aim:
        runtime = _runtime(approval)
        seen = self._under_way(runtime)
        told = [one for run in seen.runs for one in run] if seen is not None else []

        def still() -> bool:
            now = self._under_way(runtime)  # None: the stop reaches nothing, and says so
            return now is None or hits(approval, wanted.message_ids, now) is Prospect.MEANT

        return Aim(tuple(dict.fromkeys([*wanted.message_ids, *told])), still)


def _runtime(approval: Approval) -> Runtime:
    asked = approval.asked
    return Runtime(asked.environment, asked.agent_id, asked.conversation_id)
