"""A code is found however old its request is."""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("approvals_by_any_code", "approvals", ["code", "team_id"])


def downgrade() -> None:
    op.drop_index("approvals_by_any_code", "approvals")
