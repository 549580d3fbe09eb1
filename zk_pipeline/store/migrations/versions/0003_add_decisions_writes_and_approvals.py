"""Add decisions, writes and approvals."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "approvals",
        sa.Column("connector", sa.Text(), nullable=False),
        sa.Column("entry_date", sa.Date(), nullable=False),
        sa.Column("lines", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("plan_hash", sa.Text(), nullable=False),
        sa.Column("approved_by", sa.Text(), nullable=False),
        sa.Column("approved_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("connector", "entry_date", name=op.f("approvals_pkey")),
        schema="sync",
    )
    op.create_table(
        "writes",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("connector", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("operation", sa.Text(), nullable=False),
        sa.Column("source_id", sa.Text(), nullable=True),
        sa.Column("kimai_id", sa.BigInteger(), nullable=False),
        sa.Column("entry_date", sa.Date(), nullable=True),
        sa.Column("before", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("after", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("written_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("undone_by", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("writes_pkey")),
        schema="sync",
    )
    op.create_index("writes_run_id_idx", "writes", ["run_id"], unique=False, schema="sync")
    op.create_index("writes_source_id_idx", "writes", ["connector", "source_id"], unique=False, schema="sync")
    op.add_column("conflicts", sa.Column("status", sa.Text(), server_default="", nullable=False), schema="sync")
    op.add_column("conflicts", sa.Column("decision", sa.Text(), nullable=True), schema="sync")
    op.add_column("conflicts", sa.Column("decision_timesheet_id", sa.BigInteger(), nullable=True), schema="sync")
    op.add_column("conflicts", sa.Column("decided_by", sa.Text(), nullable=True), schema="sync")
    op.add_column("conflicts", sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True), schema="sync")
    op.add_column(
        "reconciliation_results", sa.Column("decided", sa.Text(), server_default="", nullable=False), schema="sync"
    )


def downgrade() -> None:
    op.drop_column("reconciliation_results", "decided", schema="sync")
    op.drop_column("conflicts", "decided_at", schema="sync")
    op.drop_column("conflicts", "decided_by", schema="sync")
    op.drop_column("conflicts", "decision_timesheet_id", schema="sync")
    op.drop_column("conflicts", "decision", schema="sync")
    op.drop_column("conflicts", "status", schema="sync")
    op.drop_index("writes_source_id_idx", table_name="writes", schema="sync")
    op.drop_index("writes_run_id_idx", table_name="writes", schema="sync")
    op.drop_table("writes", schema="sync")
    op.drop_table("approvals", schema="sync")
