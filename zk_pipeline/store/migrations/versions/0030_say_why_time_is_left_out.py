"""Keep the reason of a decision, and find what was left out."""

import sqlalchemy as sa
from alembic import op

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "conflicts", sa.Column("decision_why", sa.Text(), server_default=sa.text("''"), nullable=False), schema="sync"
    )
    op.create_index(
        "conflicts_left_out_idx",
        "conflicts",
        ["entry_date", "id"],
        unique=False,
        schema="sync",
        postgresql_where=sa.text("decision = 'ignore' AND resolution_status IN ('decided', 'carried_out')"),
    )


def downgrade() -> None:
    op.drop_index("conflicts_left_out_idx", table_name="conflicts", schema="sync")
    op.drop_column("conflicts", "decision_why", schema="sync")
