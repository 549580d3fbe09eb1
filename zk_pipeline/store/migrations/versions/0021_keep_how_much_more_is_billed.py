"""Keep with the plan how much more than it says is billed for a booking that is made up for."""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "reconciliation_results", sa.Column("rounding_minutes", sa.Numeric(14, 4), nullable=True), schema="sync"
    )


def downgrade() -> None:
    op.drop_column("reconciliation_results", "rounding_minutes", schema="sync")
