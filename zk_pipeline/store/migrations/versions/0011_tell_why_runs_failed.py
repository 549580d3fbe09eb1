"""Tell why runs failed."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("sync_runs", sa.Column("failure", sa.Text(), server_default="", nullable=False), schema="sync")


def downgrade() -> None:
    op.drop_column("sync_runs", "failure", schema="sync")
