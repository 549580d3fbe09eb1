"""Marts without any row, as far as closing looks at them: for tests that need a statement and no dbt."""

from sqlalchemy import Connection, text

_NAMES = "customer_id bigint, customer text, organization_id bigint, activity text"
_COLUMNS = {
    "statement_lines": f"month date, entries bigint, {_NAMES}, agent text, agent_email text",
    "int_entries_named": (
        "booking_month date, entry_date date, minutes_waiting numeric, minutes_unexplained numeric, "
        f"{_NAMES}, agent_name text, agent_address text"
    ),
    "fct_time_entries": "entry_date date, day_version text",
    "stg_day_versions": "entry_date date, day_version text",
}


def make(connection: Connection) -> None:
    """Make those that are not there."""
    for name, columns in _COLUMNS.items():
        connection.execute(text(f"CREATE TABLE IF NOT EXISTS marts.{name} ({columns})"))


def drop(connection: Connection) -> None:
    """Take them away again."""
    for name in _COLUMNS:
        connection.execute(text(f"DROP TABLE marts.{name}"))
