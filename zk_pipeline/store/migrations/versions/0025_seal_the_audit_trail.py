"""Seal the head of the audit trail; the next start has a row under the key vouch for all that are there."""

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "audit_head", sa.Column("seal", sa.Text(), server_default=sa.text("''"), nullable=False), schema="sync"
    )
    # A trail in which nothing happened yet has a head too: without one, an empty trail is one that was emptied.
    op.execute("INSERT INTO sync.audit_head (id, number, hash) VALUES (1, 0, repeat('0', 64)) ON CONFLICT DO NOTHING")


def downgrade() -> None:
    op.execute("ALTER TABLE sync.audit_head DISABLE TRIGGER USER")
    op.execute("DELETE FROM sync.audit_head WHERE number = 0")
    op.execute("ALTER TABLE sync.audit_head ENABLE TRIGGER USER")
    op.drop_column("audit_head", "seal", schema="sync")
