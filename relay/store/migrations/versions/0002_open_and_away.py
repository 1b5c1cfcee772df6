"""A delivery knows whether it waits for its environment; open approvals are found however many are over."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_OPEN = sa.text("state IN ('pending', 'decided', 'failed')")


def upgrade() -> None:
    op.add_column("deliveries", sa.Column("away", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.drop_index("approvals_by_state", "approvals")
    op.create_index(
        "approvals_open",
        "approvals",
        ["environment", "agent_id", "conversation_id"],
        sqlite_where=_OPEN,
        postgresql_where=_OPEN,
    )


def downgrade() -> None:
    op.drop_index("approvals_open", "approvals")
    op.create_index("approvals_by_state", "approvals", ["state"])
    op.drop_column("deliveries", "away")
