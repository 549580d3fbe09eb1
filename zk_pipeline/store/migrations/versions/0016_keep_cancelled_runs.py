"""Keep which runs were cancelled, and which of their days wait for a word."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "cancelled_runs",
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("asked_by", sa.Text(), server_default="", nullable=False),
        sa.Column("cancelled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("held_days", sa.ARRAY(sa.Date()), server_default=sa.text("'{}'"), nullable=False),
        sa.PrimaryKeyConstraint("run_id"),
        schema="sync",
    )
    op.add_column("day_requests", sa.Column("left_by", sa.Text(), nullable=True), schema="sync")


def downgrade() -> None:
    op.drop_column("day_requests", "left_by", schema="sync")
    op.drop_table("cancelled_runs", schema="sync")
