"""Old texts go, of what is settled alone; ids, states, hashes and the record stay."""

import io
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from relay.app.log import json_log
from relay.app.retaining import Retaining
from relay.domain.approvals import Approval, Asked, Decision, Returned, State
from relay.domain.deliveries import Kind, Settled
from relay.domain.deliveries import State as DeliveryState
from relay.domain.grants import Grant
from relay.domain.rules import Circle
from relay.domain.votes import Vote
from relay.store import Store, Transaction
from relay.store.messages import Message
from relay.store.texts import WINDOW
from relay.use_cases.retry_delivery import retry_delivery

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
OLD, YOUNG = NOW - timedelta(days=40), NOW - timedelta(days=20)
KEPT = timedelta(days=30)
SECRET = "zanzibar"


class Keeping:
    """A store whose texts are kept for thirty days, and how a pass over it goes."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.log = io.StringIO()
        self.texts: timedelta | None = KEPT
        self.retaining = Retaining(store, lambda: self.texts, json_log(self.log))

    async def look(self, now: datetime = NOW, pages: int = 4) -> list[dict[str, Any]]:
        """Look at so many pages, each as at a tick; return what the log says."""
        for _ in range(pages):
            await self.retaining.step(now)
        return [json.loads(line) for line in self.log.getvalue().splitlines()]

    async def everything(self) -> str:
        """Return all that the tables hold in which people's words may stand."""

        def read(tx: Transaction) -> str:
            tables = ("messages", "approvals", "votes", "deliveries", "grants")
            found = [tx.connection.exec_driver_sql(f"SELECT * FROM {name}").all() for name in tables]  # noqa: S608
            return str(found)

        return await self.store.transact(read)


@pytest.fixture
def keeping(store: Store) -> Keeping:
    return Keeping(store)


def message(message_id: str, at: datetime, state: str = "delivered") -> Message:
    return Message(
        id=message_id, team_id="T0", environment="workshop", agent_id="agent-1", conversation_id="default",
        channel_id="C0OPS", user_id="U0", text=SECRET, response_url=None, place="thread", thread_ts="1.1",
        state=state, note=SECRET, status_ts="1.2", created_at=at,
        settled_at=None if state == "queued" else at, turn_ended=True,
    )  # fmt: skip


def approval(approval_id: str, at: datetime, state: State = State.DELIVERED) -> Approval:
    returned = Returned(success=True, output=SECRET, stdout=SECRET, stderr=SECRET)
    decision = Decision(
        approve=False,
        reason=SECRET,
        user_id="U0",
        decided_at=at,
        returned=returned,
        by=("U0",),
        rule="careful",
    )
    asked = Asked(
        "workshop", "agent-1", "default", approval_id, "Bash", {"command": SECRET}, ({"text": SECRET},),
        SECRET, ({"id": SECRET},),
    )  # fmt: skip
    return Approval(
        id=approval_id, team_id="T0", asked=asked, input_hash="hash", occurrence=1, state=state,
        decision=None if state in (State.PENDING, State.EXPIRED) else decision, requesters=("U0",),
        message_id=None, epoch="e", event_seq=1, gone_at=None, sent=True, note=SECRET, created_at=at,
        revision=1, shown_hash="hash", edited_input={"command": SECRET}, edited_by="U0",
    )  # fmt: skip


def keep(tx: Transaction, which: str, at: datetime, state: State = State.DELIVERED) -> None:
    """Keep a request with a vote and the delivery of its decision."""
    tx.approvals.add(approval(which, at, state))
    tx.votes.give(which, "T0", Vote("U0", True, SECRET, "hash", at))
    settled(tx, Kind.DECISION, which, at)


def settled(
    tx: Transaction, kind: Kind, subject: str, at: datetime, state: DeliveryState = DeliveryState.DELIVERED
) -> str:
    """Keep a delivery that was settled."""
    which = tx.deliveries.add(
        kind, team_id="T0", ordering_key=f"{kind}/{subject}", subject_id=subject, environment="workshop",
        body={"content": SECRET}, now=at,
    )  # fmt: skip
    [claimed] = tx.deliveries.claim(1, at, at + timedelta(seconds=10))
    tx.deliveries.settle(
        claimed, Settled(state, reason=SECRET), at, uncertain=False, receipt={"message": SECRET}
    )
    return which


async def test_of_what_is_old_and_settled_no_text_is_left_and_all_else_is(keeping: Keeping) -> None:
    def work(tx: Transaction) -> None:
        tx.messages.add(message("msg_1", OLD))
        settled(tx, Kind.MESSAGE, "msg_1", OLD)
        keep(tx, "apr_1", OLD)
        tx.record("T0", OLD, "decision.recorded", subject="apr_1", facts={"approve": False})

    await keeping.store.transact(work)
    said = await keeping.look()
    assert SECRET not in await keeping.everything()
    assert [one["event"] for one in said] == ["texts.removed"]
    counted = {name: said[0][name] for name in ("messages", "requests", "deliveries", "grants")}
    assert counted == {"messages": 1, "requests": 1, "deliveries": 2, "grants": 0}
    found = await keeping.store.transact(lambda tx: tx.approvals.get("apr_1"))
    assert found is not None and found.removed
    assert (found.state, found.input_hash, found.shown_hash) == (State.DELIVERED, "hash", "hash")
    assert found.decision is not None and found.decision.returned is not None
    assert (found.decision.by, found.decision.rule, found.decision.returned.success) == (
        ("U0",),
        "careful",
        True,
    )
    entries = await keeping.store.transact(lambda tx: [one.subject_id for _, one in tx.audit.page(0, 10)])
    assert "apr_1" in entries


async def test_what_is_young_keeps_its_texts(keeping: Keeping) -> None:
    def work(tx: Transaction) -> None:
        tx.messages.add(message("msg_1", YOUNG))
        settled(tx, Kind.MESSAGE, "msg_1", YOUNG)
        keep(tx, "apr_1", YOUNG)

    await keeping.store.transact(work)
    before = await keeping.everything()
    assert await keeping.look() == []
    assert await keeping.everything() == before
    await keeping.look(NOW + timedelta(days=11))
    assert SECRET not in await keeping.everything()


async def test_without_a_setting_nothing_is_removed(keeping: Keeping) -> None:
    await keeping.store.transact(lambda tx: keep(tx, "apr_1", OLD))
    keeping.texts = None
    before = await keeping.everything()
    await keeping.look()
    assert await keeping.everything() == before


@pytest.mark.parametrize("state", [State.PENDING, State.DECIDED, State.FAILED, State.EXPIRED])
async def test_a_request_that_is_open_keeps_everything_however_old(keeping: Keeping, state: State) -> None:
    await keeping.store.transact(lambda tx: keep(tx, "apr_1", OLD, state))
    before = await keeping.everything()
    await keeping.look()
    assert await keeping.everything() == before


async def test_a_message_keeps_its_text_while_something_of_it_is_on_its_way(keeping: Keeping) -> None:
    def work(tx: Transaction) -> None:
        tx.messages.add(message("msg_1", OLD))
        tx.messages.add(message("msg_2", OLD, "queued"))
        tx.deliveries.add(Kind.ROOT, team_id="T0", ordering_key="r", subject_id="msg_1", now=OLD)

    await keeping.store.transact(work)
    await keeping.look()
    kept = await keeping.store.transact(lambda tx: [one.text for one in tx.messages.some(("msg_1", "msg_2"))])
    assert kept == [SECRET, SECRET]


async def test_what_a_grant_allows_is_kept_while_it_does(keeping: Keeping) -> None:
    ends = NOW + timedelta(days=1)

    def work(tx: Transaction) -> None:
        keep(tx, "apr_live", OLD)
        keep(tx, "apr_over", OLD)
        for which, until in (("live", ends), ("over", OLD + timedelta(days=1))):
            tx.grants.add(grant(which, until))

    await keeping.store.transact(work)
    await keeping.look()
    live, over = await keeping.store.transact(
        lambda tx: (tx.grants.get("grt_live"), tx.grants.get("grt_over"))
    )
    assert live is not None and live.patterns == {"command": {"is": SECRET}}
    assert over is not None and over.patterns == {}
    found = await keeping.store.transact(lambda tx: tx.approvals.get("apr_live"))
    assert found is not None and not found.removed


def grant(which: str, until: datetime) -> Grant:
    return Grant(
        id=f"grt_{which}", team_id="T0", environment="workshop", agent_id="agent-1",
        conversation_id="default", tool_name="Bash", input_hash="hash",
        patterns={"command": {"is": SECRET}}, rule="careful",
        approval_id=f"apr_{which}", granted_by="U0", created_at=OLD, expires_at=until, uses=0, most_uses=3,
        revoked_at=None, revoked_by="", approvers=Circle(),
    )  # fmt: skip


async def test_what_failed_and_lost_its_text_is_not_sent_empty(keeping: Keeping) -> None:
    def work(tx: Transaction) -> str:
        tx.messages.add(message("msg_1", OLD, "failed"))
        return settled(tx, Kind.MESSAGE, "msg_1", OLD, DeliveryState.FAILED)

    which = await keeping.store.transact(work)
    await keeping.look()

    def again(tx: Transaction) -> bool:
        found = tx.deliveries.get(which)
        assert found is not None
        return retry_delivery(tx, found, "operator", NOW)

    assert not await keeping.store.transact(again)


async def test_many_rows_are_looked_at_page_by_page_and_none_is_passed_over(keeping: Keeping) -> None:
    number = 2 * WINDOW + 1

    def work(tx: Transaction) -> None:
        for one in range(number):
            tx.messages.add(message(f"msg_{one:06}", OLD))

    await keeping.store.transact(work)
    await keeping.look(pages=2)
    left = await keeping.store.transact(_texts)
    assert left == number - 2 * WINDOW
    said = await keeping.look(pages=4)
    assert await keeping.store.transact(_texts) == 0
    assert said[0]["messages"] == number
    # The next pass is an hour later.
    await keeping.store.transact(lambda tx: tx.messages.add(replace(message("msg_0", OLD))))
    await keeping.look(NOW + timedelta(minutes=59))
    assert await keeping.store.transact(_texts) == 1
    await keeping.look(NOW + timedelta(minutes=60))
    assert await keeping.store.transact(_texts) == 0


def _texts(tx: Transaction) -> int:
    found = tx.connection.exec_driver_sql("SELECT count(*) FROM messages WHERE text <> ''")
    return int(found.scalar_one())
