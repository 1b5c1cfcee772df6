"""Of several relays on one store, one at a time holds the sockets of an environment."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_JSON = sa.JSON().with_variant(sa.Text(), "postgresql")
_WHOLE = sa.Integer().with_variant(sa.BigInteger(), "postgresql")


def upgrade() -> None:
    op.create_table(
        "leases",
        sa.Column("name", sa.String(), primary_key=True),
        sa.Column("holder", sa.String(), nullable=False),
        sa.Column("epoch", _WHOLE, nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.Column("serves", _JSON, nullable=False, server_default="[]"),
    )


def downgrade() -> None:
    op.drop_table("leases")
