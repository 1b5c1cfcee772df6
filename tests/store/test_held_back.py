"""A dead environment costs nothing: what goes there waits untried, in its order, and others go on."""

import asyncio
import contextlib
import io
import json
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from relay.app import json_log
from relay.dispatcher import Dispatcher, Doors
from relay.domain.approvals import Approval
from relay.domain.approvals import State as ApprovalState
from relay.domain.circuits import HELD_AFTER, HELD_FOR, Held, Hold
from relay.domain.deliveries import Delivered, Delivery, Kind, Outcome, Retry, State
from relay.domain.room import MOST_MESSAGES_EACH, Room
from relay.store import Store, Transaction
from relay.store.messages import Message
from relay.use_cases.hold_back import hold_back
from tests.slack.asked import APPROVED, approval

DEAD, QUICK = "dead", "quick"
WAITING = 2_000


class Office:
    """A dispatcher between a real store and doors that the test opens and shuts; it counts what is done."""

    def __init__(self, store_url: str) -> None:
        self.counted: Counter[str] = Counter()
        self.store = Store.open(store_url, at=self.count)
        self.log = io.StringIO()
        self.begun: list[Delivery] = []
        self.arrived: list[str] = []
        self.dead = True
        self.ahead = timedelta(0)
        self._told = asyncio.Condition()
        self.dispatcher = Dispatcher(
            self.store,
            Doors(*[self.take] * 5),
            clock=self.clock,
            chance=lambda: 0.5,
            log=json_log(self.log),
            at=self.count,
        )

    def count(self, point: str) -> None:
        self.counted[point] += 1

    def clock(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    async def take(self, delivery: Delivery) -> Outcome:
        if not delivery.environment:
            return Delivered({"ts": "1.2"})  # what is said of it in Slack
        async with self._told:
            self.begun.append(delivery)
            refused = self.dead and delivery.environment == DEAD
            if not refused:
                self.arrived.append(delivery.subject_id)
            self._told.notify_all()
        return Retry("nobody answers", down=True) if refused else Delivered({})

    async def until_arrived(self, number: int) -> None:
        async with asyncio.timeout(30), self._told:
            await self._told.wait_for(lambda: len(self.arrived) >= number)

    async def until_held(self, number: int) -> None:
        """Wait until all of so many but the one that is tried are held; each look is a commit of its own."""
        async with asyncio.timeout(30):
            while await self.store.transact(_held) < number - 1:
                pass

    async def leave(self, environment: str, *keys: str, kind: Kind = Kind.MESSAGE) -> None:
        """Leave a message for each ordering key, numbered in their order."""
        now = self.clock()

        def work(tx: Transaction) -> None:
            for number, key in enumerate(keys):
                subject = f"{environment}/{number}/{key}"
                tx.messages.add(message(subject, environment, now))
                tx.deliveries.add(
                    kind, team_id="T0", ordering_key=key, subject_id=subject, environment=environment,
                    body={}, now=now, deadline=now + timedelta(hours=24),
                )  # fmt: skip

        await self.store.transact(work)

    def tried(self) -> int:
        """How many attempts were made at the dead environment."""
        return sum(one.environment == DEAD for one in self.begun)

    def logged(self, event: str) -> list[dict[str, str]]:
        lines = [json.loads(line) for line in self.log.getvalue().splitlines()]
        return [line for line in lines if line["event"] == event]

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator["Office"]:
        self.store.on_due = self.dispatcher.wake
        running = asyncio.create_task(self.dispatcher.run())
        try:
            yield self
        finally:
            running.cancel()
            await asyncio.wait([running])
            await self.dispatcher.finish(5)
            await self.store.close()


def message(message_id: str, environment: str, now: datetime) -> Message:
    return Message(
        id=message_id, team_id="T0", environment=environment, agent_id="agent-1", conversation_id="default",
        channel_id="C0OPS", user_id="U0", text="hello", response_url=None, place="thread", thread_ts="1.1",
        state="queued", note="", status_ts=None, created_at=now, settled_at=None, turn_ended=False,
    )  # fmt: skip


def _held(tx: Transaction) -> int:
    found = tx.connection.exec_driver_sql(
        "SELECT count(*) FROM deliveries WHERE away AND state = 'pending' AND next_attempt_at IS NOT NULL"
    )
    return int(found.scalar_one())


def _states(tx: Transaction) -> dict[str, int]:
    found = tx.connection.exec_driver_sql("SELECT state, count(*) FROM messages GROUP BY state")
    return {row[0]: row[1] for row in found}


@pytest.fixture
async def office(store_url: str) -> AsyncIterator[Office]:
    """A dispatcher at work."""
    async with Office(store_url).open() as opened:
        yield opened


async def test_of_two_thousand_that_wait_a_handful_are_tried_and_others_are_not_held_up(
    office: Office,
) -> None:
    await office.leave(DEAD, *(f"dead/{number}" for number in range(WAITING)))
    await office.until_held(WAITING)
    assert office.tried() <= MOST_MESSAGES_EACH + HELD_AFTER  # those begun before the first had failed
    [held] = office.logged("environment.held")
    assert (held["environment"], held["kind"], held["reason"]) == (DEAD, "message", "nobody answers")
    before = office.tried(), office.counted["dispatcher.waking"]
    await office.leave(QUICK, *(f"quick/{number}" for number in range(100)))
    await office.until_arrived(100)
    assert office.tried() - before[0] <= HELD_AFTER  # by the schedule of the one that is tried
    assert office.counted["dispatcher.waking"] - before[1] < 100


async def test_what_waits_untried_is_said_to_wait(office: Office) -> None:
    await office.leave(DEAD, *(f"dead/{number}" for number in range(20)))
    await office.until_held(20)
    await office.leave(DEAD, "dead/new")
    async with asyncio.timeout(30):
        while (await office.store.transact(_states)).get("retrying", 0) < 20:
            pass
    assert "dead/new" not in {one.ordering_key for one in office.begun}


async def test_when_one_gets_through_all_go_in_the_order_they_came(office: Office) -> None:
    keys = [f"dead/{number % 50}" for number in range(600)]
    await office.leave(DEAD, *keys)
    await office.until_held(50)
    office.dead = False
    office.ahead = timedelta(minutes=1)  # the one that is tried is due
    office.dispatcher.wake()
    await office.until_arrived(600)
    by_key: dict[str, list[int]] = {}
    for subject in office.arrived:
        _, number, key = subject.split("/", 2)
        by_key.setdefault(key, []).append(int(number))
    assert len(by_key) == 50
    assert all(numbers == sorted(numbers) for numbers in by_key.values())
    assert len(office.logged("environment.resumed")) == 1
    assert await office.store.transact(_held) == 0


async def test_sockets_that_open_let_all_go_without_waiting_for_the_one_that_is_tried(office: Office) -> None:
    await office.leave(DEAD, *(f"dead/{number}" for number in range(500)))
    await office.until_held(500)
    office.begun.clear()
    office.dead = False
    office.dispatcher.back(DEAD)
    await office.until_arrived(500)
    let_go = [one for one in office.begun if one.attempts == 1]
    numbers = [int(one.subject_id.split("/")[1]) for one in let_go]
    assert numbers == sorted(numbers)
    assert office.dispatcher.held(DEAD) is None


async def test_decisions_that_were_held_go_before_the_messages(office: Office) -> None:
    await office.leave(DEAD, *(f"dead/{number}" for number in range(300)))
    await office.leave(DEAD, *(f"decision/{number}" for number in range(20)), kind=Kind.ANSWER)
    await office.until_held(319)  # of each kind one is tried
    office.begun.clear()
    office.dead = False
    office.dispatcher.back(DEAD)
    await office.until_arrived(320)
    answers = [place for place, one in enumerate(office.begun) if one.kind is Kind.ANSWER]
    assert max(answers) < 2 * MOST_MESSAGES_EACH  # of 320, and with what was under way already


async def test_a_message_that_waits_untried_fails_at_its_deadline_and_says_so(office: Office) -> None:
    await office.leave(DEAD, *(f"dead/{number}" for number in range(20)))
    await office.until_held(20)
    tried = office.tried()
    office.ahead = timedelta(hours=25)
    office.dispatcher.wake()
    async with asyncio.timeout(30):
        while (await office.store.transact(_states)).get("failed", 0) < 20:
            pass
    assert office.tried() - tried <= HELD_AFTER
    found = await office.store.transact(lambda tx: tx.deliveries.of_subject("dead/9/dead/9", Kind.MESSAGE)[0])
    assert found.state is State.FAILED
    assert "gave up at its deadline; last: nobody answers" in found.last_error


async def test_what_is_held_is_looked_at_again_before_long_even_if_nothing_says_that_it_is_back(
    store_url: str,
) -> None:
    async with Office(store_url).open() as office:
        await office.leave(DEAD, *(f"dead/{number}" for number in range(50)))
        await office.until_held(50)
    # Another dispatcher, which nobody tells anything, as after a crash.
    again = Office(store_url)
    again.dead = False
    again.ahead = HELD_FOR + timedelta(minutes=1)
    async with again.open():
        await again.until_arrived(50)


async def test_one_that_was_to_be_tried_and_is_dropped_gives_its_place_to_the_oldest(office: Office) -> None:
    await office.leave(DEAD, *(f"dead/{number}" for number in range(20)))
    await office.until_held(20)
    held = office.dispatcher.held(DEAD)
    assert held is not None
    tried = await office.store.transact(lambda tx: tx.deliveries.get(held.tried))
    assert tried is not None
    await office.store.transact(partial(_drop, delivery=tried, now=office.clock()))
    office.begun.clear()
    office.dead = False
    office.ahead = timedelta(minutes=2)
    office.dispatcher.wake()
    await office.until_arrived(19)
    oldest = "dead/1/dead/1" if tried.ordering_key == "dead/0" else "dead/0/dead/0"
    assert office.begun[0].subject_id == oldest


def _drop(tx: Transaction, delivery: Delivery, now: datetime) -> None:
    assert tx.deliveries.drop(delivery, now, "dropped")


async def test_a_decision_that_waits_untried_is_said_to_on_its_card_and_was_not_sent(store: Store) -> None:
    now = datetime.now(UTC)
    told = {"reason": "nobody answers", "said": "come back later"}
    held = Held(Kind.DECISION, "workshop", now, **told, away=False, tried="dlv_another", due=now)

    def work(tx: Transaction) -> tuple[Approval | None, list[str]]:
        decided = approval(ApprovalState.DECIDED, APPROVED)
        tx.approvals.add(decided)
        tx.approvals.add_copy(decided, ("C0APPROVALS",), now)
        tx.deliveries.add(
            Kind.DECISION, team_id="T0HOME", ordering_key="decision/1", subject_id=decided.id,
            environment="workshop", now=now,
        )  # fmt: skip
        room = Room()
        hold_back(tx, Hold(held=(held,)), room, now)
        claimed = tx.deliveries.claim(10, now, now + timedelta(seconds=10), room)
        return tx.approvals.get(decided.id), [one.kind for one in claimed]

    found, claimed = await store.transact(work)
    assert found is not None
    assert (found.note, found.sent) == ("nobody answers: come back later", False)
    assert claimed == [Kind.CARD]
    entries = await store.transact(lambda tx: [entry for _, entry in tx.audit.page(0, 10)])
    [recorded] = [entry for entry in entries if entry.action == "decision.pending"]
    assert recorded.facts["reason"] == "nobody answers"  # what others say may quote people
