"""Keep the statements of closings."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "closed_statements",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("content", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["id"], ["sync.periods.id"], name=op.f("closed_statements_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("closed_statements_pkey")),
        schema="sync",
    )


def downgrade() -> None:
    op.drop_table("closed_statements", schema="sync")
