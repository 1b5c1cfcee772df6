"""What waits for its environment to be back is found in the order it came."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(
        "deliveries_held_back",
        "deliveries",
        ["environment", "kind", "seq"],
        sqlite_where=sa.text("away IS 1 AND next_attempt_at IS NOT NULL"),
        postgresql_where=sa.text("away IS TRUE AND next_attempt_at IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_index("deliveries_held_back", "deliveries")
