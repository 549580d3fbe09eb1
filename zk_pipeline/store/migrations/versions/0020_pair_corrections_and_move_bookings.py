"""Let people say which booking a correction reduces, and on which ticket a booking counts after a merge."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "corrections",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("correction_id", sa.BigInteger(), nullable=False),
        sa.Column("reduced_id", sa.BigInteger(), nullable=False),
        sa.Column("decided_by", sa.Text(), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("corrections_pkey")),
        sa.UniqueConstraint("source", "correction_id", "reduced_id", name=op.f("corrections_source_key")),
        schema="sync",
    )
    op.create_table(
        "moved_bookings",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("booking_id", sa.BigInteger(), nullable=False),
        sa.Column("from_ticket_id", sa.BigInteger(), nullable=False),
        sa.Column("ticket_id", sa.BigInteger(), nullable=False),
        sa.Column("decided_by", sa.Text(), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("moved_bookings_pkey")),
        sa.UniqueConstraint("source", "booking_id", name=op.f("moved_bookings_source_key")),
        schema="sync",
    )
    op.add_column("tickets", sa.Column("merged_into", sa.BigInteger(), nullable=True), schema="zammad")
    op.add_column("tickets", sa.Column("merged_article_id", sa.BigInteger(), nullable=True), schema="zammad")
    op.create_index(
        "tickets_merged_into_idx",
        "tickets",
        ["connector", "merged_into"],
        schema="zammad",
        postgresql_where=sa.text("merged_into IS NOT NULL"),
    )
    op.add_column("conflicts", sa.Column("decision_booking_id", sa.BigInteger(), nullable=True), schema="sync")


def downgrade() -> None:
    op.drop_column("conflicts", "decision_booking_id", schema="sync")
    op.drop_index("tickets_merged_into_idx", "tickets", schema="zammad")
    op.drop_column("tickets", "merged_article_id", schema="zammad")
    op.drop_column("tickets", "merged_into", schema="zammad")
    op.drop_table("moved_bookings", schema="sync")
    op.drop_table("corrections", schema="sync")
