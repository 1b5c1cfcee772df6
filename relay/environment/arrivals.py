"""Hands what the environment's frames brought to the use cases, one transaction a frame."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime

from relay.domain.approvals import Asked
from relay.domain.runtime import Runtime
from relay.environment.listener import Arrivals, Presence
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


@dataclass(frozen=True)
class Desk:
    """Where arrivals are taken in: the store, and for each conversation whom to ask."""

    store: Store
    audience: Callable[[Transaction, Runtime], Audience]
    part_limit: int
    clock: Callable[[], datetime]
    rest_only: Collection[str] = ()

    async def take(self, runtime: Runtime, arrivals: Arrivals) -> None:
        """Store what one frame brought. Raises StoreError when nothing of it was kept."""
        now = self.clock()

        def work(tx: Transaction) -> None:
            for item in arrivals.items:
                self._take_one(tx, runtime, arrivals.epoch, item, now)

        await self.store.transact(work)

    async def take_presence(self, runtime: Runtime, presence: Presence) -> None:
        """Have whatever waits for an environment tried again as soon as it is back."""
        if presence.up:
            now = self.clock()
            await self.store.transact(lambda tx: tx.deliveries.wake(runtime.environment, now))

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
