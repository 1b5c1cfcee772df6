"""Grants in the store: a use is counted once, and what is revoked, over or of elsewhere decides nothing."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import ClauseElement, Connection

from relay.domain.approvals import Asked, State
from relay.domain.canonical import input_hash
from relay.domain.grants import Grant
from relay.domain.rules import Action, Ask, Ruling
from relay.store import grants, inbox
from relay.store.statement import Statement
from relay.use_cases.grants import Revoking, revoke_grant
from relay.use_cases.open_approval import Audience, Sighting, open_approval
from relay.use_cases.whisper import Listener
from tests.approvals.desk import GRACE, HOME, KEY, MEMBER, RIGHTS, RUNTIME, Desk
from tests.store.test_plans import connection, plan

__all__ = ["connection"]

ASK = Ask(rule="builds", grant_for=timedelta(hours=1))
AUDIENCE = Audience(HOME, ("C0APPROVALS",), KEY, lambda _: Ruling(Action.ASK, "builds", ask=ASK))
INPUT = {"command": "make test"}


@pytest.fixture
def desk(store_url: str) -> Iterator[Desk]:
    """A store with a grant in it."""
    made = Desk(store_url)
    made.transact(lambda tx: tx.grants.add(grant(made)))
    yield made
    made.close()


def grant(desk: Desk) -> Grant:
    digest, until = input_hash(KEY, "Bash", INPUT, ()), desk.now + timedelta(hours=1)
    return Grant(
        "grt_1", HOME, RUNTIME.environment, RUNTIME.agent_id, RUNTIME.conversation_id, "Bash", digest, {},
        "builds", "apr_0", GRACE.user_id, desk.now, until, 0, 2,
    )  # fmt: skip


def asks(desk: Desk, call: str, **changed: Any) -> State:
    """Have the tool asked for, and return where that stands at once."""
    where = (RUNTIME.environment, RUNTIME.agent_id, RUNTIME.conversation_id)
    asked = replace(Asked(*where, call, "Bash", INPUT, (), ""), **changed)
    found = desk.transact(
        lambda tx: open_approval(tx, asked, Sighting(desk.epoch, 1), AUDIENCE, (), desk.now)
    )
    return next(one.state for one in desk.approvals() if one.id == found)


def test_a_grant_decides_as_often_as_it_may(desk: Desk) -> None:
    assert [asks(desk, f"call-{n}") for n in range(3)] == [State.DECIDED, State.DECIDED, State.PENDING]


@pytest.mark.parametrize(
    "changed",
    [{"conversation_id": "conv-2"}, {"agent_id": "agent-2"}, {"environment": "e"}, {"tool_name": "Sh"}],
)
def test_a_grant_is_for_one_tool_of_one_conversation(desk: Desk, changed: dict[str, str]) -> None:
    assert asks(desk, "call-1", **changed) is State.PENDING


def test_a_grant_ends_with_its_time(desk: Desk) -> None:
    desk.now += timedelta(hours=1)
    assert asks(desk, "call-1") is State.PENDING


def test_the_same_request_told_twice_is_one_use(desk: Desk) -> None:
    assert asks(desk, "call-1") is State.DECIDED
    desk.reconnect()
    assert [asks(desk, "call-1"), asks(desk, "call-2")] == [State.DECIDED] * 2


def test_what_is_revoked_decides_nothing_from_then_on(desk: Desk) -> None:
    assert asks(desk, "call-1") is State.DECIDED
    press = Revoking(GRACE, Listener(HOME, "C0", GRACE.user_id, None), "click/1", "grt_1")
    assert desk.transact(lambda tx: revoke_grant(tx, press, RIGHTS, desk.now))
    assert not desk.transact(lambda tx: revoke_grant(tx, replace(press, key="click/2"), RIGHTS, desk.now))
    assert asks(desk, "call-2") is State.PENDING


def test_a_use_that_was_looked_at_before_another_does_not_count(desk: Desk) -> None:
    seen = grant(desk)
    assert desk.transact(lambda tx: tx.grants.use(seen, desk.now))
    assert not desk.transact(lambda tx: tx.grants.use(seen, desk.now))


def test_a_press_of_revoke_told_twice_is_one(desk: Desk) -> None:
    press = Revoking(MEMBER, Listener(HOME, "C0", MEMBER.user_id, None), "click/1", "grt_1")
    results = [desk.transact(lambda tx: revoke_grant(tx, press, RIGHTS, desk.now)) for _ in range(2)]
    assert results == [True, False]  # what it was given with is not in the store: any full member may


def test_every_use_is_on_the_record(desk: Desk) -> None:
    asks(desk, "call-1")
    entries = desk.transact(lambda tx: [entry for _, entry in tx.audit.page(0, 100)])
    [used] = [entry for entry in entries if entry.action == "grant.used"]
    assert used.facts == {"grant": "grt_1", "granted_by": GRACE.user_id, "use": 1, "of": 2}


STATEMENTS: dict[str, Any] = {
    name: one for name, one in vars(grants).items() if isinstance(one, (Statement, ClauseElement))
}
STATEMENTS |= {name: getattr(inbox, name) for name in ("_WAITING", "_RECENT")}


@pytest.mark.parametrize(
    "name", ["_FOR_TOOL", "_GIVEN_WITH", "_LIVE", "_RECENT", "_REVOKE", "_USE", "_WAITING"]
)
def test_an_inbox_and_a_grant_are_found_by_an_index(connection: Connection, name: str) -> None:
    steps = plan(connection, STATEMENTS[name])
    assert any("USING INDEX" in step for step in steps)
    assert [step for step in steps if step.startswith("SCAN") and step != "SCAN anon_1"] == []
