"""The operator retries or drops many deliveries, page by page, so that whoever clicks comes in between."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from relay.domain.deliveries import Delivery, State
from relay.store.delivery_pages import Chosen
from relay.store.transaction import Transaction
from relay.use_cases.drop_delivery import DROPPABLE, Dropped, drop_delivery
from relay.use_cases.retry_delivery import retry_delivery

AT_ONCE = 50  # each is several rows, and its audit entry


@dataclass(frozen=True)
class Mended:
    """What became of one page: how many were mended and left, and where the next page is, None: nowhere."""

    done: int
    left: int
    next: int | None


def drop_some(tx: Transaction, chosen: Chosen, place: int, actor: str, now: datetime) -> Mended:
    """Drop the next of those chosen before a place, newest first: none is promoted only to be dropped.

    `left` are those that are being sent right now.
    """
    states = chosen.states or DROPPABLE
    looked_at = (*states, State.SENDING) if State.PENDING in states else states
    page = tx.delivery_pages.before(place, replace(chosen, states=looked_at), AT_ONCE)
    found = [drop_delivery(tx, delivery, actor, now) for delivery in page.deliveries]
    return Mended(found.count(Dropped.DROPPED), found.count(Dropped.UNDER_WAY), page.next)


def retry_some(tx: Transaction, chosen: Chosen, place: int, end: int, actor: str, now: datetime) -> Mended:
    """Retry the next of those chosen that failed, from a place up to an end, oldest first: as they were said.

    `left` are those that nobody wants any more.
    """
    page = tx.delivery_pages.from_(place, end, replace(chosen, states=(State.FAILED,)), AT_ONCE)
    found = [retry_delivery(tx, delivery, actor, now) for delivery in page.deliveries]
    return Mended(found.count(True), found.count(False), page.next)


def written(delivery: Delivery, *, whole: bool = False) -> dict[str, Any]:
    """Return a delivery as the command line shows it; the `whole` of it without its bearer secret."""
    described: dict[str, Any] = {
        "id": delivery.id,
        "team_id": delivery.team_id,
        "kind": delivery.kind.value,
        "state": delivery.state.value,
        "environment": delivery.environment,
        "subject_id": delivery.subject_id,
        "attempts": delivery.attempts,
        "created_at": _moment(delivery.created_at),
        "next_attempt_at": _moment(delivery.next_attempt_at),
        "last_error": delivery.last_error,
    }
    if whole:
        body = {name: value for name, value in delivery.body.items() if name != "response_url"}
        described |= {
            "ordering_key": delivery.ordering_key,
            "deadline": _moment(delivery.deadline),
            "receipt": dict(delivery.receipt),
            "body": body,
        }
    return described


def _moment(moment: datetime | None) -> str | None:
    return moment.isoformat(timespec="milliseconds") if moment else None
