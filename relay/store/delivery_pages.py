"""Deliveries page by page, as an operator asks for them: each page looks at so many rows and no more."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, exists, func, or_, select

from relay.domain.deliveries import Delivery
from relay.store.delivery_rows import COLUMNS, read
from relay.store.tables import copies, messages
from relay.store.tables import deliveries as t

# Rows looked at in one transaction, whether they are meant or not: other works come in between.
WINDOW = 2_000


@dataclass(frozen=True)
class Chosen:
    """Which deliveries are meant; what is empty leaves all in. `since` and `until` are when they were made.

    A `channel` is where the message was said that a delivery speaks for, or where the card stands.
    """

    states: tuple[str, ...] = ()
    kind: str = ""
    environment: str = ""
    team: str = ""
    subject: str = ""
    channel: str = ""
    since: datetime | None = None
    until: datetime | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        """Return what a row that is meant fulfils."""
        wanted = ((t.c.kind, self.kind), (t.c.environment, self.environment), (t.c.team_id, self.team))
        found: list[ColumnElement[bool]] = [column == value for column, value in wanted if value]
        if self.states:
            found.append(t.c.state.in_(self.states))
        if self.subject:
            found.append(or_(t.c.subject_id == self.subject, t.c.id == self.subject))
        if self.channel:
            found.append(_in_channel(self.channel))
        found += [t.c.created_at >= self.since] if self.since else []
        found += [t.c.created_at < self.until] if self.until else []
        return found


def _in_channel(channel: str) -> ColumnElement[bool]:
    said = exists().where(messages.c.id == t.c.subject_id, messages.c.channel_id == channel)
    card = exists().where(copies.c.id == t.c.subject_id, copies.c.channel_id == channel)
    about = exists().where(copies.c.approval_id == t.c.subject_id, copies.c.channel_id == channel)
    return or_(said, card, about)


class Page(NamedTuple):
    """Some deliveries, and between which rows the next page is; None: there is none."""

    deliveries: list[Delivery]
    next: int | None


class DeliveryPages:
    """Reads pages of deliveries within one transaction. Places are those of rows, which never change."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def end(self) -> int:
        """Return the place behind all deliveries there are."""
        newest: int | None = self._connection.execute(select(func.max(t.c.seq))).scalar()
        return (newest or 0) + 1

    def place(self, delivery_id: str) -> int | None:
        """Return the place of one delivery."""
        place: int | None = self._connection.execute(select(t.c.seq).where(t.c.id == delivery_id)).scalar()
        return place

    def before(self, place: int, chosen: Chosen, most: int) -> Page:
        """Return up to `most` of those meant before a place, newest first; perhaps none, and more behind."""
        first = max(1, place - WINDOW)
        looked_at = (t.c.seq >= first, t.c.seq < place)
        rows = self._rows(looked_at, chosen, t.c.seq.desc(), most)
        more = rows[-1].seq if len(rows) == most else first
        return Page([read(row) for row in rows], more if more > 1 else None)

    def from_(self, place: int, end: int, chosen: Chosen, most: int) -> Page:
        """Return up to `most` of those meant from a place up to an `end`, oldest first, in the same way."""
        last = min(end, place + WINDOW)
        rows = self._rows((t.c.seq >= place, t.c.seq < last), chosen, t.c.seq, most)
        more = rows[-1].seq + 1 if len(rows) == most else last
        return Page([read(row) for row in rows], more if more < end else None)

    def _rows(
        self, looked_at: tuple[ColumnElement[bool], ...], chosen: Chosen, order: Any, most: int
    ) -> list[Any]:
        query = select(t.c.seq, *COLUMNS).where(*looked_at, *chosen.conditions())
        return list(self._connection.execute(query.order_by(order).limit(most)))

    def count(self, place: int, chosen: Chosen) -> tuple[int, int | None]:
        """Return how many are meant in the rows just before a place, and where to go on."""
        first = max(1, place - WINDOW)
        query = select(func.count()).select_from(t).where(t.c.seq >= first, t.c.seq < place)
        found = self._connection.execute(query.where(*chosen.conditions())).scalar_one()
        return found, first if first > 1 else None
