"""Know agents whose time was written without a mapping by their source, too."""

import sqlalchemy as sa
from alembic import op

revision = "0039"
down_revision = "0038"
branch_labels = None
depends_on = None

# All are of the one source that has entries.
_FILL = """
    UPDATE sync.carried_agents SET source = coalesce(
        (SELECT min(source) FROM sync.normalized_entries),
        (SELECT name FROM sync.connectors WHERE role = 'source' ORDER BY active DESC, id LIMIT 1),
        'zammad'
    )
"""


def upgrade() -> None:
    op.add_column("carried_agents", sa.Column("source", sa.Text(), nullable=True), schema="sync")
    op.execute(_FILL)
    op.alter_column("carried_agents", "source", nullable=False, schema="sync")
    op.drop_constraint("carried_agents_pkey", "carried_agents", schema="sync")
    op.create_primary_key("carried_agents_pkey", "carried_agents", ["source", "agent_id"], schema="sync")


def downgrade() -> None:
    # Refused where two sources have the same id.
    op.drop_constraint("carried_agents_pkey", "carried_agents", schema="sync")
    op.create_primary_key("carried_agents_pkey", "carried_agents", ["agent_id"], schema="sync")
    op.drop_column("carried_agents", "source", schema="sync")
