"""Hands what the environment's frames brought to the use cases, one transaction a frame."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from relay.domain.approvals import Asked
from relay.domain.runtime import Runtime
from relay.domain.traced import trace_id
from relay.environment.following import Following
from relay.environment.listener import Arrivals
from relay.environment.turns import (
    AnswerNotTaken,
    AnswersRefused,
    Arrival,
    Exchange,
    Missed,
    Pending,
    Proof,
    Reply,
    ToolAsked,
    TurnEnded,
    TurnFailed,
    TurnStopped,
    Unheard,
)
from relay.store import Store, Transaction
from relay.store.messages import Message
from relay.use_cases.answer_again import answer_not_taken, answer_refused
from relay.use_cases.follow_environment import end_turn, record_evidence, record_pending
from relay.use_cases.open_approval import Audience, Sighting, open_approval
from relay.use_cases.post_reply import ANSWERED_WITHIN, post_ending, post_reply, post_turn_error


def _unfenced(_: Transaction) -> None:
    """A store in a file has one relay."""


@dataclass(frozen=True)
class Desk:
    """Where arrivals are taken in: the store, and for each conversation whom to ask.

    Who follows them is told of each before it is stored.
    """

    store: Store
    audience: Callable[[Transaction, Runtime], Audience]
    part_limit: int
    clock: Callable[[], datetime]
    following: Following
    log: Any
    rest_only: Collection[str] = ()
    apart: bool = False  # many workspaces: what an environment says is about messages of its own alone

    async def take(
        self, runtime: Runtime, arrivals: Arrivals, fence: Callable[[Transaction], None] = _unfenced
    ) -> None:
        """Store what one frame brought. Raises StoreError when nothing of it was kept.

        `fence` raises, in the work itself, where another relay has taken the sockets that it came through.
        """
        now = self.clock()

        begun = self.following.begun(runtime, arrivals.epoch, arrivals.items, self._keep_apart)
        async with begun as traces:

            def work(tx: Transaction) -> dict[str, dict[str, Any]]:
                fence(tx)
                self._keep_apart(tx, runtime)
                opened: dict[str, dict[str, Any]] = {}  # what is asked may be listed with it
                for item, trace in zip(arrivals.items, traces, strict=True):
                    tx.deliveries.trace = trace
                    self._take_one(tx, runtime, arrivals.epoch, item, now)
                    if isinstance(item, ToolAsked):
                        opened = _opened(tx, runtime, item, trace, now) | opened
                return opened

            for approval_id, line in (await self.store.transact(work)).items():
                self.log.info(
                    "approval.requested", approval_id=approval_id, environment=runtime.environment, **line
                )

    def _keep_apart(self, tx: Transaction, runtime: Runtime) -> None:
        """Let the frames of an environment name no message of another workspace."""
        if self.apart:
            tx.messages.only_of(self.audience(tx, runtime).team_id)

    def _take_one(self, tx: Transaction, runtime: Runtime, epoch: str, item: Arrival, now: datetime) -> None:
        match item:
            case Reply():
                post_reply(tx, item.message_ids, item.key, item.text, part_limit=self.part_limit, now=now)
            case TurnFailed():
                post_turn_error(tx, item.message_ids, item.key, item.error, now=now)
            case TurnEnded():
                end_turn(tx, item.message_ids)
            case Pending():
                record_pending(tx, runtime, item.tool_call_ids, Sighting(epoch, item.event_seq), now)
            case Proof():
                sighting = Sighting(epoch, item.event_seq)
                record_evidence(tx, runtime, item.tool_call_id, item.evidence, sighting, now)
            case AnswersRefused():
                answer_refused(tx, runtime, now, self.rest_only)
            case TurnStopped():
                post_ending(tx, item.message_ids, "stopped", now=now)
            case AnswerNotTaken():
                answer_not_taken(tx, runtime, now)
            case Missed():
                self._missed(tx, item, now)
            case Unheard():
                post_ending(tx, item.message_ids, "unheard", now=now)
            case ToolAsked():
                self._open(tx, runtime, epoch, item, now)

    async def awaited(self, runtime: Runtime, ended: tuple[str, ...]) -> frozenset[str]:
        """Return the messages of a conversation whose answers may have been missed, `ended` among them."""
        since = self.clock() - ANSWERED_WITHIN

        def work(tx: Transaction) -> frozenset[str]:
            self._keep_apart(tx, runtime)
            waiting = tx.messages.in_turn(runtime.environment, runtime.agent_id, runtime.conversation_id)
            found = [*waiting, *tx.messages.some(ended)]
            return frozenset(one.id for one in found if one.settled_at is None or one.settled_at > since)

        return await self.store.transact(work)

    def _missed(self, tx: Transaction, missed: Missed, now: datetime) -> None:
        silent = missed.silent
        for exchange in missed.exchanges:
            ours = _answered(tx, missed, exchange)
            for answer_id, text in exchange.answers:
                post_reply(tx, ours, f"reply/{answer_id}", text, part_limit=self.part_limit, now=now)
            if exchange.answers and not missed.sure:
                silent += tuple(one for one in exchange.message_ids if one not in ours)
        post_ending(tx, silent, "wordless" if missed.behind.heard else "unheard", now=now)
        post_ending(tx, missed.unseen, "unseen", now=now)
        end_turn(tx, missed.over)

    def _open(self, tx: Transaction, runtime: Runtime, epoch: str, item: ToolAsked, now: datetime) -> None:
        request = item.request
        asked = Asked(
            environment=runtime.environment,
            agent_id=runtime.agent_id,
            conversation_id=runtime.conversation_id,
            tool_call_id=request.tool_call_id,
            tool_name=request.tool_name,
            tool_input=request.input,
            diffs=tuple(request.diffs),
            words=item.words,
            suggestions=tuple(one for one in request.permission_suggestions if isinstance(one, dict)),
        )
        open_approval(
            tx,
            asked,
            Sighting(epoch, item.event_seq),
            self.audience(tx, runtime),
            item.message_ids,
            now,
            answer_again=not item.listed,
        )


def _opened(
    tx: Transaction, runtime: Runtime, item: ToolAsked, trace: str, now: datetime
) -> dict[str, dict[str, Any]]:
    """Return, by its id, what the log is told of a request that was opened just now: what led to it."""
    where = (runtime.environment, runtime.agent_id, runtime.conversation_id)
    approval = tx.approvals.latest(*where, item.request.tool_call_id)
    if approval is None or approval.created_at != now:
        return {}
    traced = {"trace_id": trace_id(trace)} if trace else {}
    return {approval.id: {"message_ids": list(item.message_ids), **traced}}


def _answered(tx: Transaction, missed: Missed, exchange: Exchange) -> tuple[str, ...]:
    """Return under which messages the words that followed them are posted.

    A turn that told whose it was answers those alone. Where it is but likely that messages were taken in
    together, the last one has the words, and no place that others read.
    """
    if missed.sure:
        return tuple(one for one in exchange.message_ids if one in missed.over)
    messages = tx.messages.some(exchange.message_ids)
    last = next((one for one in messages if one.id == exchange.message_ids[-1]), None)
    return tuple(one.id for one in messages if last is not None and _readers(one) == _readers(last))


def _readers(message: Message) -> tuple[str, str]:
    """Return who reads what is said to a message: a channel, or one person alone."""
    return message.channel_id, message.user_id if message.place == "private" else ""
