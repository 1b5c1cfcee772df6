"""Forms that are handed in: who it is is found out again, and what was typed is never lost."""

import asyncio
from dataclasses import replace
from typing import Any

from slack_bolt.async_app import AsyncAck

from relay.domain.approvals import Approval, State
from relay.domain.policy import Reason
from relay.slack import sentences
from relay.slack.deciding import Answering, Deciding
from relay.slack.door import SlackDoor
from relay.slack.forms import over
from relay.slack.forms.fields import Meant, UnfitError
from relay.slack.forms.kinds import FORMS, Form
from relay.slack.tell import Tell
from relay.slack.wire import ViewSubmission, read_submission
from relay.store import StoreError
from relay.use_cases.record_decision import Recorded, Taken
from relay.use_cases.whisper import Listener

_ANOTHER = "another"  # no hash: nothing that is asked matches it


class Submitting:
    """Takes the forms of a card: stored first, then acknowledged, or refused in the form itself."""

    def __init__(self, door: SlackDoor, tell: Tell, deciding: Deciding) -> None:
        self._door = door
        self._tell = tell
        self._deciding = deciding

    async def take(self, ack: AsyncAck, body: dict[str, Any]) -> None:
        """Take a form that was handed in."""
        submission = read_submission(body)
        if submission is None:
            await ack()
            return
        form = FORMS.get(submission.view.callback_id)
        meant = Meant.read(submission.view.private_metadata)
        if form is None or meant is None:
            await self._refuse(ack, submission, sentences.MALFORMED_FORM)
            return
        try:
            await self._answer(ack, submission, form, meant)
        except UnfitError as unfit:
            await ack(response_action="errors", errors=unfit.errors)
        except StoreError as problem:
            self._door.not_stored("form", problem, submission.user.id)
            await self._refuse(ack, submission, sentences.not_stored(problem), passing=True)

    async def _answer(self, ack: AsyncAck, submission: ViewSubmission, form: Form, meant: Meant) -> None:
        approval = await self._deciding.approval(meant.approval_id)
        answering, answer = self._answering(submission, meant), form.leads_to
        if approval is None or not _is_current(approval, meant):
            # Read against what it was made for, it would be another answer: it only gets its refusal.
            answering = replace(answering, input_hash=_ANOTHER)
        else:
            answer = await asyncio.to_thread(form.read, approval, submission.entered())
        taken = await self._deciding.take(answering, answer)
        if taken.recorded is Recorded.REFUSED:
            passing = taken.facts.get("reason") == Reason.LOOKUP_FAILED
            await self._refuse(ack, submission, _words(taken), passing=passing)
            return
        if taken.sentence is not None:
            await self._tell.now(answering.listener, _words(taken))
        await ack()

    def _answering(self, submission: ViewSubmission, meant: Meant) -> Answering:
        team_id = self._door.workspace.team_id
        return Answering(
            user_id=submission.user.id,
            team_id=submission.user.team_id or "",
            listener=Listener(team_id, meant.channel_id, submission.user.id, None),
            key=submission.key,
            approval_id=meant.approval_id,
            tool_call_id=meant.tool_call_id,
            input_hash=meant.shown_hash,
            message_ts=meant.message_ts,
        )

    async def _refuse(
        self, ack: AsyncAck, submission: ViewSubmission, sentence: str, *, passing: bool = False
    ) -> None:
        """Say why nothing was done; what passes is said under an input, so that it can be handed in again."""
        blocks = submission.view.blocks
        first = over.first_input(blocks)
        if passing and first:
            await ack(response_action="errors", errors={first: sentence})
            return
        typed = over.typed(blocks, submission.entered())
        await ack(response_action="update", view=over.view(sentence, typed))


def errors_of(body: dict[str, Any], sentence: str) -> dict[str, Any]:
    """Return what keeps a form open, with a sentence under its first input, when its handler failed."""
    submission = read_submission(body)
    first = over.first_input(submission.view.blocks) if submission else ""
    return {"response_action": "errors", "errors": {first: sentence}} if first else {}


def _is_current(approval: Approval, meant: Meant) -> bool:
    return approval.state is State.PENDING and approval.shown_hash == meant.shown_hash


def _words(taken: Taken) -> str:
    assert taken.sentence is not None  # noqa: S101 - what is refused has its reason
    return sentences.whispered(taken.sentence, taken.facts, taken.approval)
