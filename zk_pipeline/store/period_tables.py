"""The tables of billing: periods that were closed, what was adjusted after that, and the settings that decided it."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Date,
    ForeignKey,
    Identity,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Table,
    UniqueConstraint,
    text,
)

from zk_pipeline.store.columns import MINUTES, MONEY, instant, json_column, metadata, text_column

# One row for each closing, kept when the month is opened again; a month is closed while it has a row not reopened.
periods = Table(
    "periods",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    # Its first day, in the business zone.
    Column("month", Date, nullable=False),
    instant("closed_at", default=True),
    text_column("closed_by"),
    # The head of the audit chain at that moment, and a hash of the statement's lines.
    text_column("audit_head"),
    text_column("statement_hash"),
    Column("minutes_waiting", MINUTES, nullable=False),
    instant("reopened_at", nullable=True),
    text_column("reopened_by", nullable=True),
    text_column("reopened_reason", nullable=True),
    CheckConstraint("month = date_trunc('month', month)::date", name="month_is_a_first_day"),
    Index("periods_one_open_idx", "month", unique=True, postgresql_where=text("reopened_at IS NULL")),
    schema="sync",
)

# The statement as it was when a period was closed. Its hash covers all of it, that of the period only what was frozen.
closed_statements = Table(
    "closed_statements",
    metadata,
    Column("id", BigInteger, ForeignKey(periods.c.id), primary_key=True, autoincrement=False),
    json_column("content"),
    text_column("hash"),
    schema="sync",
)

# Time sheets as they were when they were first seen exported or closed: what is changed after that is asked about.
locked_timesheets = Table(
    "locked_timesheets",
    metadata,
    text_column("connector"),
    Column("kimai_id", BigInteger, nullable=False),
    Column("user_id", BigInteger, nullable=False),
    instant("begin_at"),
    Column("duration_seconds", Integer, nullable=False),
    Column("project_id", BigInteger, nullable=False),
    Column("activity_id", BigInteger, nullable=False),
    instant("locked_at", default=True),
    PrimaryKeyConstraint("connector", "kimai_id"),
    schema="sync",
)

# Signed minutes of one side (person, project, activity). Positive ones are carried by an entry of the source id
# `a<id>`, negative ones are credits.
adjustments = Table(
    "adjustments",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    text_column("connector"),
    # The booking that is adjusted, its time sheet, and its work day.
    text_column("source_id"),
    Column("kimai_id", BigInteger),
    Column("original_day", Date, nullable=False),
    Column("original_month", Date, nullable=False),
    Column("minutes", MINUTES, nullable=False),
    # What a credit gives back without tax, in the currency of the customer; none where that is not known.
    Column("amount", MONEY),
    text_column("reason"),
    # Where the adjustment itself is booked.
    Column("entry_date", Date, nullable=False),
    instant("begin_at"),
    Column("user_id", BigInteger, nullable=False),
    Column("project_id", BigInteger),
    text_column("project_number"),
    Column("activity_id", BigInteger, nullable=False),
    # The entry as it was when this was decided, without the names of people; none where the booking is gone.
    json_column("original", nullable=True),
    text_column("facts_hash"),
    text_column("decided_by"),
    instant("decided_at"),
    text_column("state"),
    text_column("settled_by", nullable=True),
    instant("settled_at", nullable=True),
    text_column("note", default=""),
    CheckConstraint("state IN ('booked', 'open', 'settled')", name="state"),
    CheckConstraint("(minutes > 0) = (state = 'booked') AND minutes <> 0", name="credits_are_negative"),
    CheckConstraint("minutes < 0 OR original IS NOT NULL", name="booked_has_an_entry"),
    # The same question is never answered twice, whatever runs meet.
    UniqueConstraint(
        "connector",
        "source_id",
        "facts_hash",
        "user_id",
        "project_id",
        "project_number",
        "activity_id",
        postgresql_nulls_not_distinct=True,
    ),
    Index("adjustments_original_day_idx", "connector", "original_day"),
    Index("adjustments_entry_date_idx", "connector", "entry_date"),
    schema="sync",
)

# The settings that stored facts were decided by, in every version: bookings and entries name theirs.
decided_settings = Table(
    "decided_settings",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    json_column("value"),
    text_column("recorded_by"),
    instant("recorded_at", default=True),
    schema="sync",
)
