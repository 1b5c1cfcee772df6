"""Whoever answers a request, by a button, a form or a word: who they are, and one use case."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from relay.domain.approvals import Approval
from relay.domain.matching import evaluate
from relay.domain.people import Person, Standing
from relay.domain.runtime import Runtime
from relay.slack.circles import Circles
from relay.slack.door import SlackDoor
from relay.use_cases.record_decision import (
    Answer,
    Click,
    Recorded,
    Taken,
    admit_form,
    record_decision,
    take_answer,
)
from relay.use_cases.rulings import Authority
from relay.use_cases.whisper import Listener


@dataclass(frozen=True)
class Answering:
    """Who answers which request: as Slack said it, not looked up yet.

    `team_id` is what the arrival says of the person; `key` is the same when it is told twice.
    """

    user_id: str
    team_id: str
    listener: Listener
    key: str
    approval_id: str
    tool_call_id: str
    input_hash: str
    message_ts: str | None = None


AskedBy = Callable[[Runtime, str], tuple[str, ...]]  # the messages of the run that asked for a tool call


class Deciding:
    """Takes answers: the evidence about a person first, then the vote, in one transaction."""

    def __init__(self, door: SlackDoor, circles: Circles, asked_by: AskedBy) -> None:
        self._door = door
        self._circles = circles
        self._asked_by = asked_by

    @property
    def _authority(self) -> Authority:
        door = self._door
        return Authority(door.rights, door.store.key, partial(evaluate, door.config.policy))

    async def approval(self, approval_id: str) -> Approval | None:
        """Return a request of this workspace. Raises StoreError."""
        team_id = self._door.workspace.team_id
        return await self._door.store.transact(lambda tx: tx.approvals.theirs(team_id, approval_id))

    async def person(self, user_id: str, team_id: str, approval: Approval | None) -> Person:
        """Return who somebody is, with the evidence that the request's rule asks for. Raises nothing."""
        return await self._seen(await self._door.people.person(user_id, team_id), approval)

    async def _seen(self, person: Person, approval: Approval | None) -> Person:
        # Of whom Slack says nothing in time, more would be asked in vain, and Slack waits for three seconds.
        if approval is None or person.standing is Standing.UNKNOWN:
            return person
        return await self._circles.seen(person, approval.ask.approvers, approval.ask.editors)

    async def answer(self, answering: Answering, answer: Answer) -> Recorded:
        """Count an answer, tell whoever gave it what there is to say, and return what came of it.

        Raises StoreError.
        """
        click = await self._click(answering)
        if answer.stop:
            answer = replace(answer, asked_by=await self._run_of(answering.approval_id))
        now, door = self._door.clock(), self._door
        recorded = await door.store.transact(
            lambda tx: record_decision(tx, click, answer, self._authority, now)
        )
        self._log(answering, answer, recorded)
        return recorded

    async def take(self, answering: Answering, answer: Answer) -> Taken:
        """Count an answer and return what there is to say, for a door that says it. Raises StoreError."""
        click = await self._click(answering)
        now, door = self._door.clock(), self._door
        taken = await door.store.transact(lambda tx: take_answer(tx, click, answer, self._authority, now))
        self._log(answering, answer, taken.recorded)
        return taken

    async def admit(self, answering: Answering, answer: Answer) -> tuple[Approval, Person] | None:
        """Return the request, and who asks for a form that leads to such an answer, if they may have it.

        Whoever may not is told why. Raises StoreError.
        """
        click = await self._click(answering)
        now, door = self._door.clock(), self._door
        approval = await door.store.transact(lambda tx: admit_form(tx, click, answer, self._authority, now))
        return (approval, click.person) if approval is not None else None

    async def _click(self, answering: Answering) -> Click:
        # Asked once: a second look-up after one that hung would take longer than Slack waits.
        person, approval = await asyncio.gather(
            self._door.people.person(answering.user_id, answering.team_id),
            self._named_by_circles(answering.approval_id),
        )
        return Click(
            person=await self._seen(person, approval),
            listener=answering.listener,
            key=answering.key,
            approval_id=answering.approval_id,
            tool_call_id=answering.tool_call_id,
            input_hash=answering.input_hash,
            message_ts=answering.message_ts,
        )

    async def _named_by_circles(self, approval_id: str) -> Approval | None:
        """Return the request when evidence about people may be needed: without groups and channels never.

        What waited when the relay started was ruled anew then, so that no other circle is kept with it.
        """
        return await self.approval(approval_id) if self._door.present.asks_slack else None

    async def _run_of(self, approval_id: str) -> tuple[str, ...]:
        """Return the messages of the run that asked, as it is told while it waits for the answer."""
        approval = await self.approval(approval_id)
        if approval is None:
            return ()
        asked = approval.asked
        runtime = Runtime(asked.environment, asked.agent_id, asked.conversation_id)
        return self._asked_by(runtime, asked.tool_call_id)

    def _log(self, answering: Answering, answer: Answer, recorded: Recorded) -> None:
        if recorded is Recorded.REFUSED:
            self._door.became("refused")
        self._door.log.info(
            "answer.taken",
            approval_id=answering.approval_id,
            user_id=answering.user_id,
            approve=answer.approve,
            recorded=recorded,
        )
