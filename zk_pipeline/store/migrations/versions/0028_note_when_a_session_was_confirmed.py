"""Note when somebody in a session last proved who they are, and whether it was begun at the identity provider."""

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("sessions", sa.Column("confirmed_at", sa.DateTime(timezone=True), nullable=True), schema="sync")
    by_provider = sa.Column("by_provider", sa.Boolean(), server_default=sa.text("false"), nullable=False)
    op.add_column("sessions", by_provider, schema="sync")


def downgrade() -> None:
    op.drop_column("sessions", "by_provider", schema="sync")
    op.drop_column("sessions", "confirmed_at", schema="sync")
