"""Keep planned and finished writes into tickets."""

import sqlalchemy as sa
from alembic import op

revision = "0036"
down_revision = "0035"
branch_labels = None
depends_on = None

TABLE = "write_backs"


def upgrade() -> None:
    op.create_table(
        TABLE,
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("connector", sa.Text(), nullable=False),
        sa.Column("ticket_id", sa.Text(), nullable=False),
        sa.Column("ticket_number", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("month", sa.Date(), nullable=False),
        sa.Column("operation", sa.Text(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("because", sa.Text(), nullable=False),
        sa.Column("minutes", sa.Numeric(14, 4), nullable=False),
        sa.Column("facts_hash", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("ours", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("remote_id", sa.Text(), nullable=True),
        sa.Column("replaces", sa.BigInteger(), nullable=True),
        sa.Column("approved_by", sa.Text(), nullable=True),
        sa.Column("message", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("run_id", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("intended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("kind IN ('tag', 'note')", name=op.f("write_backs_kind_check")),
        sa.CheckConstraint("operation IN ('add', 'remove')", name=op.f("write_backs_operation_check")),
        sa.CheckConstraint(
            "state IN ('approved', 'intended', 'confirmed', 'failed', 'lapsed', 'removed', 'undone')",
            name=op.f("write_backs_state_check"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("write_backs_pkey")),
        schema="sync",
    )
    op.create_index(
        "write_backs_one_open_idx",
        TABLE,
        ["connector", "facts_hash"],
        unique=True,
        schema="sync",
        postgresql_where=sa.text("state IN ('approved', 'intended')"),
    )
    op.create_index("write_backs_ticket_id_idx", TABLE, ["connector", "ticket_id"], schema="sync")
    op.create_index("write_backs_state_idx", TABLE, ["connector", "state"], schema="sync")
    op.create_index("write_backs_run_id_idx", TABLE, ["run_id"], schema="sync")


def downgrade() -> None:
    op.drop_table(TABLE, schema="sync")
