"""Add the index of bookings of sources that only tell what changed."""

import sqlalchemy as sa
from alembic import op

revision = "0037"
down_revision = "0036"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "mirrored_bookings",
        sa.Column("connector", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("ticket_id", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("counts_at", sa.DateTime(timezone=True)),
        sa.Column("changed_at", sa.DateTime(timezone=True)),
        sa.Column("gone_at", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("connector", "id", name=op.f("mirrored_bookings_pkey")),
        schema="sync",
    )
    op.create_index("mirrored_bookings_counts_at_idx", "mirrored_bookings", ["connector", "counts_at"], schema="sync")


def downgrade() -> None:
    op.drop_table("mirrored_bookings", schema="sync")
