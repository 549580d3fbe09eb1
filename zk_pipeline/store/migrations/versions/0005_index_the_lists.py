"""Index the lists, and note what runs carry out."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

NEW: Sequence[tuple[str, str, Sequence[str]]] = (
    ("normalized_entries_ticket_number_idx", "normalized_entries", ["ticket_number"]),
    ("reconciliation_results_source_id_idx", "reconciliation_results", ["connector", "source_id"]),
    ("reconciliation_results_status_idx", "reconciliation_results", ["connector", "status", "entry_date", "key"]),
    ("conflicts_key_idx", "conflicts", ["connector", "key"]),
    ("day_requests_requested_at_idx", "day_requests", ["requested_at"]),
)
NAMES = ("user_email", "user_name", "organization_name", "customer_name")

# What was found by one column is now found in the order of the lists as well.
BEFORE: Sequence[tuple[str, str, Sequence[str], Sequence[str]]] = (
    ("normalized_entries_entry_date_idx", "normalized_entries", ["entry_date"], []),
    ("reconciliation_results_action_idx", "reconciliation_results", ["entry_date", "action"], []),
    ("reconciliation_results_reason_idx", "reconciliation_results", ["reason"], []),
    ("conflicts_resolution_status_idx", "conflicts", ["resolution_status"], []),
)
AFTER: Sequence[tuple[str, str, Sequence[str], Sequence[str]]] = (
    (
        "normalized_entries_entry_date_idx",
        "normalized_entries",
        ["entry_date", "source", "source_id"],
        ["time_minutes"],
    ),
    (
        "reconciliation_results_action_idx",
        "reconciliation_results",
        ["connector", "action", "entry_date", "key"],
        [],
    ),
    (
        "reconciliation_results_reason_idx",
        "reconciliation_results",
        ["connector", "reason", "entry_date", "key"],
        [],
    ),
    ("conflicts_resolution_status_idx", "conflicts", ["resolution_status", "entry_date", "id"], ["reason"]),
)


def upgrade() -> None:
    op.add_column("sync_runs", sa.Column("carried_out_until", sa.Date(), nullable=True), schema="sync")
    op.add_column("sync_runs", sa.Column("carried_out_at", sa.DateTime(timezone=True), nullable=True), schema="sync")
    _replace(AFTER)
    for name, table, columns in NEW:
        op.create_index(name, table, list(columns), unique=False, schema="sync")
    for name in NAMES:
        lowered = [sa.text(f"lower({name})")]
        op.create_index(_named(name), "normalized_entries", lowered, unique=False, schema="sync")


def downgrade() -> None:
    for name in NAMES:
        op.drop_index(_named(name), table_name="normalized_entries", schema="sync")
    for name, table, _ in NEW:
        op.drop_index(name, table_name=table, schema="sync")
    _replace(BEFORE)
    op.drop_column("sync_runs", "carried_out_at", schema="sync")
    op.drop_column("sync_runs", "carried_out_until", schema="sync")


def _named(column: str) -> str:
    return f"normalized_entries_{column}_idx"


def _replace(indexes: Sequence[tuple[str, str, Sequence[str], Sequence[str]]]) -> None:
    for name, table, columns, included in indexes:
        op.drop_index(name, table_name=table, schema="sync")
        op.create_index(name, table, list(columns), unique=False, schema="sync", postgresql_include=list(included))
