"""Count the failed sign-ins of a device that signed in before apart from those of strangers."""

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None


def upgrade() -> None:
    way = sa.Column("way", sa.Text(), server_default=sa.text("''"), nullable=False)
    op.add_column("failed_logins", way, schema="sync")


def downgrade() -> None:
    op.drop_column("failed_logins", "way", schema="sync")
