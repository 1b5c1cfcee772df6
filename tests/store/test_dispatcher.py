"""The way out of the outbox: one slow destination holds up nobody else."""

import asyncio
import contextlib
import io
import threading
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from relay.app import json_log
from relay.dispatcher import Dispatcher, Doors
from relay.domain.deliveries import LEASE, Delivered, Delivery, Kind, Outcome, State
from relay.domain.room import MOST_MESSAGES, MOST_MESSAGES_EACH
from relay.store import Store, StoreError, Transaction
from tests.store.lossy import Lossy


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


async def test_a_claim_that_ran_out_before_it_was_sent_is_not_sent(store: Store) -> None:
    office, ahead = Office(store), [timedelta(0)]

    def sleep_once(point: str) -> None:
        if point == "dispatcher.claimed" and not ahead[0]:
            ahead[0] = LEASE

    dispatcher = Dispatcher(
        store, Doors(*[office.take] * 5), clock=lambda: datetime.now(UTC) + ahead[0], chance=lambda: 0.5,
        log=json_log(io.StringIO()), at=sleep_once,
    )  # fmt: skip
    store.on_due = dispatcher.wake
    await office.leave((Kind.CARD, "", "card"))
    running = asyncio.create_task(dispatcher.run())
    await office.until_answered("card")
    running.cancel()
    await asyncio.wait([running])
    await dispatcher.finish(5)
    assert [one.attempts for one in office.begun] == [2]


async def test_what_ended_before_the_stop_is_recorded_and_what_goes_on_is_cut_short(store: Store) -> None:
    office, ended, log = Office(store), asyncio.Event(), io.StringIO()

    def seen(name: str, _: float = 1.0, /, **__: str) -> None:
        if name == "delivery_attempts":
            ended.set()

    dispatcher = Dispatcher(
        store, Doors(*[office.take] * 5), clock=lambda: datetime.now(UTC), chance=lambda: 0.5,
        log=json_log(log), seen=seen,
    )  # fmt: skip
    store.on_due = dispatcher.wake
    await office.leave((Kind.CARD, "slow", "card"), (Kind.CARD, "", "word"))
    running = asyncio.create_task(dispatcher.run())
    await asyncio.wait_for(ended.wait(), 5)
    running.cancel()
    assert await dispatcher.finish(0) == 1
    assert "delivery.attempted" in log.getvalue()
    await asyncio.wait([running])
    [word] = await store.transact(lambda tx: tx.deliveries.of_subject("word", Kind.CARD))
    [card] = await store.transact(lambda tx: tx.deliveries.of_subject("card", Kind.CARD))
    assert (word.state, card.state) == (State.DELIVERED, State.SENDING)


async def test_a_store_that_does_not_answer_holds_up_no_stop(store: Store) -> None:
    office, ended, free = Office(store), asyncio.Event(), threading.Event()
    dispatcher = Dispatcher(
        store, Doors(*[office.take] * 5), clock=lambda: datetime.now(UTC), chance=lambda: 0.5,
        log=json_log(io.StringIO()), seen=lambda *_, **__: ended.set(),
    )  # fmt: skip
    store.on_due = dispatcher.wake
    await office.leave((Kind.CARD, "slow", "card"))
    running = asyncio.create_task(dispatcher.run())
    await office.until_begun(1, "slow")
    running.cancel()
    await asyncio.wait([running])
    busy = asyncio.create_task(store.transact(lambda _: free.wait(30)))
    office.answer.set()
    try:
        await asyncio.wait_for(ended.wait(), 5)
        assert await dispatcher.finish(0) == 0
        assert not busy.done()
    finally:
        free.set()
    await busy
    [card] = await store.transact(lambda tx: tx.deliveries.of_subject("card", Kind.CARD))
    assert card.state is State.DELIVERED


async def test_what_was_stopped_in_its_tracks_is_not_begun_anew_beside_itself_and_knows_that_it_is_late(
    store: Store,
) -> None:
    office, ahead, had = Office(store), [timedelta(0)], dict[str, bool]()

    async def attempt(delivery: Delivery) -> Outcome:
        assert dispatcher.has(delivery)
        assert not dispatcher.has(replace(delivery, attempts=delivery.attempts - 1))
        outcome = await office.take(delivery)
        had[delivery.ordering_key] = dispatcher.has(delivery)
        return outcome

    dispatcher = Dispatcher(
        store, Doors(*[attempt] * 5), clock=lambda: datetime.now(UTC) + ahead[0], chance=lambda: 0.5,
        log=json_log(io.StringIO()),
    )  # fmt: skip
    store.on_due = dispatcher.wake
    await office.leave((Kind.CARD, "slow", "first"))
    running = asyncio.create_task(dispatcher.run())
    await office.until_begun(1, "slow")
    ahead[0] = LEASE * 1.2
    await office.leave((Kind.CARD, "", "second"))
    await office.until_answered("second")
    office.answer.set()
    await office.until_answered("first")
    running.cancel()
    await asyncio.wait([running])
    await dispatcher.finish(5)
    assert [(one.ordering_key, one.attempts) for one in office.begun] == [("first", 1), ("second", 1)]
    assert had == {"second": True, "first": False}


async def test_what_is_attempted_for_longer_than_a_lease_is_claimed_still(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    lease = timedelta(seconds=3)
    monkeypatch.setattr("relay.dispatcher.LEASE", lease)
    office, had = Office(store), asyncio.Event()

    async def attempt(delivery: Delivery) -> Outcome:
        while dispatcher.has(delivery):
            await asyncio.sleep(0.02)
            if datetime.now(UTC) > delivery.created_at + 1.3 * lease:
                had.set()
                return Delivered({})
        return await office.take(delivery)

    dispatcher = Dispatcher(
        store, Doors(*[attempt] * 5), clock=lambda: datetime.now(UTC), chance=lambda: 0.5,
        log=json_log(io.StringIO()),
    )  # fmt: skip
    await office.leave((Kind.CARD, "", "card"))
    running = asyncio.create_task(dispatcher.run())
    async with asyncio.timeout(20):
        await had.wait()
    running.cancel()
    await asyncio.wait([running])
    await dispatcher.finish(5)
    assert office.begun == []


async def test_nothing_is_sent_to_an_environment_that_is_held_elsewhere(store: Store) -> None:
    office, elsewhere = Office(store), {"far"}
    dispatcher = Dispatcher(
        store, Doors(*[office.take] * 5), clock=lambda: datetime.now(UTC), chance=lambda: 0.5,
        log=json_log(io.StringIO()), elsewhere=lambda: elsewhere,
    )  # fmt: skip
    await office.leave(*messages("far", 3), *messages("near", 3), (Kind.CARD, "", "card"))
    running = asyncio.create_task(dispatcher.run())
    await office.until_answered("near/0", "near/1", "near/2", "card")
    assert {one.environment for one in office.begun} == {"near", ""}
    elsewhere.clear()
    dispatcher.wake()
    await office.until_answered("far/0", "far/1", "far/2")
    running.cancel()
    await asyncio.wait([running])
    await dispatcher.finish(5)


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


async def test_what_was_sent_while_the_database_was_away_is_recorded_then_and_not_sent_again(
    cutter: Lossy, database_url: str
) -> None:
    store = Store.open(cutter.url(database_url))
    async with Office(store).open() as office:
        await office.leave((Kind.MESSAGE, "slow", "the key"))
        await office.until_begun(1, "slow")
        cutter.shut = True
        cutter.drop()
        office.answer.set()
        await office.until_answered("the key")
        with pytest.raises(StoreError):
            await store.transact(lambda _: None)  # behind the record of it
        cutter.shut = False
        await office.leave((Kind.MESSAGE, "quick", "the key"))
        await office.until_begun(1, "quick")  # well before its lease is over
        assert [one.environment for one in office.begun] == ["slow", "quick"]
    await store.close()
