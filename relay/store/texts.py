"""Texts that are removed once they are old: the rows stay, with their ids, states and hashes."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    Text,
    and_,
    cast,
    exists,
    literal_column,
    or_,
    select,
    update,
)

from relay.domain.approvals import AS_DENIAL, DROPPED, OPEN
from relay.domain.deliveries import State
from relay.store.tables import approvals, copies, deliveries, grants, messages, votes

# Rows looked at in one transaction, whether they are old enough or not: whoever clicks comes in between.
WINDOW = 200
_ENDED: list[Any] = [literal_column(f"'{state}'") for state in (State.DELIVERED, State.FAILED, State.DROPPED)]
_OPEN: list[Any] = [literal_column(f"'{state}'") for state in sorted(OPEN)]
_SHORT_NOTES = frozenset({"", AS_DENIAL, DROPPED})  # relay's own words, which a card goes by


class Removed(NamedTuple):
    """How many rows of a page lost their texts, and behind which the next page is; None: there is none."""

    rows: int
    after: Any


class Texts:
    """Removes the texts of what is settled, page by page, each in the order it was made."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def of_messages(self, after: str, before: datetime) -> Removed:
        """Remove what people said in messages that were settled `before`, and whose answers are out."""
        t = messages
        meant = and_(t.c.settled_at < before, t.c.state.in_(_ENDED), t.c.text != "", ~_live(t.c.id))
        found, after = self._page(t.c.id, after, t.c.created_at < before, meant)
        if found:
            old = update(t).where(t.c.id.in_(found))
            self._connection.execute(old.values(text="", note="", response_url=None))
        return Removed(len(found), after)

    def of_approvals(self, after: str, before: datetime) -> Removed:
        """Remove what tools were called with, and what people said of it, in requests over since `before`."""
        t = approvals
        allowed = select(grants.c.approval_id).where(grants.c.expires_at >= before)
        card = copies.alias()
        meant = and_(
            t.c.state.not_in(_OPEN),
            or_(t.c.decided_at.is_(None), t.c.decided_at < before),
            or_(t.c.gone_at.is_(None), t.c.gone_at < before),
            cast(t.c.tool_input, Text) != "null",
            t.c.id.not_in(allowed),
            ~_live(t.c.id),
            ~exists().where(card.c.approval_id == t.c.id, _live(card.c.id)),
        )
        found, after = self._page(t.c.id, after, t.c.created_at < before, meant)
        if found:
            self._blank_approvals(found)
            of = update(votes).where(votes.c.approval_id.in_(found))
            self._connection.execute(of.values(reason=""))
        return Removed(len(found), after)

    def _blank_approvals(self, ids: Sequence[str]) -> None:
        t = approvals
        query = select(t.c.id, t.c.reason, t.c.note, t.c.decision).where(t.c.id.in_(ids))
        for row in self._connection.execute(query).all():
            self._connection.execute(update(t).where(t.c.id == row.id).values(**_blank(row)))

    def of_deliveries(self, after: int, before: datetime) -> Removed:
        """Remove what deliveries carried, and what was said to them, that were settled `before`."""
        t = deliveries
        holds = or_(cast(t.c.body, Text) != "{}", cast(t.c.receipt, Text) != "{}", t.c.last_error != "")
        open_ = exists().where(approvals.c.id == t.c.subject_id, approvals.c.state.in_(_OPEN))
        meant = and_(t.c.settled_at < before, t.c.state.in_(_ENDED), holds, ~open_)
        found, after = self._page(t.c.seq, after, t.c.created_at < before, meant)
        if found:
            old = update(t).where(t.c.seq.in_(found))
            self._connection.execute(old.values(body={}, receipt={}, last_error=""))
        return Removed(len(found), after)

    def of_grants(self, after: str, before: datetime) -> Removed:
        """Remove which inputs were allowed by grants that ended `before`."""
        t = grants
        meant = and_(t.c.expires_at < before, cast(t.c.patterns, Text) != "{}")
        found, after = self._page(t.c.id, after, t.c.created_at < before, meant)
        if found:
            self._connection.execute(update(t).where(t.c.id.in_(found)).values(patterns={}))
        return Removed(len(found), after)

    def _page(
        self, key: Any, after: Any, old: ColumnElement[bool], meant: ColumnElement[bool]
    ) -> tuple[list[Any], Any]:
        """Return which of the next rows are meant, and behind which there may be more."""
        query: Select[Any] = select(key.label("key"), and_(old, meant).label("meant"), old.label("old"))
        rows = self._connection.execute(query.where(key > after).order_by(key).limit(WINDOW)).all()
        # They stand in the order they were made: behind one that is young there is no old one.
        more = len(rows) == WINDOW and rows[-1].old
        return [row.key for row in rows if row.meant], rows[-1].key if more else None


def _live(subject: ColumnElement[str]) -> ColumnElement[bool]:
    """Whether something is still on its way that speaks for a row."""
    one = deliveries.alias()
    ended = one.c.state.in_(_ENDED)
    return exists().where(one.c.subject_id == subject, ~ended)


def _blank(row: Any) -> dict[str, Any]:
    """Return the columns of a request without its texts; an input that is null says that it was removed."""
    return {
        "tool_input": None,  # as JSON: null
        "diffs": [],
        "words": "",
        "suggestions": [],
        "edited_input": None,
        "reason": None if row.reason is None else "",
        "note": row.note if row.note in _SHORT_NOTES else "",
        "decision": row.decision and _blank_decision(row.decision),
    }


def _blank_decision(decision: Mapping[str, Any]) -> dict[str, Any]:
    kept = {name: decision[name] for name in ("by", "rule", "stop") if name in decision}
    if decision.get("returned"):  # that it was run by hand, and how that ended, is no text
        kept["returned"] = {
            "success": decision["returned"]["success"],
            "output": "",
            "stdout": "",
            "stderr": "",
        }
    return kept
