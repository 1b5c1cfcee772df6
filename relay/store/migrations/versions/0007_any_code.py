"""A code is found however old its request is, and what is on its way however much waits."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
_RUNTIME = ["environment", "agent_id", "conversation_id"]
_ON_THE_WAY = sa.text("state = 'decided'")
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("approvals_by_any_code", "approvals", ["code", "team_id"])
    op.create_index(
        "approvals_on_the_way", "approvals", _RUNTIME, sqlite_where=_ON_THE_WAY, postgresql_where=_ON_THE_WAY
    )


def downgrade() -> None:
    op.drop_index("approvals_on_the_way", "approvals")
    op.drop_index("approvals_by_any_code", "approvals")
