"""Add webhooks, cursors and stored settings."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "cursors",
        sa.Column("connector", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("value", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("connector", "subject", name=op.f("cursors_pkey")),
        schema="sync",
    )
    op.create_table(
        "settings",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("updated_by", sa.Text(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("settings_pkey")),
        schema="sync",
    )
    op.create_table(
        "webhook_deliveries",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("connector", sa.Text(), nullable=False),
        sa.Column("delivery_id", sa.Text(), nullable=False),
        sa.Column("ticket_id", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("processed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("note", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("webhook_deliveries_pkey")),
        sa.UniqueConstraint("connector", "delivery_id", name=op.f("webhook_deliveries_connector_key")),
        schema="sync",
    )
    op.create_index(
        "webhook_deliveries_received_at_idx", "webhook_deliveries", ["received_at"], unique=False, schema="sync"
    )
    op.create_index(
        "webhook_deliveries_unprocessed_idx",
        "webhook_deliveries",
        ["id"],
        unique=False,
        schema="sync",
        postgresql_where=sa.text("processed_at IS NULL"),
    )
    op.create_table(
        "webhook_rejections",
        sa.Column("connector", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("connector", "reason", "day", name=op.f("webhook_rejections_pkey")),
        schema="sync",
    )
    op.add_column("day_requests", sa.Column("tries", sa.Integer(), server_default="0", nullable=False), schema="sync")
    op.add_column(
        "day_requests",
        sa.Column("not_before", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        schema="sync",
    )
    op.add_column(
        "sync_runs",
        sa.Column("request_ids", sa.ARRAY(sa.BigInteger()), server_default=sa.text("'{}'"), nullable=False),
        schema="sync",
    )


def downgrade() -> None:
    op.drop_column("sync_runs", "request_ids", schema="sync")
    op.drop_column("day_requests", "not_before", schema="sync")
    op.drop_column("day_requests", "tries", schema="sync")
    op.drop_table("webhook_rejections", schema="sync")
    op.drop_index(
        "webhook_deliveries_unprocessed_idx",
        table_name="webhook_deliveries",
        schema="sync",
        postgresql_where=sa.text("processed_at IS NULL"),
    )
    op.drop_index("webhook_deliveries_received_at_idx", table_name="webhook_deliveries", schema="sync")
    op.drop_table("webhook_deliveries", schema="sync")
    op.drop_table("settings", schema="sync")
    op.drop_table("cursors", schema="sync")
