"""Marts without any row, as far as closing looks at them: for tests that need a statement and no dbt."""

from sqlalchemy import Connection, text

from zk_pipeline.domain.statement_rows import PARTS

_NAMES = "customer_id bigint, customer text DEFAULT '', organization_id text, activity text DEFAULT ''"
_AMOUNTS = ", ".join(
    f"minutes_{name} numeric DEFAULT 0"
    for name in ("zammad", *PARTS, "unexplained", "billable", "billed", "to_be_billed")
)
_COLUMNS = {
    "statement_lines": (
        "month date, entries bigint DEFAULT 0, agent text DEFAULT '', agent_email text DEFAULT '', "
        f"{_NAMES}, {_AMOUNTS}"
    ),
    "int_entries_named": (
        "booking_month date, entry_date date, entry_key text, source_id text, kimai_id bigint, ticket_id text, "
        "ticket_number text, "
        f"{_NAMES}, agent_name text, agent_address text, {_AMOUNTS}"
    ),
    "fct_time_entries": "entry_date date, day_version text, built_at timestamptz",
    "stg_day_versions": "entry_date date, day_version text",
    **dict.fromkeys(("stg_bookings", "stg_entries", "stg_ledger", "stg_adjustments"), "entry_date date"),
}


def make(connection: Connection) -> None:
    """Make those that are not there."""
    for name, columns in _COLUMNS.items():
        connection.execute(text(f"CREATE TABLE IF NOT EXISTS marts.{name} ({columns})"))


def drop(connection: Connection) -> None:
    """Take them away again."""
    for name in _COLUMNS:
        connection.execute(text(f"DROP TABLE marts.{name}"))
