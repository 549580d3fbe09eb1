"""Keep which fields of bookings, tickets and time sheets cannot be read, and until when projects are locked."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

TABLES = (("zammad", "time_accountings"), ("zammad", "tickets"), ("kimai", "timesheets"))


def upgrade() -> None:
    for schema, table in TABLES:
        column = sa.Column("faults", JSONB(), server_default=sa.text("'{}'::jsonb"), nullable=False)
        op.add_column(table, column, schema=schema)
    op.add_column("projects", sa.Column("locked_until", sa.Date()), schema="kimai")


def downgrade() -> None:
    op.drop_column("projects", "locked_until", schema="kimai")
    for schema, table in TABLES:
        op.drop_column(table, "faults", schema=schema)
