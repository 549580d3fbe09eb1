"""Note what of the plan is carried out."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "reconciliation_results",
        sa.Column("carried_out", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        schema="sync",
    )


def downgrade() -> None:
    op.drop_column("reconciliation_results", "carried_out", schema="sync")
