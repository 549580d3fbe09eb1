"""The tables of the schemas `zammad` and `kimai`: the rows of source and target, and the sweeps that read them."""

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    Column,
    Date,
    Identity,
    Index,
    Integer,
    Numeric,
    PrimaryKeyConstraint,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from zk_pipeline.store.tables import MONEY, directory_table, instant, json_column, metadata, text_column


def faults_column() -> Column:
    """The unreadable fields of the row, and why; the other columns have the last readable values."""
    return Column("faults", JSONB, nullable=False, server_default=text("'{}'::jsonb"))


sweeps = Table(
    "sweeps",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    text_column("connector"),
    text_column("subject"),
    instant("window_start"),
    instant("window_end"),
    Column("pages", Integer, nullable=False, server_default="0"),
    Column("rows", Integer, nullable=False, server_default="0"),
    Column("total_before", BigInteger),
    Column("total_after", BigInteger),
    Column("position", BigInteger),
    instant("high_water", nullable=True),
    Column("complete", Boolean, nullable=False, server_default=text("false")),
    text_column("reason", default=""),
    text_column("run_id"),
    instant("started_at", default=True),
    instant("ended_at", nullable=True),
    Index("sweeps_recent_idx", "connector", "subject", text("id DESC")),
    schema="sync",
)

# Which bookings there are, of sources that only tell what changed; a deletion may come for one that was never seen.
mirrored_bookings = Table(
    "mirrored_bookings",
    metadata,
    text_column("connector"),
    text_column("id"),
    text_column("ticket_id", default="''"),
    instant("counts_at", nullable=True),
    instant("changed_at", nullable=True),
    instant("gone_at", nullable=True),
    PrimaryKeyConstraint("connector", "id"),
    Index("mirrored_bookings_counts_at_idx", "connector", "counts_at"),
    schema="sync",
)

time_accountings = Table(
    "time_accountings",
    metadata,
    text_column("connector", doc="The source, by the name of its connector."),
    text_column("id", doc="The booking, by its id in Zammad."),
    text_column("ticket_id", doc="The ticket that was worked on."),
    text_column("article_id", nullable=True, doc="The note of the ticket that the time was booked with, if any."),
    Column(
        "units",
        Numeric(12, 4),
        nullable=False,
        doc="The booked amount in the unit of Zammad; ZK_MINUTES_PER_UNIT says what it is.",
    ),
    text_column("type_id", nullable=True, doc="The activity type, if one was chosen."),
    # The first creator that we saw: the source changes it to user 1 when the agent is deleted.
    text_column("agent_id", doc="The agent who booked."),
    instant("created_at", doc="When it was booked."),
    instant("updated_at", doc="When it was last changed."),
    instant("worked_at", nullable=True, doc="When the work began, if the source knows it."),
    instant("worked_until", nullable=True, doc="When the work ended, if the source knows it."),
    Column("seconds", BigInteger, doc="The exact time, of a source that has it instead of units."),
    text_column("note", default="''", doc="What the person wrote about the work."),
    Column(
        "is_final",
        Boolean,
        nullable=False,
        server_default=text("true"),
        doc="Whether it is complete; not while its timer runs.",
    ),
    Column("work_day", Date, nullable=False, doc="The day of the booking in the business zone: its partition."),
    Column("decided_id", BigInteger, doc="The version of the settings that decided the day and all that is derived."),
    json_column("raw", doc="The row as Zammad sent it."),
    faults_column(),
    instant("first_seen_at", default=True, doc="When it was first read."),
    instant("last_seen_at", default=True, doc="When it was last read."),
    Column("sweep_id", BigInteger, nullable=False),
    instant("gone_at", nullable=True, doc="When it was found to be deleted; empty while it is there."),
    PrimaryKeyConstraint("connector", "id"),
    Index("time_accountings_work_day_idx", "connector", "work_day"),
    Index("time_accountings_counts_at_idx", "connector", text("coalesce(worked_at, created_at)")),
    Index("time_accountings_group_idx", "connector", "ticket_id", "agent_id"),
    Index("time_accountings_corrections_idx", "connector", "ticket_id", "agent_id", postgresql_where=text("units < 0")),
    schema="zammad",
)

tickets = directory_table(
    "tickets",
    "zammad",
    text_column("number"),
    text_column("title"),
    text_column("organization_id", nullable=True),
    text_column("customer_id", nullable=True),
    text_column("group_id", nullable=True),
    text_column("group_name", nullable=True),
    text_column("customer_name", nullable=True),
    instant("updated_at", nullable=True),
    Column("complete", Boolean, nullable=False),
    json_column("raw"),
    faults_column(),
    # The ticket into which this one was merged, and the article that moved there and shows it.
    text_column("merged_into", nullable=True),
    text_column("merged_article_id", nullable=True),
    Index("tickets_merged_into_idx", "connector", "merged_into", postgresql_where=text("merged_into IS NOT NULL")),
    ids=Text,
)

agents = directory_table(
    "agents",
    "zammad",
    text_column("login", doc="The name for the sign-in."),
    text_column("email", doc="The address, in lower case."),
    text_column("name", doc="The name."),
    Column("active", Boolean, nullable=False, doc="Whether they may sign in."),
    ids=Text,
    doc="The agent, by their id.",
)
organizations = directory_table(
    "organizations",
    "zammad",
    text_column("name", doc="The name."),
    Column("active", Boolean, nullable=False, doc="Whether it is in use."),
    ids=Text,
    doc="The organization, by its id.",
)
activity_types = directory_table(
    "activity_types",
    "zammad",
    text_column("name", doc="The name."),
    Column("active", Boolean, nullable=False, doc="Whether it can be chosen."),
    ids=Text,
    doc="The type, by its id.",
)

timesheets = Table(
    "timesheets",
    metadata,
    text_column("connector", doc="The target, by the name of its connector."),
    Column("id", BigInteger, nullable=False, doc="The time sheet, by its id in Kimai."),
    Column("user_id", BigInteger, nullable=False, doc="The user whose time it is."),
    Column("project_id", BigInteger, nullable=False, doc="The project that it is billed on."),
    Column("activity_id", BigInteger, nullable=False, doc="The activity."),
    instant("begin_at", doc="When the work began."),
    instant("end_at", nullable=True, doc="When it ended; empty while it runs."),
    Column("duration_seconds", Integer, nullable=False, doc="The duration that Kimai bills, after its rounding."),
    text_column("description", doc="The text; the marker in it names the booking."),
    Column("tags", ARRAY(Text), nullable=False, doc="The tags in Kimai."),
    Column("exported", Boolean, nullable=False, doc="Whether it is billed. Billed time is never written."),
    Column("billable", Boolean, nullable=False, doc="Whether it is to be billed."),
    # NULL if the account may not see rates. Hourly and fixed rates are in the ledger's base.
    Column("rate", MONEY, doc="The amount in the currency of the customer; empty if the account may not see rates."),
    Column("break_seconds", Integer, nullable=False, server_default=text("0"), doc="The break within it."),
    json_column("raw", doc="The row as Kimai sent it."),
    faults_column(),
    instant("last_seen_at", default=True, doc="When it was last read."),
    Column("sweep_id", BigInteger),
    instant("gone_at", nullable=True, doc="When it was found to be deleted; empty while it is there."),
    PrimaryKeyConstraint("connector", "id"),
    Index("timesheets_begin_at_idx", "connector", "begin_at"),
    schema="kimai",
)

kimai_users = directory_table(
    "users",
    "kimai",
    text_column("username", doc="The name for the sign-in."),
    text_column("email", nullable=True, doc="The address, if they have one."),
    text_column("name", doc="The name that is shown."),
    Column("enabled", Boolean, nullable=False, doc="Whether they may sign in, and get new time sheets."),
    text_column("timezone", doc="The time zone, in which Kimai takes their times."),
    Column(
        "system_account",
        Boolean,
        nullable=False,
        server_default=text("false"),
        doc="Whether it is a program's account, for which nobody books.",
    ),
    doc="The user, by their id.",
)
customers = directory_table(
    "customers",
    "kimai",
    text_column("name", doc="The name."),
    text_column("number", nullable=True, doc="The number; `SOURCE-org-ID` for one that we made."),
    Column("visible", Boolean, nullable=False, doc="Whether it can be chosen."),
    text_column("currency", default="''", doc="The currency that it pays in."),
    doc="The customer, by its id.",
)
invoices = directory_table(
    "invoices",
    "kimai",
    text_column("number"),
    Column("customer_id", BigInteger, nullable=False),
    text_column("currency"),
    Column("total", MONEY, nullable=False),
    Column("tax", MONEY, nullable=False),
    Column("vat", MONEY, nullable=False),
    text_column("status"),
    instant("created_at"),
    Column("due_days", Integer, nullable=False),
    Column("payment_date", Date),
)
invoice_readings = Table(
    "invoice_readings",
    metadata,
    text_column("connector"),
    instant("tried_at", default=True),
    # The last successful read, and the problem of the last attempt.
    instant("read_at", nullable=True),
    text_column("problem"),
    PrimaryKeyConstraint("connector"),
    schema="kimai",
)
# The last comparison of exported and billable time with the invoices.
invoice_checks = Table(
    "invoice_checks",
    metadata,
    text_column("connector"),
    Column("customer_id", BigInteger, nullable=False),
    text_column("currency"),
    Column("sheets", Integer, nullable=False),
    Column("rates", MONEY, nullable=False),
    Column("invoices", ARRAY(Text), nullable=False),
    Column("invoiced", MONEY, nullable=False),
    instant("checked_at", default=True),
    PrimaryKeyConstraint("connector", "customer_id", "currency"),
    schema="kimai",
)
# Accepted differences. One is valid as long as the amount stays the same.
accepted_differences = Table(
    "accepted_differences",
    metadata,
    text_column("connector"),
    Column("customer_id", BigInteger, nullable=False),
    text_column("currency"),
    Column("difference", MONEY, nullable=False),
    text_column("reason"),
    text_column("accepted_by"),
    instant("accepted_at", default=True),
    PrimaryKeyConstraint("connector", "customer_id", "currency"),
    schema="kimai",
)
projects = directory_table(
    "projects",
    "kimai",
    text_column("name", doc="The name."),
    text_column("number", nullable=True, doc="The number; `ZO…` or `O…-SOURCE` for one that we made."),
    Column("customer_id", BigInteger, nullable=False, doc="The customer who pays for it."),
    Column("visible", Boolean, nullable=False, doc="Whether it can be chosen."),
    Column("start", Date, doc="The first day on which it takes time, if there is one."),
    Column("end", Date, doc="The last day on which it takes time, if there is one."),
    Column("global_activities", Boolean, nullable=False, doc="Whether it takes activities of no project."),
    Column("locked_until", Date, doc="The day until which it takes no changes, if there is one."),
    doc="The project, by its id.",
)
activities = directory_table(
    "activities",
    "kimai",
    text_column("name", doc="The name."),
    text_column("number", nullable=True, doc="The number, if it has one."),
    Column("project_id", BigInteger, doc="The only project that it is for; empty if it is for all."),
    Column("visible", Boolean, nullable=False, doc="Whether it can be chosen."),
    doc="The activity, by its id.",
)
servers = Table(
    "servers",
    metadata,
    text_column("connector"),
    text_column("version"),
    Column("caller_id", BigInteger, nullable=False),
    text_column("caller_name"),
    text_column("caller_timezone"),
    text_column("tracking_mode"),
    Column("allow_future_times", Boolean, nullable=False),
    Column("allow_overlapping", Boolean, nullable=False),
    instant("seen_at", default=True),
    PrimaryKeyConstraint("connector"),
    schema="kimai",
)
