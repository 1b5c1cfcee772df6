"""A message that could not be delivered in a day is given up, and says so."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from relay.domain.deliveries import Kind, Outcome, Retry
from relay.domain.people import Person, Standing
from relay.domain.policy import Rights
from relay.domain.runtime import Runtime
from relay.slack import posts
from relay.store import Store, Transaction
from relay.store.messages import Message
from relay.use_cases.forward_user_message import Said, forward_user_message
from relay.use_cases.settle_delivery import claim_deliveries, settle_delivery

SENT = datetime(2026, 11, 3, 12, tzinfo=UTC)
ADA = Person("U0ADA", "T0HOME", "ada", Standing.MEMBER)
SAID = Said("T0HOME", "C0OPS", "ops", ADA, "hello", "command/1", None)
RUNTIME = Runtime("workshop", "agent-1", "default")


def send(tx: Transaction) -> None:
    forward_user_message(tx, SAID, RUNTIME, Rights("T0HOME"), quote=False, now=SENT)


def attempt(tx: Transaction, now: datetime, outcome: Outcome) -> tuple[Message, bool]:
    """Attempt the message at a moment; return it, and whether its status is to be told."""
    [delivery] = claim_deliveries(tx, 10, now)
    settle_delivery(tx, delivery, outcome, now, 0.5)
    message = tx.messages.get(delivery.subject_id)
    assert message is not None
    return message, bool(tx.deliveries.of_subject(message.id, Kind.STATUS))


@pytest.mark.parametrize("away", [True, False])
async def test_at_its_deadline_a_message_is_given_up_and_its_status_has_a_retry_button(
    tmp_path: Path, away: bool
) -> None:
    store = Store.open(f"sqlite:///{tmp_path}/relay.db")
    try:
        await store.transact(send)
        trouble = Retry("the environment is offline", away=away)
        after = SENT + timedelta(hours=24, seconds=1)
        message, told = await store.transact(lambda tx: attempt(tx, after, trouble))
    finally:
        await store.close()
    assert (message.state, told) == ("failed", True)
    status = posts.status(message)
    assert "gave up at its deadline; last: the environment is offline" in status.text
    assert status.blocks[-1]["elements"][0]["action_id"] == "retry"


async def test_a_minute_before_its_deadline_a_message_is_tried_once_more(tmp_path: Path) -> None:
    store = Store.open(f"sqlite:///{tmp_path}/relay.db")
    try:
        await store.transact(send)
        before = SENT + timedelta(hours=23, minutes=59)
        message, _ = await store.transact(lambda tx: attempt(tx, before, Retry("away", away=True)))
        [kept] = await store.transact(lambda tx: tx.deliveries.of_subject(message.id, Kind.MESSAGE))
    finally:
        await store.close()
    assert message.state == "away"
    assert kept.next_attempt_at is not None
    assert before < kept.next_attempt_at <= SENT + timedelta(hours=24)
