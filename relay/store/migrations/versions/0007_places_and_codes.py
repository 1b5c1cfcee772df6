"""Copies know which place they are for, and whether it still asks; a code is found however old it is."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("copies", sa.Column("named", sa.String(), nullable=False, server_default=""))
    op.add_column("copies", sa.Column("moved", sa.Boolean(), nullable=False, server_default=sa.false()))
    copies = sa.table("copies", sa.column("named", sa.String()), sa.column("places", sa.JSON()))
    first = sa.func.coalesce(copies.c.places[0].as_string(), "")
    op.execute(copies.update().values(named=first))
    op.create_index("approvals_by_any_code", "approvals", ["code", "team_id"])


def downgrade() -> None:
    op.drop_index("approvals_by_any_code", "approvals")
    op.drop_column("copies", "moved")
    op.drop_column("copies", "named")
