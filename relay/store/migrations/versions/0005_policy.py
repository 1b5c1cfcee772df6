"""Requests remember how people are asked, what they were shown and how they voted; grants are kept."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_BEFORE = sa.text("state IN ('pending', 'decided', 'failed')")
_OPEN = sa.text("state IN ('pending', 'decided', 'failed', 'expired')")
_NUDGED = sa.text("nudge_at IS NOT NULL")
_DECIDED = sa.text("decided_at IS NOT NULL")
_JSON = sa.JSON().with_variant(sa.Text(), "postgresql")
_RUNTIME = ["environment", "agent_id", "conversation_id"]


def _columns() -> list[sa.Column[Any]]:
    return [
        sa.Column("ask", _JSON, nullable=False, server_default="{}"),
        sa.Column("channels", _JSON, nullable=False, server_default="[]"),
        sa.Column("code", sa.String(), nullable=False, server_default=""),
        sa.Column("shown_hash", sa.String(), nullable=False, server_default=""),
        sa.Column("edited_input", _JSON),
        sa.Column("edited_by", sa.String(), nullable=False, server_default=""),
        sa.Column("suggestions", _JSON, nullable=False, server_default="[]"),
        sa.Column("decision", _JSON),
        sa.Column("expires_at", sa.BigInteger()),
        sa.Column("nudge_at", sa.BigInteger()),
        sa.Column("nudges", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("escalated", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("silent_since", sa.BigInteger()),
        sa.Column("snoozed_until", sa.BigInteger()),
        sa.Column("snoozed_by", sa.String(), nullable=False, server_default=""),
    ]


def upgrade() -> None:
    for column in _columns():
        op.add_column("approvals", column)
    op.execute("UPDATE approvals SET shown_hash = input_hash")
    op.drop_index("approvals_open", "approvals")
    op.create_index("approvals_open", "approvals", _RUNTIME, sqlite_where=_OPEN, postgresql_where=_OPEN)
    op.create_index(
        "approvals_nudged", "approvals", ["nudge_at"], sqlite_where=_NUDGED, postgresql_where=_NUDGED
    )
    op.create_index(
        "approvals_by_code", "approvals", ["team_id", "code"], sqlite_where=_OPEN, postgresql_where=_OPEN
    )
    op.create_index(
        "approvals_by_decision",
        "approvals",
        ["team_id", "decided_at"],
        sqlite_where=_DECIDED,
        postgresql_where=_DECIDED,
    )
    op.create_table(
        "votes",
        sa.Column("approval_id", sa.String(), primary_key=True),
        sa.Column("user_id", sa.String(), primary_key=True),
        sa.Column("team_id", sa.String(), nullable=False),
        sa.Column("approve", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("shown_hash", sa.String(), nullable=False),
        sa.Column("voted_at", sa.BigInteger(), nullable=False),
    )
    _create_grants()


def _create_grants() -> None:
    op.create_table(
        "grants",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("team_id", sa.String(), nullable=False),
        sa.Column("environment", sa.String(), nullable=False),
        sa.Column("agent_id", sa.String(), nullable=False),
        sa.Column("conversation_id", sa.String(), nullable=False),
        sa.Column("tool_name", sa.String(), nullable=False),
        sa.Column("input_hash", sa.String(), nullable=False),
        sa.Column("patterns", _JSON, nullable=False),
        sa.Column("rule", sa.String(), nullable=False),
        sa.Column("approval_id", sa.String(), nullable=False),
        sa.Column("granted_by", sa.String(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("uses", sa.Integer(), nullable=False),
        sa.Column("most_uses", sa.Integer(), nullable=False),
        sa.Column("revoked_at", sa.BigInteger()),
        sa.Column("revoked_by", sa.String(), nullable=False, server_default=""),
        sa.Column("approvers", _JSON, nullable=False),
    )
    op.create_index("grants_by_tool", "grants", [*_RUNTIME, "tool_name", "expires_at"])
    op.create_index("grants_by_end", "grants", ["team_id", "expires_at"])


def downgrade() -> None:
    op.drop_table("grants")
    op.drop_table("votes")
    for index in ("approvals_by_code", "approvals_by_decision", "approvals_nudged", "approvals_open"):
        op.drop_index(index, "approvals")
    for column in _columns():
        op.drop_column("approvals", column.name)
    op.create_index("approvals_open", "approvals", _RUNTIME, sqlite_where=_BEFORE, postgresql_where=_BEFORE)
