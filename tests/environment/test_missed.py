"""What was said while nobody listened is posted where it belongs, and nowhere else."""

import io
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from relay.app import json_log
from relay.domain.deliveries import Kind
from relay.domain.people import Person, Standing
from relay.domain.policy import Rights
from relay.domain.runtime import Runtime
from relay.environment.arrivals import Desk
from relay.environment.following import Following
from relay.environment.listener import Arrivals
from relay.environment.turns import Arrival, Behind, Exchange, Missed, Unheard
from relay.store import Store, Transaction
from relay.use_cases.forward_user_message import Said, forward_user_message
from relay.use_cases.open_approval import Audience

RUNTIME = Runtime("workshop", "agent-1", "default")
ADA = Person("U0ADA", "T0HOME", "Ada", Standing.MEMBER)
OPS, DIRECT = "C0OPS", "D0ADA"
NOW = datetime.now(UTC)


class Office:
    """A store, what is told to it, and what it has for Slack."""

    def __init__(self, store: Store) -> None:
        self.store = store
        audience, log = Audience("T0HOME", (), b""), json_log(io.StringIO())
        self._desk = Desk(store, lambda *_: audience, 1000, lambda: NOW, Following(store), log)

    async def say(self, channel_id: str, words: str) -> str:
        """Have somebody write to the agent; return the message's id."""
        thread_ts = None if channel_id == DIRECT else f"{words}.0"
        said = Said("T0HOME", channel_id, "", ADA, words, words, None, posted=True, thread_ts=thread_ts)

        def work(tx: Transaction) -> str:
            sent = forward_user_message(tx, said, RUNTIME, Rights("T0HOME"), quote=False, now=NOW)
            message_id = str(sent.message_id)
            tx.messages.change(message_id, {"state": "delivered", "settled_at": NOW})
            return message_id

        return await self.store.transact(work)

    async def take(self, arrival: Arrival) -> None:
        await self._desk.take(RUNTIME, Arrivals("pair-1", (arrival,)))

    async def posted(self, message_id: str) -> list[str]:
        """Return what is to be said under a message: words, or how its turn ended."""
        replies = await self.store.transact(lambda tx: tx.deliveries.of_subject(message_id, Kind.REPLY))
        return [one.body.get("text") or one.body["ending"] for one in replies]

    async def waiting(self) -> list[str]:
        """Return the messages whose turns are not over."""
        of = (RUNTIME.environment, RUNTIME.agent_id, RUNTIME.conversation_id)
        return [one.id for one in await self.store.transact(lambda tx: tx.messages.in_turn(*of))]


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    store = Store.open(f"sqlite:///{tmp_path}/relay.db")
    yield Office(store)
    await store.close()


async def test_words_for_one_person_alone_never_stand_in_a_channel_by_a_guess(office: Office) -> None:
    public, direct = await office.say(OPS, "1"), await office.say(DIRECT, "my salary?")
    together = Exchange((public, direct), (("a1", "100000"),))
    await office.take(Missed((together,), Behind()))
    assert (await office.posted(direct), await office.posted(public)) == (["100000"], ["unheard"])
    assert await office.waiting() == []


async def test_words_said_in_a_turn_that_told_whose_it_was_answer_nobody_else(office: Office) -> None:
    earlier, ended = await office.say(OPS, "1"), await office.say(OPS, "2")
    together = Exchange((earlier, ended), (("a1", "to the second"),))
    await office.take(Missed((together,), Behind((ended,)), sure=True))
    assert (await office.posted(ended), await office.posted(earlier)) == (["to the second"], [])
    assert await office.waiting() == [earlier]


async def test_a_message_that_waits_for_its_answer_is_not_told_that_it_has_none(office: Office) -> None:
    answered, waits = await office.say(OPS, "1"), await office.say(OPS, "2")
    found = (Exchange((answered,), (("a1", "done"),)), Exchange((waits,), ()))
    await office.take(Missed(found, Behind((answered,))))
    assert (await office.posted(answered), await office.posted(waits)) == (["done"], [])
    assert await office.waiting() == [waits]


async def test_a_turn_that_cannot_be_read_yet_is_told_of_and_not_over(office: Office) -> None:
    message_id = await office.say(OPS, "1")
    await office.take(Unheard((message_id,)))
    assert await office.posted(message_id) == ["unheard"]
    assert await office.waiting() == [message_id]


async def test_words_that_are_read_at_last_are_posted_all_the_same(office: Office) -> None:
    message_id = await office.say(OPS, "1")
    await office.take(Unheard((message_id,)))
    await office.take(Missed((Exchange((message_id,), (("a1", "done"),)),), Behind()))
    assert await office.posted(message_id) == ["unheard", "done"]
