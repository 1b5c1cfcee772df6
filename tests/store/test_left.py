"""Statements that are left to be run while the next ones are made: nobody sees the difference."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError

from relay.domain.deliveries import Delivered, Kind, State, settle
from relay.store import Store, StoreError, Transaction
from relay.store.messages import Message
from relay.store.statement import Statement
from relay.store.tables import messages, settings
from tests import postgres
from tests.store.beside import rows
from tests.store.lossy import Lossy
from tests.store.records import verified
from tests.store.stores import store_at, together

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
SAID = Message(
    id="msg_1", team_id="T0", environment="workshop", agent_id="agent-1", conversation_id="default",
    channel_id="C1", user_id="U1", text="hello", response_url=None, place="thread", thread_ts=None,
    state="queued", note="", status_ts=None, created_at=NOW, settled_at=None, turn_ended=False,
)  # fmt: skip


class _OnPurposeError(Exception):
    pass


def say(*ids: str) -> Callable[[Transaction], str]:
    """Return a work that stores messages, puts each on the record, and says what the last one was."""

    def work(tx: Transaction) -> str:
        for which in ids:
            tx.messages.add(replace(SAID, id=which))
            tx.record("T0", NOW, which)
        return ids[-1]

    return work


def recorded(url: str) -> list[str]:
    """Return what is on the record."""
    return [action for (action,) in rows(url, "SELECT action FROM audit WHERE number > 1 ORDER BY seq")]


@pytest.mark.parametrize("place", [0, 1, 2])
async def test_a_work_that_left_what_fails_is_told_so_alone_wherever_it_stands(
    store_url: str, place: int
) -> None:
    works = [say("a"), say("b")]
    works.insert(place, say("twice", "twice"))
    async with store_at(store_url) as store:
        answers = await together(store, *works)
    failed = answers.pop(place)
    assert isinstance(failed, StoreError)
    assert "messages" in str(failed)
    assert answers == ["a", "b"]
    assert recorded(store_url) == ["a", "b"]
    assert rows(store_url, "SELECT id FROM messages ORDER BY id") == [("a",), ("b",)]
    assert (await verified(store_url, keys=())).problems == []


@pytest.mark.parametrize("ids", [("once",), ("twice", "twice")])
async def test_a_work_that_raises_behind_what_it_left_is_told_what_went_wrong_and_leaves_nothing(
    store: Store, store_url: str, ids: tuple[str, ...]
) -> None:
    def fail(tx: Transaction) -> None:
        say(*ids)(tx)
        raise _OnPurposeError

    answers = await together(store, say("a"), fail, say("b"))
    assert isinstance(answers[1], (_OnPurposeError, StoreError))
    assert recorded(store_url) == ["a", "b"]
    assert rows(store_url, "SELECT id FROM messages ORDER BY id") == [("a",), ("b",)]


async def test_several_works_of_a_batch_may_fail_each_for_itself(store: Store, store_url: str) -> None:
    answers = await together(store, say("a"), say("b", "b"), say("a"), say("c", "c"), say("d"))
    assert [isinstance(answer, StoreError) for answer in answers] == [False, True, True, True, False]
    assert recorded(store_url) == ["a", "d"]


async def test_whatever_reads_next_sees_what_was_left(store: Store) -> None:
    def work(tx: Transaction) -> tuple[object, ...]:
        tx.messages.add(SAID)
        by_statement = tx.messages.get("msg_1")
        tx.messages.change("msg_1", {"note": "one", "settled_at": NOW})
        by_sqlalchemy = tx.messages.some(["msg_1"])
        tx.messages.change("msg_1", {"note": "two"})
        by_driver = tx.connection.exec_driver_sql("SELECT note FROM messages").scalar()
        tx.messages.change("msg_1", {"note": "three"})
        tx.connection.execute(insert(settings), [{"name": "a", "value": ""}, {"name": "b", "value": ""}])
        return (
            by_statement,
            by_sqlalchemy,
            by_driver,
            tx.connection.execute(select(messages.c.note)).scalar(),
        )

    found = await store.transact(work)
    assert found == (SAID, [replace(SAID, note="one", settled_at=NOW)], "two", "three")


async def test_what_was_left_last_still_wakes_who_delivers(store: Store) -> None:
    woken: asyncio.Queue[bool] = asyncio.Queue()
    store.on_due = lambda *, urgent: woken.put_nowait(urgent)

    def leave(kind: Kind, key: str) -> Callable[[Transaction], str]:
        return lambda tx: tx.deliveries.add(kind, team_id="T0", ordering_key=key, subject_id="", now=NOW)

    await store.transact(leave(Kind.CARD, "one"))
    assert await woken.get()
    await store.transact(leave(Kind.CARD, "one"))  # behind the other: nothing is due by it
    await store.transact(leave(Kind.MESSAGE, "two"))
    assert not await woken.get()
    assert woken.empty()


async def test_the_next_of_an_ordering_key_is_due_once_the_one_before_it_has_left(store: Store) -> None:
    def add(tx: Transaction) -> None:
        for _ in range(2):
            tx.deliveries.add(Kind.REPLY, team_id="T0", ordering_key="one", subject_id="", now=NOW)

    def end(tx: Transaction) -> bool:
        [claimed] = tx.deliveries.claim(10, NOW, NOW)
        ended = settle(claimed, Delivered({}), NOW, 0.5)
        tx.deliveries.settle(claimed, ended, NOW, uncertain=False, receipt={})
        [after] = tx.deliveries.claim(10, NOW, NOW)
        return after.id != claimed.id and after.state is State.SENDING

    await store.transact(add)
    assert await store.transact(end)


async def test_more_is_left_than_the_server_can_answer_before_it_is_asked(store: Store) -> None:
    """Both ways are full then: whoever only wrote, or only read, would wait for ever."""
    text = "x" * 20_000

    def work(tx: Transaction) -> int:
        for number in range(600):
            tx.messages.add(replace(SAID, id=f"msg_{number}", text=text))
        for number in range(6_000):
            tx.messages.change(f"msg_{number}", {"note": "seen"})
        return len(tx.messages.some([f"msg_{number}" for number in range(600)]))

    async with asyncio.timeout(60):
        assert await store.transact(work) == 600


def test_an_error_quotes_nobody_s_words(connection: Any) -> None:
    statement = Statement(insert(messages), columns=[column.name for column in messages.c])
    statement.run(connection, {**vars(SAID), "text": "a secret"})
    with pytest.raises(IntegrityError) as failed, connection.begin_nested():
        statement.run(connection, {**vars(SAID), "text": "a secret"})
    assert "a secret" not in str(failed.value)


@pytest.fixture
async def far(cutter: Lossy, database_url: str) -> Any:
    """A store behind what cuts connections."""
    async with store_at(cutter.url(database_url)) as made:
        yield made


@pytest.mark.parametrize("reads", [True, False])
async def test_a_connection_that_is_lost_behind_what_was_left_runs_the_works_again(
    far: Store, cutter: Lossy, database_url: str, reads: bool
) -> None:
    runs: list[int] = []

    def lose(tx: Transaction) -> str:
        runs.append(len(runs))
        say("lost once")(tx)
        if len(runs) == 1:
            cutter.drop()
        if reads:
            assert tx.messages.get("lost once") is not None
        return "kept"

    assert await together(far, say("a"), lose, say("b")) == ["a", "kept", "b"]
    assert len(runs) == 2
    assert sorted(recorded(database_url)) == ["a", "b", "lost once"]
    assert (await verified(database_url, keys=())).problems == []


async def test_a_server_that_forgets_what_it_has_met_is_told_it_whole_from_then_on(
    database_url: str,
) -> None:
    """As behind a pooler that gives each transaction another server."""

    def forget(tx: Transaction) -> str:
        tx.connection.exec_driver_sql("DEALLOCATE ALL")
        return say("forgotten")(tx)

    def prepared(tx: Transaction) -> list[tuple[str]]:
        found = tx.connection.exec_driver_sql("SELECT name FROM pg_prepared_statements")
        return [(row.name,) for row in found]

    async with store_at(database_url) as store:
        await store.transact(say("first"))
        met = await store.transact(prepared)
        assert met
        assert all(name.startswith("relay_") for (name,) in met)
        assert await together(store, say("a"), forget, say("b")) == ["a", "forgotten", "b"]
        assert await store.transact(say("last")) == "last"
        assert await store.transact(prepared) == []
    assert recorded(database_url) == ["first", "a", "forgotten", "b", "last"]


async def test_what_a_server_could_not_learn_behind_an_error_it_is_taught_later(database_url: str) -> None:
    """Or else it would pass for one that forgets."""

    def fail(tx: Transaction) -> None:
        say("twice", "twice")(tx)
        tx.messages.change("twice", {"note": "never"})

    def change(tx: Transaction) -> int | None:
        say("one")(tx)
        tx.messages.change("one", {"note": "changed"})
        driver = tx.connection.connection.driver_connection
        assert isinstance(driver, psycopg.Connection)
        return driver.prepare_threshold

    async with store_at(database_url) as store:
        with pytest.raises(StoreError, match="messages_pkey"):
            await store.transact(fail)
        assert await store.transact(change) == 5
    assert rows(database_url, "SELECT id, note FROM messages") == [("one", "changed")]


async def test_what_is_left_is_with_the_server_already(
    postgresql: postgres.Server, database_url: str
) -> None:
    """It works on it while the next statement is made; and is idle in its turn if none is."""

    def look(tx: Transaction) -> list[tuple[str, str]]:
        say("left")(tx)
        found: list[tuple[str, str]] = []
        with psycopg.connect(postgresql.url("postgres"), autocommit=True) as beside:
            for _ in range(500):
                found = beside.execute(
                    "SELECT state, query FROM pg_stat_activity WHERE datname = %s AND query LIKE %s",
                    [postgres.database_of(database_url), "INSERT INTO audit%"],
                ).fetchall()
                if found and found[0][0] == "idle in transaction":
                    break
        return [(state, query[:17]) for state, query in found]

    async with store_at(database_url) as store:
        assert await store.transact(look) == [("idle in transaction", "INSERT INTO audit")]
