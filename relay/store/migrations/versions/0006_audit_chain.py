"""Audit entries are chained; those of before stand without a chain."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name, kind, empty in (
        ("chain", sa.String(), ""),
        ("number", sa.Integer(), "0"),
        ("mac", sa.String(), ""),
    ):
        op.add_column("audit", sa.Column(name, kind, nullable=False, server_default=empty))


def downgrade() -> None:
    for name in ("chain", "number", "mac"):
        op.drop_column("audit", name)
