"""Spend approvals once, and do once what is asked for twice.

What became of the approvals until now is not known, so none of them allows anything any more: the lines that wait are
approved again.
"""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _spend_approvals()
    _mark_what_was_taken_back()
    _remember_acts()


def downgrade() -> None:
    op.drop_table("launched_runs", schema="sync")
    op.drop_table("acts", schema="sync")
    op.drop_index("reconciliation_results_taken_back_idx", "reconciliation_results", schema="sync")
    op.drop_column("reconciliation_results", "taken_back_by", schema="sync")
    op.drop_table("approved_lines", schema="sync")
    # The last approval of each day is what there was before.
    op.execute(
        "DELETE FROM sync.approvals a USING sync.approvals b "
        "WHERE a.connector = b.connector AND a.entry_date = b.entry_date AND a.id < b.id"
    )
    op.drop_index("approvals_entry_date_idx", "approvals", schema="sync")
    op.drop_constraint(op.f("approvals_pkey"), "approvals", schema="sync")
    op.drop_column("approvals", "id", schema="sync")
    op.create_primary_key(op.f("approvals_pkey"), "approvals", ["connector", "entry_date"], schema="sync")


def _spend_approvals() -> None:
    op.drop_constraint(op.f("approvals_pkey"), "approvals", schema="sync")
    op.add_column("approvals", sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False), schema="sync")
    op.create_primary_key(op.f("approvals_pkey"), "approvals", ["id"], schema="sync")
    op.create_index("approvals_entry_date_idx", "approvals", ["connector", "entry_date"], schema="sync")
    op.create_table(
        "approved_lines",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("approval_id", sa.BigInteger(), nullable=False),
        sa.Column("connector", sa.Text(), nullable=False),
        sa.Column("entry_date", sa.Date(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("line_hash", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), server_default="open", nullable=False),
        sa.Column("ended_by", sa.Text(), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("state IN ('open', 'spent', 'revoked', 'lapsed')", name=op.f("approved_lines_state_check")),
        sa.ForeignKeyConstraint(["approval_id"], ["sync.approvals.id"], name=op.f("approved_lines_approval_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("approved_lines_pkey")),
        schema="sync",
    )
    op.create_index("approved_lines_approval_id_idx", "approved_lines", ["approval_id"], schema="sync")
    op.create_index(
        "approved_lines_one_open_idx",
        "approved_lines",
        ["connector", "entry_date", "key"],
        unique=True,
        schema="sync",
        postgresql_where=sa.text("state = 'open'"),
    )


def _mark_what_was_taken_back() -> None:
    op.add_column("reconciliation_results", sa.Column("taken_back_by", sa.Text(), nullable=True), schema="sync")
    op.create_index(
        "reconciliation_results_taken_back_idx",
        "reconciliation_results",
        ["connector", "entry_date"],
        schema="sync",
        postgresql_where=sa.text("taken_back_by IS NOT NULL"),
    )


def _remember_acts() -> None:
    op.create_table(
        "acts",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("route", sa.Text(), nullable=False),
        sa.Column("body_hash", sa.Text(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("answer", sa.Text(), nullable=True),
        sa.Column("asked_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("acts_pkey")),
        sa.UniqueConstraint("actor", "key", name=op.f("acts_actor_key")),
        schema="sync",
    )
    op.create_index("acts_asked_at_idx", "acts", ["asked_at"], schema="sync")
    op.create_table(
        "launched_runs",
        sa.Column("run_key", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=True),
        sa.Column("launched_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("run_key", name=op.f("launched_runs_pkey")),
        schema="sync",
    )
    op.create_index("launched_runs_launched_at_idx", "launched_runs", ["launched_at"], schema="sync")
