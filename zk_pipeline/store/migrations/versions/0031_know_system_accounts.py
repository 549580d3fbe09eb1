"""Say which Kimai users are system accounts, which nobody else can book for."""

import sqlalchemy as sa
from alembic import op

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "users",
        sa.Column("system_account", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        schema="kimai",
    )


def downgrade() -> None:
    op.drop_column("users", "system_account", schema="kimai")
