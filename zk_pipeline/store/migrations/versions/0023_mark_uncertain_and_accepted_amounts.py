"""Mark conflicts of uncertain amount, keep what credits give back, and accept differences with invoices."""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "conflicts",
        sa.Column("uncertain", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        schema="sync",
    )
    op.add_column("adjustments", sa.Column("amount", sa.Numeric(14, 4)), schema="sync")
    op.create_table(
        "accepted_differences",
        sa.Column("connector", sa.Text(), nullable=False),
        sa.Column("customer_id", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("difference", sa.Numeric(14, 4), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("accepted_by", sa.Text(), nullable=False),
        sa.Column("accepted_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("connector", "customer_id", "currency", name="accepted_differences_pkey"),
        schema="kimai",
    )


def downgrade() -> None:
    op.drop_table("accepted_differences", schema="kimai")
    op.drop_column("adjustments", "amount", schema="sync")
    op.drop_column("conflicts", "uncertain", schema="sync")
