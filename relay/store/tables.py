"""The tables. `team_id` stands in each, so that no workspace ever reads another's rows."""

from datetime import UTC, datetime, timedelta
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
    TypeDecorator,
    UniqueConstraint,
    false,
    text,
)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Instant(TypeDecorator[datetime]):
    """A moment in UTC, kept as whole microseconds since 1970: sortable and exact on every engine."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:  # noqa: ARG002 - SQLAlchemy's signature
        return None if value is None else (value - _EPOCH) // _MICROSECOND

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - SQLAlchemy's signature
        return None if value is None else _EPOCH + timedelta(microseconds=value)


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
    Index("messages_with_secret", "created_at", sqlite_where=text("response_url IS NOT NULL")),
    Index("messages_by_thread", "channel_id", "thread_ts", sqlite_where=text("thread_ts IS NOT NULL")),
    Index(
        "messages_in_turn",
        "environment",
        "conversation_id",
        sqlite_where=text("turn_ended = 0"),
        postgresql_where=text("NOT turn_ended"),
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

deliveries = Table(
    "deliveries",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=True),
    Column("id", String, nullable=False, unique=True),
    Column("team_id", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("ordering_key", String, nullable=False),
    Column("subject_id", String, nullable=False),
    Column("environment", String, nullable=False),
    Column("body", JSON, nullable=False),
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
    Column("receipt", JSON, nullable=False),
    Column("last_error", Text, nullable=False),
    Index("deliveries_live_by_key", "ordering_key", "seq", sqlite_where=_LIVE, postgresql_where=_LIVE),
    Index("deliveries_due", "next_attempt_at", sqlite_where=_DUE, postgresql_where=_DUE),
    Index("deliveries_leased", "lease_until", sqlite_where=text("lease_until IS NOT NULL")),
    Index("deliveries_by_subject", "subject_id", "kind"),
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
    Column("tool_input", JSON, nullable=False),
    Column("diffs", JSON, nullable=False),
    Column("words", Text, nullable=False),
    Column("requesters", JSON, nullable=False),
    Column("message_id", String),
    Column("state", String, nullable=False),
    Column("approve", Boolean),
    Column("reason", Text),
    Column("decided_by", String),
    Column("decided_at", Instant),
    Column("epoch", String, nullable=False),
    Column("event_seq", Integer, nullable=False),
    Column("gone_at", Instant),
    Column("sent", Boolean, nullable=False),
    Column("note", Text, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("ask", JSON, nullable=False, server_default="{}"),
    Column("channels", JSON, nullable=False, server_default="[]"),
    Column("code", String, nullable=False, server_default=""),
    Column("shown_hash", String, nullable=False, server_default=""),
    Column("edited_input", JSON(none_as_null=True)),
    Column("edited_by", String, nullable=False, server_default=""),
    Column("suggestions", JSON, nullable=False, server_default="[]"),
    # What a decision may have besides: a changed input, an output, whose votes made it.
    Column("decision", JSON(none_as_null=True)),
    Column("expires_at", Instant),
    Column("nudge_at", Instant),
    Column("nudges", Integer, nullable=False, server_default="0"),
    Column("escalated", Boolean, nullable=False, server_default=false()),
    Column("silent_since", Instant),
    Column("snoozed_until", Instant),
    Column("snoozed_by", String, nullable=False, server_default=""),
    Index("approvals_nudged", "nudge_at", sqlite_where=_NUDGED, postgresql_where=_NUDGED),
    Index("approvals_by_code", "team_id", "code", sqlite_where=_OPEN, postgresql_where=_OPEN),
    # Of those that are over as well; not by workspace first: the other one is read for all that waits.
    Index("approvals_by_any_code", "code", "team_id"),
    Index("approvals_by_decision", "team_id", "decided_at", sqlite_where=_DECIDED, postgresql_where=_DECIDED),
    UniqueConstraint(
        "environment", "agent_id", "conversation_id", "tool_call_id", "occurrence", name="approvals_identity"
    ),
    Index(
        "approvals_open",
        "environment",
        "agent_id",
        "conversation_id",
        sqlite_where=_OPEN,
        postgresql_where=_OPEN,
    ),
    Index(
        "approvals_on_the_way",
        "environment",
        "agent_id",
        "conversation_id",
        sqlite_where=_ON_THE_WAY,
        postgresql_where=_ON_THE_WAY,
    ),
)

copies = Table(
    "copies",
    metadata,
    Column("id", String, primary_key=True),
    Column("team_id", String, nullable=False),
    Column("approval_id", String, nullable=False),
    Column("places", JSON, nullable=False),
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
    Column("patterns", JSON, nullable=False),
    Column("rule", String, nullable=False),
    Column("approval_id", String, nullable=False),
    Column("granted_by", String, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False),
    Column("uses", Integer, nullable=False),
    Column("most_uses", Integer, nullable=False),
    Column("revoked_at", Instant),
    Column("revoked_by", String, nullable=False, server_default=""),
    Column("approvers", JSON, nullable=False),
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

audit = Table(
    "audit",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=True),
    Column("team_id", String, nullable=False),
    Column("at", Instant, nullable=False),
    Column("action", String, nullable=False),
    Column("actor", String, nullable=False),
    Column("subject_id", String, nullable=False),
    Column("facts", JSON, nullable=False),
    # Which writer's chain, its place there, and what signs it with all before it; empty: from before chains.
    Column("chain", String, nullable=False, server_default=""),
    Column("number", Integer, nullable=False, server_default="0"),
    Column("mac", String, nullable=False, server_default=""),
    Index("audit_by_subject", "subject_id"),
)
