"""Record the settings that decided stored facts, and which bookings and entries were derived under which."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

DERIVED = (("zammad", "time_accountings"), ("sync", "normalized_entries"))


def upgrade() -> None:
    op.create_table(
        "decided_settings",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("value", postgresql.JSONB(), nullable=False),
        sa.Column("recorded_by", sa.Text(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name="decided_settings_pkey"),
        schema="sync",
    )
    for schema, table in DERIVED:
        op.add_column(table, sa.Column("decided_id", sa.BigInteger()), schema=schema)
    op.create_index("time_accountings_created_at_idx", "time_accountings", ["connector", "created_at"], schema="zammad")


def downgrade() -> None:
    op.drop_index("time_accountings_created_at_idx", "time_accountings", schema="zammad")
    for schema, table in DERIVED:
        op.drop_column(table, "decided_id", schema=schema)
    op.drop_table("decided_settings", schema="sync")
