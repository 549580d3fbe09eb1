"""Keep when the work was done, exact seconds, notes and running timers, for sources that have them."""

import sqlalchemy as sa
from alembic import op

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None

TABLE, INDEX = "time_accountings", "time_accountings_created_at_idx"


def upgrade() -> None:
    for column in (
        sa.Column("worked_at", sa.DateTime(timezone=True)),
        sa.Column("worked_until", sa.DateTime(timezone=True)),
        sa.Column("seconds", sa.BigInteger()),
        sa.Column("note", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("is_final", sa.Boolean(), server_default=sa.text("true"), nullable=False),
    ):
        op.add_column(TABLE, column, schema="zammad")
    op.drop_index(INDEX, table_name=TABLE, schema="zammad")
    op.create_index(
        "time_accountings_counts_at_idx",
        TABLE,
        ["connector", sa.text("coalesce(worked_at, created_at)")],
        schema="zammad",
    )


def downgrade() -> None:
    op.drop_index("time_accountings_counts_at_idx", table_name=TABLE, schema="zammad")
    op.create_index(INDEX, TABLE, ["connector", "created_at"], schema="zammad")
    for name in ("is_final", "note", "seconds", "worked_until", "worked_at"):
        op.drop_column(TABLE, name, schema="zammad")
