"""Time passes by a clock that is handed in: the machine sleeps, or the store refuses what is written."""

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from relay.app.ticking import Ticking
from relay.domain.approvals import Approval, State
from relay.domain.rules import Action, Ask, Ruling, Silence
from relay.domain.silence import HEARING
from relay.store import Store, StoreError, Transaction
from relay.use_cases.open_approval import Audience, Sighting, open_approval
from tests.approvals.desk import HOME, KEY, PLACE, asked_of
from tests.approvals.environment_model import Call

ASK = Ask(rule="careful", expires_after=timedelta(minutes=30), on_silence=Silence.DENY)
START = datetime(2026, 1, 5, 9, tzinfo=UTC)
SECOND = timedelta(seconds=1)


class FakeFullDisk(Store):
    """A store that can be told to refuse what is written, and goes on reading."""

    full = False

    async def transact(self, work: Callable[[Transaction], Any]) -> Any:
        def tried(tx: Transaction) -> Any:
            before = tx.connection.exec_driver_sql("SELECT total_changes()").scalar_one()
            result = work(tx)
            if self.full and tx.connection.exec_driver_sql("SELECT total_changes()").scalar_one() != before:
                raise StoreError("database or disk is full")
            return result

        return await super().transact(tried)


class Waiting:
    """One request that silence denies after half an hour, and the time that passes."""

    def __init__(self, store: FakeFullDisk) -> None:
        self.store, self.now, self.id = store, START, ""
        self.ticking = Ticking(store, (), lambda: self.now)

    async def begin(self) -> None:
        def work(tx: Transaction) -> None:
            audience = Audience(HOME, (PLACE,), KEY, lambda _: Ruling(Action.ASK, ask=ASK))
            asked = asked_of(Call("tc", "make", fails=False))
            self.id = str(open_approval(tx, asked, Sighting("pair-1", 1), audience, (), START))
            [copy] = tx.approvals.copies(self.id)
            tx.approvals.change_copy(copy.id, {"channel_id": PLACE, "ts": "1.1"})

        await self.ticking.tick()
        await self.store.transact(work)

    async def state(self) -> State:
        approval: Approval = await self.store.transact(lambda tx: tx.approvals.get(self.id))
        return approval.state

    async def after(self, length: timedelta) -> State:
        """Let so much time pass without a tick, then one."""
        self.now += length
        await self.ticking.tick()
        return await self.state()

    async def all_the_while(self, length: timedelta) -> State:
        """Let time pass tick by tick."""
        until = self.now + length
        while self.now < until:
            await self.after(5 * SECOND)
        return await self.state()


@pytest.fixture
async def waiting(tmp_path: Path) -> AsyncIterator[Waiting]:
    store = FakeFullDisk.open(f"sqlite:///{tmp_path}/relay.db")
    assert isinstance(store, FakeFullDisk)
    made = Waiting(store)
    await made.begin()
    yield made
    await store.close()


async def test_silence_denies_at_its_time_while_time_passes(waiting: Waiting) -> None:
    assert await waiting.all_the_while(timedelta(minutes=30, seconds=-5)) is State.PENDING
    assert await waiting.all_the_while(5 * SECOND) is State.DECIDED


async def test_a_machine_that_slept_denies_nothing_before_people_had_a_moment(waiting: Waiting) -> None:
    assert await waiting.after(timedelta(hours=2)) is State.PENDING
    assert await waiting.all_the_while(HEARING - 5 * SECOND) is State.PENDING
    assert await waiting.all_the_while(5 * SECOND) is State.DECIDED


async def test_a_store_that_refused_writes_denies_nothing_before_people_had_a_moment(
    waiting: Waiting,
) -> None:
    await waiting.all_the_while(timedelta(minutes=28, seconds=30))
    waiting.store.full = True
    for _ in range(17):  # until five seconds before its end
        with pytest.raises(StoreError):
            await waiting.after(5 * SECOND)
    waiting.store.full = False
    assert await waiting.after(5 * SECOND) is State.PENDING
    assert await waiting.all_the_while(HEARING - 5 * SECOND) is State.PENDING
    assert await waiting.all_the_while(5 * SECOND) is State.DECIDED
