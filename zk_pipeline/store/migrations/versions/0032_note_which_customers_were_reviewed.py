"""Note which customers of a month were reviewed, by whom and when."""

import sqlalchemy as sa
from alembic import op

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "customer_reviews",
        sa.Column("month", sa.Date(), nullable=False),
        sa.Column("customer", sa.Text(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("reviewed_by", sa.Text(), nullable=False),
        sa.Column("reviewed_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("month", "customer", name=op.f("customer_reviews_pkey")),
        schema="sync",
    )


def downgrade() -> None:
    op.drop_table("customer_reviews", schema="sync")
