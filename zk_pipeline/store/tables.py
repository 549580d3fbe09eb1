"""The tables, one PostgreSQL schema for each asset key prefix. Migrations are written from here; queries refer to here.

All times are timestamptz in UTC. `connector` is the name under which a system is stored in `sync.connectors`.
"""

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    MetaData,
    Numeric,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

metadata = MetaData(
    naming_convention={
        "pk": "%(table_name)s_pkey",
        "uq": "%(table_name)s_%(column_0_name)s_key",
        "ix": "%(table_name)s_%(column_0_N_name)s_idx",
        "fk": "%(table_name)s_%(column_0_name)s_fkey",
        "ck": "%(table_name)s_%(constraint_name)s_check",
    }
)

SCHEMAS = ("zammad", "kimai", "sync", "marts")

MINUTES = Numeric(14, 4)
NOW = text("now()")


def _instant(name: str, *, nullable: bool = False, default: bool = False) -> Column:
    return Column(name, DateTime(timezone=True), nullable=nullable, server_default=NOW if default else None)


def _text(name: str, *, nullable: bool = False, default: str | None = None) -> Column:
    return Column(name, Text, nullable=nullable, server_default=default)


def _json(name: str, *, nullable: bool = False) -> Column:
    return Column(name, JSONB, nullable=nullable)


def _directory(name: str, schema: str, *columns: Column) -> Table:
    """A table of everything a system has of one kind."""
    return Table(
        name,
        metadata,
        _text("connector"),
        Column("id", BigInteger, nullable=False),
        *columns,
        _instant("seen_at", default=True),
        PrimaryKeyConstraint("connector", "id"),
        schema=schema,
    )


# ---- zammad: what the source says ------------------------------------------------------------------------------------

time_accountings = Table(
    "time_accountings",
    metadata,
    _text("connector"),
    Column("id", BigInteger, nullable=False),
    Column("ticket_id", BigInteger, nullable=False),
    Column("article_id", BigInteger),
    Column("units", Numeric(12, 4), nullable=False),
    Column("type_id", BigInteger),
    # The first creator that we saw: the source rewrites it to user 1 when the agent is deleted.
    Column("agent_id", BigInteger, nullable=False),
    _instant("created_at"),
    _instant("updated_at"),
    Column("work_day", Date, nullable=False),
    _json("raw"),
    _instant("first_seen_at", default=True),
    _instant("last_seen_at", default=True),
    Column("sweep_id", BigInteger, nullable=False),
    _instant("gone_at", nullable=True),
    PrimaryKeyConstraint("connector", "id"),
    Index("time_accountings_work_day_idx", "connector", "work_day"),
    Index("time_accountings_group_idx", "connector", "ticket_id", "agent_id"),
    Index("time_accountings_corrections_idx", "connector", "ticket_id", "agent_id", postgresql_where=text("units < 0")),
    schema="zammad",
)

tickets = _directory(
    "tickets",
    "zammad",
    _text("number"),
    _text("title"),
    Column("organization_id", BigInteger),
    Column("customer_id", BigInteger),
    Column("group_id", BigInteger),
    _text("group_name", nullable=True),
    _text("customer_name", nullable=True),
    _instant("updated_at", nullable=True),
    Column("complete", Boolean, nullable=False),
    _json("raw"),
)

agents = _directory(
    "agents", "zammad", _text("login"), _text("email"), _text("name"), Column("active", Boolean, nullable=False)
)
organizations = _directory("organizations", "zammad", _text("name"), Column("active", Boolean, nullable=False))
activity_types = _directory("activity_types", "zammad", _text("name"), Column("active", Boolean, nullable=False))

# ---- kimai: what the target says -------------------------------------------------------------------------------------

timesheets = Table(
    "timesheets",
    metadata,
    _text("connector"),
    Column("id", BigInteger, nullable=False),
    Column("user_id", BigInteger, nullable=False),
    Column("project_id", BigInteger, nullable=False),
    Column("activity_id", BigInteger, nullable=False),
    _instant("begin_at"),
    _instant("end_at", nullable=True),
    Column("duration_seconds", Integer, nullable=False),
    _text("description"),
    Column("tags", ARRAY(Text), nullable=False),
    Column("exported", Boolean, nullable=False),
    Column("billable", Boolean, nullable=False),
    _json("raw"),
    _instant("last_seen_at", default=True),
    Column("sweep_id", BigInteger),
    _instant("gone_at", nullable=True),
    PrimaryKeyConstraint("connector", "id"),
    Index("timesheets_begin_at_idx", "connector", "begin_at"),
    schema="kimai",
)

kimai_users = _directory(
    "users",
    "kimai",
    _text("username"),
    _text("email", nullable=True),
    _text("name"),
    Column("enabled", Boolean, nullable=False),
    _text("timezone"),
)
customers = _directory(
    "customers", "kimai", _text("name"), _text("number", nullable=True), Column("visible", Boolean, nullable=False)
)
projects = _directory(
    "projects",
    "kimai",
    _text("name"),
    _text("number", nullable=True),
    Column("customer_id", BigInteger, nullable=False),
    Column("visible", Boolean, nullable=False),
    Column("start", Date),
    Column("end", Date),
    Column("global_activities", Boolean, nullable=False),
)
activities = _directory(
    "activities",
    "kimai",
    _text("name"),
    _text("number", nullable=True),
    Column("project_id", BigInteger),
    Column("visible", Boolean, nullable=False),
)
servers = Table(
    "servers",
    metadata,
    _text("connector"),
    _text("version"),
    Column("caller_id", BigInteger, nullable=False),
    _text("caller_name"),
    _text("caller_timezone"),
    _text("tracking_mode"),
    Column("allow_future_times", Boolean, nullable=False),
    Column("allow_overlapping", Boolean, nullable=False),
    _instant("seen_at", default=True),
    PrimaryKeyConstraint("connector"),
    schema="kimai",
)

# ---- sync: what we make of it ----------------------------------------------------------------------------------------

connectors = Table(
    "connectors",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    _text("role"),
    _text("kind"),
    _text("base_url"),
    _text("token_encrypted"),
    Column("active", Boolean, nullable=False, server_default=text("true")),
    _instant("created_at", default=True),
    _instant("updated_at", default=True),
    CheckConstraint("role IN ('source', 'target')", name="role"),
    schema="sync",
)

sweeps = Table(
    "sweeps",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    _text("connector"),
    _text("subject"),
    _instant("window_start"),
    _instant("window_end"),
    Column("pages", Integer, nullable=False, server_default="0"),
    Column("rows", Integer, nullable=False, server_default="0"),
    Column("total_before", BigInteger),
    Column("total_after", BigInteger),
    Column("position", BigInteger),
    _instant("high_water", nullable=True),
    Column("complete", Boolean, nullable=False, server_default=text("false")),
    _text("reason", default=""),
    _text("run_id"),
    _instant("started_at", default=True),
    _instant("ended_at", nullable=True),
    Index("sweeps_recent_idx", "connector", "subject", text("id DESC")),
    schema="sync",
)

normalized_entries = Table(
    "normalized_entries",
    metadata,
    _text("source"),
    _text("source_id"),
    _text("ticket_number"),
    Column("ticket_id", BigInteger, nullable=False),
    _text("ticket_title"),
    _text("description"),
    Column("booked_minutes", MINUTES, nullable=False),
    Column("time_minutes", MINUTES, nullable=False),
    Column("open_minutes", MINUTES, nullable=False),
    Column("activity_type_id", BigInteger),
    _text("activity_name", nullable=True),
    Column("agent_id", BigInteger, nullable=False),
    _text("user_email"),
    _text("user_name"),
    Column("organization_id", BigInteger),
    _text("organization_name", nullable=True),
    _text("customer_name", nullable=True),
    Column("group_id", BigInteger),
    _text("group_name", nullable=True),
    Column("ticket_known", Boolean, nullable=False),
    Column("entry_date", Date, nullable=False),
    _instant("begin_at"),
    _instant("end_at"),
    _instant("created_at"),
    _instant("updated_at"),
    Column("tags", ARRAY(Text), nullable=False),
    _text("sync_status"),
    _text("owned_hash"),
    _json("trace"),
    _instant("normalized_at", default=True),
    PrimaryKeyConstraint("source", "source_id"),
    Index("normalized_entries_entry_date_idx", "entry_date"),
    Index("normalized_entries_sync_status_idx", "sync_status"),
    schema="sync",
)

reconciliation_results = Table(
    "reconciliation_results",
    metadata,
    _text("connector"),
    Column("entry_date", Date, nullable=False),
    _text("key"),
    _text("source_id", nullable=True),
    Column("kimai_id", BigInteger),
    _text("status"),
    _text("action"),
    Column("minutes", MINUTES, nullable=False),
    _text("reason", nullable=True),
    _text("text"),
    _json("diff"),
    _json("candidates"),
    _json("draft", nullable=True),
    _text("facts_hash"),
    _text("run_id"),
    _instant("reconciled_at", default=True),
    PrimaryKeyConstraint("connector", "entry_date", "key"),
    Index("reconciliation_results_action_idx", "entry_date", "action"),
    Index("reconciliation_results_reason_idx", "reason"),
    schema="sync",
)

pushes = Table(
    "pushes",
    metadata,
    _text("connector"),
    _text("source_id"),
    _text("state"),
    _text("operation"),
    Column("entry_date", Date, nullable=False),
    _text("payload_hash"),
    _json("asked"),
    Column("kimai_id", BigInteger),
    _json("base", nullable=True),
    _text("facts_hash", default=""),
    _text("message", default=""),
    Column("attempts", Integer, nullable=False, server_default="0"),
    _text("run_id"),
    _instant("intended_at", default=True),
    _instant("updated_at", default=True),
    PrimaryKeyConstraint("connector", "source_id"),
    CheckConstraint("state IN ('intended', 'confirmed', 'failed', 'parked', 'undone')", name="state"),
    CheckConstraint("state <> 'confirmed' OR (kimai_id IS NOT NULL AND base IS NOT NULL)", name="confirmed_has_base"),
    Index("pushes_kimai_id_idx", "connector", "kimai_id"),
    Index("pushes_entry_date_idx", "connector", "entry_date"),
    Index("pushes_run_id_idx", "run_id"),
    schema="sync",
)

conflicts = Table(
    "conflicts",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    _text("connector"),
    Column("entry_date", Date, nullable=False),
    _text("key"),
    _text("source_id", nullable=True),
    Column("kimai_id", BigInteger),
    _text("reason"),
    _text("text"),
    _text("suggested_action"),
    _text("facts_hash"),
    _text("resolution_status", default="open"),
    _instant("opened_at", default=True),
    _instant("closed_at", nullable=True),
    CheckConstraint("resolution_status IN ('open', 'decided', 'carried_out', 'expired')", name="resolution_status"),
    Index("conflicts_resolution_status_idx", "resolution_status"),
    Index("conflicts_entry_date_idx", "connector", "entry_date"),
    Index(
        "conflicts_one_open_idx",
        "connector",
        "key",
        "reason",
        unique=True,
        postgresql_where=text("resolution_status = 'open'"),
    ),
    schema="sync",
)

activity_mappings = Table(
    "activity_mappings",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    # NULL stands for bookings without type, and for every organization.
    Column("type_id", BigInteger),
    Column("organization_id", BigInteger),
    Column("kimai_activity_id", BigInteger, nullable=False),
    _instant("updated_at", default=True),
    UniqueConstraint("type_id", "organization_id", postgresql_nulls_not_distinct=True),
    schema="sync",
)
user_mappings = Table(
    "user_mappings",
    metadata,
    Column("email", Text, primary_key=True),
    Column("kimai_user_id", BigInteger, nullable=False),
    _instant("updated_at", default=True),
    schema="sync",
)
customer_mappings = Table(
    "customer_mappings",
    metadata,
    Column("organization_id", BigInteger, primary_key=True, autoincrement=False),
    # NULL: the organization gets a customer of its own.
    Column("kimai_customer_id", BigInteger),
    _instant("updated_at", default=True),
    schema="sync",
)

sync_runs = Table(
    "sync_runs",
    metadata,
    Column("run_id", Text, primary_key=True),
    Column("first_day", Date),
    Column("last_day", Date),
    # Added up by the stages: entries, created, updated, ..., requests by system.
    _json("counts"),
    _instant("started_at", default=True),
    _instant("updated_at", default=True),
    Index("sync_runs_started_at_idx", text("started_at DESC")),
    schema="sync",
)

day_requests = Table(
    "day_requests",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("day", Date, nullable=False),
    _text("reason"),
    Column("ticket_ids", ARRAY(BigInteger), nullable=False, server_default=text("'{}'")),
    _instant("requested_at", default=True),
    _text("claimed_by_run", nullable=True),
    _instant("claimed_at", nullable=True),
    Index("day_requests_unclaimed_idx", "day", postgresql_where=text("claimed_by_run IS NULL")),
    schema="sync",
)

audit_logs = Table(
    "audit_logs",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    _text("event"),
    _text("actor"),
    _text("subject"),
    _text("run_id", nullable=True),
    _instant("created_at"),
    _text("detail_hash"),
    _text("previous_hash"),
    _text("hash"),
    Index("audit_logs_created_at_idx", text("created_at DESC")),
    Index("audit_logs_subject_idx", "subject"),
    schema="sync",
)
audit_details = Table(
    "audit_details",
    metadata,
    # Beside the chain, so that personal data can be erased while the chain still verifies.
    Column("id", BigInteger, ForeignKey(audit_logs.c.id), primary_key=True, autoincrement=False),
    _text("salt"),
    _json("detail"),
    schema="sync",
)
