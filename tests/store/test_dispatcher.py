"""The way out of the outbox: one slow destination holds up nobody else."""

import asyncio
import contextlib
import io
from collections.abc import AsyncIterator
from datetime import UTC, datetime

from relay.app import json_log
from relay.dispatcher import Dispatcher, Doors
from relay.domain.deliveries import Delivered, Delivery, Kind, Outcome
from relay.domain.room import MOST_MESSAGES, MOST_MESSAGES_EACH
from relay.store import Store, Transaction


class Office:
    """A dispatcher whose doors the test holds: what is for `slow` is taken and not answered."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.begun: list[Delivery] = []
        self.answered: list[str] = []
        self.answer = asyncio.Event()
        self._told = asyncio.Condition()

    async def take(self, delivery: Delivery) -> Outcome:
        async with self._told:
            self.begun.append(delivery)
            self._told.notify_all()
        if delivery.environment.startswith("slow"):
            await self.answer.wait()
        async with self._told:
            self.answered.append(delivery.ordering_key)
            self._told.notify_all()
        return Delivered({})

    async def until_begun(self, number: int, environment: str) -> None:
        """Wait until so many attempts for an environment have begun."""
        async with asyncio.timeout(5), self._told:
            await self._told.wait_for(
                lambda: sum(one.environment == environment for one in self.begun) >= number
            )

    async def until_answered(self, *keys: str) -> None:
        """Wait until what has these ordering keys is out."""
        async with asyncio.timeout(5), self._told:
            await self._told.wait_for(lambda: set(keys) <= set(self.answered))

    async def leave(self, *wanted: tuple[Kind, str, str]) -> None:
        """Leave deliveries, each with its kind, environment and ordering key."""
        now = datetime.now(UTC)

        def work(tx: Transaction) -> None:
            for kind, environment, key in wanted:
                tx.deliveries.add(
                    kind, team_id="T0", ordering_key=key, subject_id=key, environment=environment, now=now
                )

        await self.store.transact(work)

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator["Office"]:
        doors = Doors(self.take, self.take, self.take, self.take, self.take)
        log = json_log(io.StringIO())
        dispatcher = Dispatcher(
            self.store, doors, clock=lambda: datetime.now(UTC), chance=lambda: 0.5, log=log
        )
        self.store.on_due = dispatcher.wake
        running = asyncio.create_task(dispatcher.run())
        try:
            yield self
        finally:
            running.cancel()
            await asyncio.wait([running])
            self.answer.set()
            await dispatcher.finish(5)


def messages(environment: str, number: int) -> list[tuple[Kind, str, str]]:
    """So many messages to an environment, none behind another."""
    return [(Kind.MESSAGE, environment, f"{environment}/{one}") for one in range(number)]


async def test_an_environment_that_never_answers_holds_up_nothing_else(store: Store) -> None:
    async with Office(store).open() as office:
        await office.leave(*messages("slow", 300))
        await office.until_begun(MOST_MESSAGES_EACH, "slow")
        kinds = (Kind.REPLY, Kind.ANSWER, Kind.DECISION, Kind.CARD)
        await office.leave(*((kind, "", kind.value) for kind in kinds), *messages("quick", 100))
        await office.until_answered(
            "reply", "answer", "decision", "card", *(f"quick/{n}" for n in range(100))
        )
        assert sum(one.environment == "slow" for one in office.begun) == MOST_MESSAGES_EACH


async def test_what_waited_for_room_goes_out_when_there_is_room(store: Store) -> None:
    async with Office(store).open() as office:
        await office.leave(*messages("slow", 300))
        await office.until_begun(MOST_MESSAGES_EACH, "slow")
        office.answer.set()
        await office.until_answered(*(f"slow/{number}" for number in range(300)))


async def test_environments_that_never_answer_leave_room_for_all_but_messages(store: Store) -> None:
    async with Office(store).open() as office:
        await office.leave(*messages("slow", 200), *messages("slow too", 200))
        await office.until_begun(MOST_MESSAGES_EACH, "slow")
        await office.until_begun(MOST_MESSAGES - MOST_MESSAGES_EACH, "slow too")
        await office.leave(*((Kind.REPLY, "", f"reply/{number}") for number in range(200)))
        await office.until_answered(*(f"reply/{number}" for number in range(200)))
        assert len(office.begun) == MOST_MESSAGES + 200
