"""Threads and channels have conversations of their own; a thread is found by its messages."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_THREADED = sa.text("thread_ts IS NOT NULL")


def upgrade() -> None:
    op.create_table(
        "conversations",
        sa.Column("team_id", sa.String(), nullable=False),
        sa.Column("environment", sa.String(), nullable=False),
        sa.Column("agent_id", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("conversation_id", sa.String(), nullable=True),
        sa.Column("channel_id", sa.String(), nullable=False),
        sa.Column("thread_ts", sa.String(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("last_used_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("team_id", "environment", "agent_id", "key"),
    )
    op.create_index("conversations_by_thread", "conversations", ["channel_id", "thread_ts"])
    op.create_index("conversations_by_id", "conversations", ["conversation_id"])
    op.create_index(
        "messages_by_thread",
        "messages",
        ["channel_id", "thread_ts"],
        sqlite_where=_THREADED,
        postgresql_where=_THREADED,
    )


def downgrade() -> None:
    op.drop_index("messages_by_thread", "messages")
    op.drop_table("conversations")
