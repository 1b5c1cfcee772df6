"""The tables. `team_id` stands in each that holds anything of a workspace's, so that none reads another's."""

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Dialect,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TextClause,
    TypeDecorator,
    UniqueConstraint,
    false,
    text,
)

from relay.domain.canonical import json_writer
from relay.domain.moments import microseconds_of, moment_of


class Instant(TypeDecorator[datetime]):
    """A moment in UTC, kept as whole microseconds since 1970: sortable and exact on every engine."""

    impl = BigInteger
    cache_ok = True

    def bind_processor(self, dialect: Dialect) -> Callable[[datetime | None], int | None]:  # noqa: ARG002 - SQLAlchemy's signature
        return _kept

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], datetime | None]:  # noqa: ARG002 - SQLAlchemy's signature
        return _read


def _kept(value: datetime | None) -> int | None:
    return None if value is None else microseconds_of(value)


def _read(value: int | None) -> datetime | None:
    return None if value is None else moment_of(value)


# Of SQLite every whole number is as large as it has to be, and only INTEGER numbers its rows.
Whole = Integer().with_variant(BigInteger(), "postgresql")


def _partial(name: str, *columns: str, where: TextClause, on_postgresql: TextClause | None = None) -> Index:
    """Return an index of some rows only, which both engines know by the same words unless told otherwise."""
    there = where if on_postgresql is None else on_postgresql
    return Index(name, *columns, sqlite_where=where, postgresql_where=there)


class WrittenJson(TypeDecorator[Any]):
    """JSON as text, where the engine's own type takes only what every JSON is: no Infinity, no lone half."""

    impl = Text
    cache_ok = True

    def __init__(self, *, none_as_null: bool = False) -> None:
        super().__init__()
        self.none_as_null = none_as_null

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:  # noqa: ARG002 - SQLAlchemy's signature
        return None if value is None and self.none_as_null else compact(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:  # noqa: ARG002 - SQLAlchemy's signature
        return None if value is None else json.loads(value)


compact = json_writer()


Json = JSON().with_variant(WrittenJson(), "postgresql")
_JSON_OR_NULL = JSON(none_as_null=True).with_variant(WrittenJson(none_as_null=True), "postgresql")

metadata = MetaData()

settings = Table(
    "settings",
    metadata,
    Column("name", String, primary_key=True),
    Column("value", String, nullable=False),
)

seen = Table(
    "seen",
    metadata,
    Column("team_id", String, primary_key=True),
    Column("key", String, primary_key=True),
    Column("seen_at", Instant, nullable=False),
    Index("seen_by_age", "seen_at"),
    sqlite_with_rowid=False,
)

_SECRET = text("response_url IS NOT NULL")
_THREADED = text("thread_ts IS NOT NULL")

messages = Table(
    "messages",
    metadata,
    Column("id", String, primary_key=True),
    Column("team_id", String, nullable=False),
    Column("environment", String, nullable=False),
    Column("agent_id", String, nullable=False),
    Column("conversation_id", String, nullable=False),
    Column("channel_id", String, nullable=False),
    Column("user_id", String, nullable=False),
    Column("text", Text, nullable=False),
    Column("response_url", Text),
    Column("place", String, nullable=False),
    Column("thread_ts", String),
    Column("state", String, nullable=False),
    Column("note", Text, nullable=False),
    Column("status_ts", String),
    Column("created_at", Instant, nullable=False),
    Column("settled_at", Instant),
    Column("turn_ended", Boolean, nullable=False),
    _partial("messages_with_secret", "created_at", where=_SECRET),
    _partial("messages_by_thread", "channel_id", "thread_ts", where=_THREADED),
    _partial(
        "messages_in_turn",
        "environment",
        "conversation_id",
        where=text("turn_ended = 0"),
        on_postgresql=text("NOT turn_ended"),
    ),
)

conversations = Table(
    "conversations",
    metadata,
    Column("team_id", String, primary_key=True),
    Column("environment", String, primary_key=True),
    Column("agent_id", String, primary_key=True),
    # Which thread or channel it is of: the same before and after it is made at the environments API.
    Column("key", String, primary_key=True),
    Column("conversation_id", String),
    Column("channel_id", String, nullable=False),
    Column("thread_ts", String),
    Column("created_at", Instant, nullable=False),
    Column("last_used_at", Instant, nullable=False),
    Index("conversations_by_thread", "channel_id", "thread_ts"),
    Index("conversations_by_id", "conversation_id"),
)

_LIVE = text("state IN ('pending', 'sending')")
_DUE = text("next_attempt_at IS NOT NULL")
_LEASED = text("lease_until IS NOT NULL")

deliveries = Table(
    "deliveries",
    metadata,
    Column("seq", Whole, primary_key=True, autoincrement=True),
    Column("id", String, nullable=False, unique=True),
    Column("team_id", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("ordering_key", String, nullable=False),
    Column("subject_id", String, nullable=False),
    Column("environment", String, nullable=False),
    Column("body", Json, nullable=False),
    Column("state", String, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("uncertain", Boolean, nullable=False),
    Column("away", Boolean, nullable=False, server_default=false()),
    Column("created_at", Instant, nullable=False),
    Column("deadline", Instant),
    # Of a row that may be claimed: when. Empty behind the head of an ordering key, so that a
    # claim never walks over the rows that wait behind one another.
    Column("next_attempt_at", Instant),
    Column("lease_until", Instant),
    Column("settled_at", Instant),
    Column("receipt", Json, nullable=False),
    Column("last_error", Text, nullable=False),
    _partial("deliveries_live_by_key", "ordering_key", "seq", where=_LIVE),
    _partial("deliveries_due", "next_attempt_at", where=_DUE),
    _partial("deliveries_leased", "lease_until", where=_LEASED),
    Index("deliveries_by_subject", "subject_id", "kind"),
    # What waits for its environment to be back: of a kind, in the order it came.
    _partial(
        "deliveries_held_back",
        "environment",
        "kind",
        "seq",
        where=text("away IS 1 AND next_attempt_at IS NOT NULL"),
        on_postgresql=text("away IS TRUE AND next_attempt_at IS NOT NULL"),
    ),
)

_OPEN = text("state IN ('pending', 'decided', 'failed', 'expired')")
_NUDGED = text("nudge_at IS NOT NULL")
_DECIDED = text("decided_at IS NOT NULL")
_ON_THE_WAY = text("state = 'decided'")

approvals = Table(
    "approvals",
    metadata,
    Column("id", String, primary_key=True),
    Column("team_id", String, nullable=False),
    Column("environment", String, nullable=False),
    Column("agent_id", String, nullable=False),
    Column("conversation_id", String, nullable=False),
    Column("tool_call_id", String, nullable=False),
    Column("input_hash", String, nullable=False),
    Column("occurrence", Integer, nullable=False),
    Column("tool_name", String, nullable=False),
    Column("tool_input", Json, nullable=False),
    Column("diffs", Json, nullable=False),
    Column("words", Text, nullable=False),
    Column("requesters", Json, nullable=False),
    Column("message_id", String),
    Column("state", String, nullable=False),
    Column("approve", Boolean),
    Column("reason", Text),
    Column("decided_by", String),
    Column("decided_at", Instant),
    Column("epoch", String, nullable=False),
    Column("event_seq", Whole, nullable=False),
    Column("gone_at", Instant),
    Column("sent", Boolean, nullable=False),
    Column("note", Text, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("ask", Json, nullable=False, server_default="{}"),
    Column("channels", Json, nullable=False, server_default="[]"),
    Column("code", String, nullable=False, server_default=""),
    Column("shown_hash", String, nullable=False, server_default=""),
    Column("edited_input", _JSON_OR_NULL),
    Column("edited_by", String, nullable=False, server_default=""),
    Column("suggestions", Json, nullable=False, server_default="[]"),
    # What a decision may have besides: a changed input, an output, whose votes made it.
    Column("decision", _JSON_OR_NULL),
    Column("expires_at", Instant),
    Column("nudge_at", Instant),
    Column("nudges", Integer, nullable=False, server_default="0"),
    Column("escalated", Boolean, nullable=False, server_default=false()),
    Column("silent_since", Instant),
    Column("snoozed_until", Instant),
    Column("snoozed_by", String, nullable=False, server_default=""),
    _partial("approvals_nudged", "nudge_at", where=_NUDGED),
    _partial("approvals_by_code", "team_id", "code", where=_OPEN),
    # Of those that are over as well; not by workspace first: the other one is read for all that waits.
    Index("approvals_by_any_code", "code", "team_id"),
    _partial("approvals_by_decision", "team_id", "decided_at", where=_DECIDED),
    UniqueConstraint(
        "environment", "agent_id", "conversation_id", "tool_call_id", "occurrence", name="approvals_identity"
    ),
    _partial("approvals_open", "environment", "agent_id", "conversation_id", where=_OPEN),
    _partial("approvals_on_the_way", "environment", "agent_id", "conversation_id", where=_ON_THE_WAY),
)

copies = Table(
    "copies",
    metadata,
    Column("id", String, primary_key=True),
    Column("team_id", String, nullable=False),
    Column("approval_id", String, nullable=False),
    Column("places", Json, nullable=False),
    Column("channel_id", String),
    Column("ts", String),
    Index("copies_by_approval", "approval_id"),
)

# One answer of one person; the last one counts. Bound to what they were shown.
votes = Table(
    "votes",
    metadata,
    Column("approval_id", String, primary_key=True),
    Column("user_id", String, primary_key=True),
    Column("team_id", String, nullable=False),
    Column("approve", Boolean, nullable=False),
    Column("reason", Text, nullable=False),
    Column("shown_hash", String, nullable=False),
    Column("voted_at", Instant, nullable=False),
)

# "Allow this for a while": for a conversation, until a moment, so many times.
grants = Table(
    "grants",
    metadata,
    Column("id", String, primary_key=True),
    Column("team_id", String, nullable=False),
    Column("environment", String, nullable=False),
    Column("agent_id", String, nullable=False),
    Column("conversation_id", String, nullable=False),
    Column("tool_name", String, nullable=False),
    # Which inputs: by their hash, or by a pattern for each of their values.
    Column("input_hash", String, nullable=False),
    Column("patterns", Json, nullable=False),
    Column("rule", String, nullable=False),
    Column("approval_id", String, nullable=False),
    Column("granted_by", String, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False),
    Column("uses", Integer, nullable=False),
    Column("most_uses", Integer, nullable=False),
    Column("revoked_at", Instant),
    Column("revoked_by", String, nullable=False, server_default=""),
    Column("approvers", Json, nullable=False),
    Index("grants_by_tool", "environment", "agent_id", "conversation_id", "tool_name", "expires_at"),
    Index("grants_by_end", "team_id", "expires_at"),
)

# What was begun in a thread while a turn runs, and is finished or taken away by what comes of it.
live_posts = Table(
    "live_posts",
    metadata,
    Column("message_id", String, primary_key=True),
    Column("key", String, primary_key=True),
    Column("team_id", String, nullable=False),
    Column("channel_id", String, nullable=False),
    Column("thread_ts", String, nullable=False),
    Column("ts", String),
    Column("created_at", Instant, nullable=False),
)

# Who asked for a turn to be stopped, until it is told how that ended.
stops = Table(
    "stops",
    metadata,
    Column("message_id", String, primary_key=True),
    Column("team_id", String, nullable=False),
    Column("user_id", String, nullable=False),
    Column("created_at", Instant, nullable=False),
)

# Who installed the app; of an org-wide installation `team_id` is the organisation's. Tokens are sealed.
installations = Table(
    "installations",
    metadata,
    Column("team_id", String, primary_key=True),
    Column("enterprise_id", String),
    Column("is_org", Boolean, nullable=False),
    Column("covered_by", String),
    Column("name", String, nullable=False),
    Column("bot_user_id", String, nullable=False),
    Column("bot_id", String, nullable=False),
    Column("scopes", Text, nullable=False),
    Column("installed_by", String, nullable=False),
    Column("installed_at", Instant, nullable=False),
    Column("sealed_bot", Text, nullable=False),
    Column("sealed_refresh", Text, nullable=False),
    Column("expires_at", Instant),
    Column("refresh_begun_at", Instant),
    Column("revoked_at", Instant),
    Column("revoked_why", String, nullable=False),
)

# The digest of each state that an install has used up, until it would be too old anyway.
install_states = Table(
    "install_states",
    metadata,
    Column("state", String, primary_key=True),
    Column("created_at", Instant, nullable=False),
)

# Who holds the sockets of an environment, and which relays are alive; see domain/leases.py.
leases = Table(
    "leases",
    metadata,
    Column("name", String, primary_key=True),
    # Empty: nobody, since it was released.
    Column("holder", String, nullable=False),
    Column("epoch", Whole, nullable=False),
    Column("until", Instant, nullable=False),
    # Of a relay: the environments of its configuration.
    Column("serves", Json, nullable=False, server_default="[]"),
)

audit = Table(
    "audit",
    metadata,
    Column("seq", Whole, primary_key=True, autoincrement=True),
    Column("team_id", String, nullable=False),
    Column("at", Instant, nullable=False),
    Column("action", String, nullable=False),
    Column("actor", String, nullable=False),
    Column("subject_id", String, nullable=False),
    Column("facts", Json, nullable=False),
    # Which writer's chain, its place there, and what signs it with all before it; empty: from before chains.
    Column("chain", String, nullable=False, server_default=""),
    Column("number", Integer, nullable=False, server_default="0"),
    Column("mac", String, nullable=False, server_default=""),
    Index("audit_by_subject", "subject_id"),
)
