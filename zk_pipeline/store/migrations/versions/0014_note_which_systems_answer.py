"""Note which systems answer, and which day requests wait for one that does not."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "reachability",
        sa.Column("connector", sa.Text(), nullable=False),
        sa.Column("last_success_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("failing_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("failures", sa.Integer(), server_default="0", nullable=False),
        sa.Column("not_before", sa.DateTime(timezone=True), nullable=True),
        sa.Column("asked_to_wait", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("problem", sa.Text(), server_default="", nullable=False),
        sa.Column("refused", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("connector", name=op.f("reachability_pkey")),
        schema="sync",
    )
    # Refused tokens were noted as cursors before.
    op.execute("DELETE FROM sync.cursors WHERE connector = 'refusals'")
    op.add_column("day_requests", sa.Column("waits_for", sa.Text(), nullable=True), schema="sync")


def downgrade() -> None:
    op.drop_column("day_requests", "waits_for", schema="sync")
    op.drop_table("reachability", schema="sync")
