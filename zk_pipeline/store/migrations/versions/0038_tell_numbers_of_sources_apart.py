"""Give each source a space for the numbers of its customers and projects; what has bookings keeps those that it has."""

import sqlalchemy as sa
from alembic import op

revision = "0038"
down_revision = "0037"
branch_labels = None
depends_on = None

# There was one space for all sources: what has bookings keeps it, else the first Zammad has it.
_FIRST = """
    UPDATE sync.connectors SET number_space = 'zammad' WHERE id = (
        SELECT sources.id FROM sync.connectors sources
        CROSS JOIN LATERAL (SELECT
            EXISTS (SELECT FROM zammad.time_accountings rows WHERE rows.connector = sources.name)
            OR EXISTS (SELECT FROM sync.normalized_entries rows WHERE rows.source = sources.name)
        ) AS has (bookings)
        WHERE sources.role = 'source' AND (has.bookings OR sources.kind = 'zammad')
        ORDER BY has.bookings DESC, sources.active DESC, sources.id
        LIMIT 1
    )
"""
_OTHERS = """
    UPDATE sync.connectors
    SET number_space = CASE WHEN name <> 'zammad' AND length(name) <= 24 THEN name ELSE left(name, 12) || '-' || id END
    WHERE role = 'source' AND number_space IS NULL
"""


def upgrade() -> None:
    op.add_column("connectors", sa.Column("number_space", sa.Text(), nullable=True), schema="sync")
    op.execute(_FIRST)
    op.execute(_OTHERS)
    op.create_unique_constraint("connectors_number_space_key", "connectors", ["number_space"], schema="sync")


def downgrade() -> None:
    op.drop_column("connectors", "number_space", schema="sync")
