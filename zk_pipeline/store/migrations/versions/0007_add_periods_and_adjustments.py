"""Add periods that are closed, and adjustments."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "periods",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("month", sa.Date(), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("closed_by", sa.Text(), nullable=False),
        sa.Column("audit_head", sa.Text(), nullable=False),
        sa.Column("statement_hash", sa.Text(), nullable=False),
        sa.Column("minutes_waiting", sa.Numeric(precision=14, scale=4), nullable=False),
        sa.Column("reopened_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reopened_by", sa.Text(), nullable=True),
        sa.Column("reopened_reason", sa.Text(), nullable=True),
        sa.CheckConstraint("month = date_trunc('month', month)::date", name=op.f("periods_month_is_a_first_day_check")),
        sa.PrimaryKeyConstraint("id", name=op.f("periods_pkey")),
        schema="sync",
    )
    op.create_index(
        "periods_one_open_idx",
        "periods",
        ["month"],
        unique=True,
        schema="sync",
        postgresql_where=sa.text("reopened_at IS NULL"),
    )
    op.create_table(
        "adjustments",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("connector", sa.Text(), nullable=False),
        sa.Column("source_id", sa.Text(), nullable=False),
        sa.Column("kimai_id", sa.BigInteger(), nullable=True),
        sa.Column("original_day", sa.Date(), nullable=False),
        sa.Column("original_month", sa.Date(), nullable=False),
        sa.Column("minutes", sa.Numeric(precision=14, scale=4), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("entry_date", sa.Date(), nullable=False),
        sa.Column("begin_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("project_id", sa.BigInteger(), nullable=True),
        sa.Column("project_number", sa.Text(), nullable=False),
        sa.Column("activity_id", sa.BigInteger(), nullable=False),
        sa.Column("original", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("facts_hash", sa.Text(), nullable=False),
        sa.Column("decided_by", sa.Text(), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("settled_by", sa.Text(), nullable=True),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("note", sa.Text(), server_default="", nullable=False),
        sa.CheckConstraint("state IN ('booked', 'open', 'settled')", name=op.f("adjustments_state_check")),
        sa.CheckConstraint(
            "(minutes > 0) = (state = 'booked') AND minutes <> 0",
            name=op.f("adjustments_credits_are_negative_check"),
        ),
        sa.CheckConstraint("minutes < 0 OR original IS NOT NULL", name=op.f("adjustments_booked_has_an_entry_check")),
        sa.PrimaryKeyConstraint("id", name=op.f("adjustments_pkey")),
        sa.UniqueConstraint(
            "connector",
            "source_id",
            "facts_hash",
            "user_id",
            "project_id",
            "project_number",
            "activity_id",
            name=op.f("adjustments_connector_key"),
            postgresql_nulls_not_distinct=True,
        ),
        schema="sync",
    )
    op.create_index(
        "adjustments_original_day_idx", "adjustments", ["connector", "original_day"], unique=False, schema="sync"
    )
    op.create_index(
        "adjustments_entry_date_idx", "adjustments", ["connector", "entry_date"], unique=False, schema="sync"
    )


def downgrade() -> None:
    op.drop_table("adjustments", schema="sync")
    op.drop_table("periods", schema="sync")
