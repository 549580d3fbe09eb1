"""Find the events and actors of the trail, and how many rows each has, without reading all of it."""

from alembic import op

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("audit_logs_actor_idx", "audit_logs", ["actor", "event"], schema="sync")
    op.create_index("audit_logs_event_idx", "audit_logs", ["event"], schema="sync")


def downgrade() -> None:
    op.drop_index("audit_logs_event_idx", "audit_logs", schema="sync")
    op.drop_index("audit_logs_actor_idx", "audit_logs", schema="sync")
