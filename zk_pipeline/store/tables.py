"""The tables of the schema `sync`: the chain, requests, people, mappings, billing and privacy."""

from typing import Any

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
    LargeBinary,
    MetaData,
    Numeric,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.schema import SchemaItem
from sqlalchemy.types import TypeEngine

# Common parts of all tables: the metadata, naming of constraints, and recurring columns.
#
# All times are timestamptz in UTC. `connector` is the name under which a system is stored in `sync.connectors`.

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
MONEY = Numeric(14, 4)
"""Kimai calculates the amount of a time sheet to a hundredth of a cent (docs/kimai.md §15)."""
NOW = text("now()")


def instant(name: str, *, nullable: bool = False, default: bool = False, doc: str | None = None) -> Column:
    """An instant; with `default`, the current one. `doc` is what Dagster's catalog says of a column."""
    return Column(name, DateTime(timezone=True), nullable=nullable, server_default=NOW if default else None, doc=doc)


def text_column(name: str, *, nullable: bool = False, default: str | None = None, doc: str | None = None) -> Column:
    """A text; `default` is SQL text."""
    return Column(name, Text, nullable=nullable, server_default=default, doc=doc)


def json_column(name: str, *, nullable: bool = False, doc: str | None = None) -> Column:
    """A JSON value."""
    return Column(name, JSONB, nullable=nullable, doc=doc)


def directory_table(
    name: str,
    schema: str,
    *columns: SchemaItem,
    ids: type[TypeEngine[Any]] = BigInteger,
    doc: str | None = None,
) -> Table:
    """A table with everything of one kind that a system has; `doc` describes the id, `ids` is its type."""
    return Table(
        name,
        metadata,
        text_column("connector"),
        Column("id", ids, nullable=False, doc=doc),
        *columns,
        instant("seen_at", default=True, doc="When it was last read."),
        PrimaryKeyConstraint("connector", "id"),
        schema=schema,
    )


# The tables of the schema `sync`: what we derive from source and target.

connectors = Table(
    "connectors",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    text_column("role"),
    text_column("kind"),
    text_column("base_url"),
    text_column("token_encrypted"),
    Column("active", Boolean, nullable=False, server_default=text("true")),
    instant("created_at", default=True),
    instant("updated_at", default=True),
    text_column("number_space", nullable=True),
    UniqueConstraint("number_space"),
    CheckConstraint("role IN ('source', 'target')", name="role"),
    schema="sync",
)

normalized_entries = Table(
    "normalized_entries",
    metadata,
    text_column("source", doc="The source of the booking."),
    text_column("source_id", doc="The booking, by its id in the source."),
    text_column("ticket_number", doc="The number of the ticket that people use."),
    text_column("ticket_id", doc="The ticket, by its id."),
    text_column("ticket_title", doc="The title of the ticket."),
    text_column("description", doc="The text of the time sheet, with the marker."),
    Column("booked_minutes", MINUTES, nullable=False, doc="The booked minutes, before corrections."),
    Column("time_minutes", MINUTES, nullable=False, doc="The minutes after corrections: what Kimai should have."),
    Column(
        "open_minutes", MINUTES, nullable=False, doc="Of a correction, the minutes that found no booking to reduce."
    ),
    text_column("activity_type_id", nullable=True, doc="The activity type."),
    text_column("activity_name", nullable=True, doc="The name of the activity type."),
    text_column("agent_id", doc="The agent who booked."),
    text_column("user_email", doc="The address of the agent."),
    text_column("user_name", doc="The name of the agent."),
    text_column("organization_id", nullable=True, doc="The organization of the ticket."),
    text_column("organization_name", nullable=True, doc="The name of the organization: the customer."),
    text_column("customer_name", nullable=True, doc="The person who asked for the work."),
    text_column("group_id", nullable=True),
    text_column("group_name", nullable=True),
    Column("ticket_known", Boolean, nullable=False),
    Column("entry_date", Date, nullable=False, doc="The work day in the business zone: its partition."),
    instant("begin_at", doc="When the time sheet begins."),
    instant("end_at", doc="When the time sheet ends."),
    instant("created_at", doc="When it was booked."),
    instant("updated_at", doc="When the booking was last changed."),
    Column("tags", ARRAY(Text), nullable=False, doc="The tags of the time sheet."),
    text_column("sync_status", doc="What the last plan found the booking to be."),
    text_column("owned_hash"),
    json_column("trace"),
    Column("decided_id", BigInteger),
    instant("normalized_at", default=True, doc="When the row was derived."),
    PrimaryKeyConstraint("source", "source_id"),
    Index(
        "normalized_entries_entry_date_idx", "entry_date", "source", "source_id", postgresql_include=["time_minutes"]
    ),
    Index("normalized_entries_ticket_number_idx", "ticket_number"),
    Index("normalized_entries_user_email_idx", text("lower(user_email)")),
    Index("normalized_entries_user_name_idx", text("lower(user_name)")),
    Index("normalized_entries_organization_name_idx", text("lower(organization_name)")),
    Index("normalized_entries_customer_name_idx", text("lower(customer_name)")),
    Index("normalized_entries_sync_status_idx", "sync_status"),
    schema="sync",
)

reconciliation_results = Table(
    "reconciliation_results",
    metadata,
    text_column("connector", doc="The target."),
    Column("entry_date", Date, nullable=False, doc="The work day: its partition."),
    text_column("key", doc="The line, by its booking or time sheet."),
    text_column("source_id", nullable=True, doc="The booking, if there is one."),
    Column("kimai_id", BigInteger, doc="The time sheet, if there is one."),
    text_column("status", doc="What the booking and the time sheet are to each other."),
    text_column("action", doc="What to do in Kimai."),
    Column("minutes", MINUTES, nullable=False, doc="The minutes that the line is about."),
    text_column("reason", nullable=True, doc="Why a person decides, if one does."),
    text_column("text", doc="The reason with its particulars."),
    json_column("diff", doc="What differs, field by field."),
    json_column("candidates"),
    json_column("draft", nullable=True, doc="The time sheet as it should be."),
    text_column("facts_hash", doc="Identifies what the line was decided by."),
    text_column("decided", default="", doc="What a person decided about it."),
    Column(
        "rounding_minutes",
        MINUTES,
        doc="Of an adjusted billed booking, how much more than it says is billed for it, because Kimai rounds.",
    ),
    # Set by the push: the line is carried out. It stays as it was planned.
    Column(
        "carried_out",
        Boolean,
        nullable=False,
        server_default=text("false"),
        doc="Whether the push has carried the line out.",
    ),
    # Set by an undo: the line is outdated and no longer the plan of its day.
    text_column("taken_back_by", nullable=True, doc="The run that undid the line, if one did."),
    text_column("run_id", doc="The run that made the plan."),
    instant("reconciled_at", default=True, doc="When the plan was made."),
    PrimaryKeyConstraint("connector", "entry_date", "key"),
    Index("reconciliation_results_action_idx", "connector", "action", "entry_date", "key"),
    Index("reconciliation_results_reason_idx", "connector", "reason", "entry_date", "key"),
    Index("reconciliation_results_source_id_idx", "connector", "source_id"),
    Index("reconciliation_results_status_idx", "connector", "status", "entry_date", "key"),
    Index(
        "reconciliation_results_taken_back_idx",
        "connector",
        "entry_date",
        postgresql_where=text("taken_back_by IS NOT NULL"),
    ),
    schema="sync",
)

pushes = Table(
    "pushes",
    metadata,
    text_column("connector", doc="The target."),
    text_column("source_id", doc="The booking: one row for the last write of each."),
    text_column("state", doc="Whether the write is intended, confirmed, failed, parked or undone."),
    text_column("operation", doc="What was written: create, update, delete or link."),
    Column("entry_date", Date, nullable=False, doc="The work day: its partition."),
    text_column("payload_hash"),
    json_column("asked", doc="What Kimai was asked to store."),
    Column("kimai_id", BigInteger, doc="The time sheet."),
    json_column("base", nullable=True, doc="What Kimai had after the write; later edits are compared with it."),
    # What people had set in the target and an update in progress sends back.
    json_column("by_hand", nullable=True),
    text_column("facts_hash", default="", doc="Identifies what the write was decided by."),
    text_column("message", default="", doc="What Kimai answered, if it refused."),
    Column("attempts", Integer, nullable=False, server_default="0", doc="How often it was tried."),
    text_column("run_id", doc="The run that wrote."),
    instant("intended_at", default=True, doc="When the write was intended."),
    instant("updated_at", default=True, doc="When its outcome was recorded."),
    PrimaryKeyConstraint("connector", "source_id"),
    CheckConstraint("state IN ('intended', 'confirmed', 'failed', 'parked', 'undone')", name="state"),
    CheckConstraint("state <> 'confirmed' OR (kimai_id IS NOT NULL AND base IS NOT NULL)", name="confirmed_has_base"),
    Index("pushes_kimai_id_idx", "connector", "kimai_id"),
    Index("pushes_entry_date_idx", "connector", "entry_date"),
    Index("pushes_run_id_idx", "run_id"),
    schema="sync",
)

_IS_OPEN = text("resolution_status = 'open'")
IS_LEFT_OUT = text("decision = 'ignore' AND resolution_status IN ('decided', 'carried_out')")
"""Of a conflict: the decision to leave its booking out holds."""

conflicts = Table(
    "conflicts",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    text_column("connector"),
    Column("entry_date", Date, nullable=False),
    text_column("key"),
    text_column("source_id", nullable=True),
    Column("kimai_id", BigInteger),
    text_column("reason"),
    text_column("text"),
    text_column("suggested_action"),
    text_column("facts_hash"),
    text_column("status", default=""),
    Column("uncertain", Boolean, nullable=False, server_default=text("false")),
    text_column("resolution_status", default="open"),
    text_column("decision", nullable=True),
    Column("decision_timesheet_id", BigInteger),
    Column("decision_booking_id", Text),
    text_column("decision_why", default=""),
    text_column("decided_by", nullable=True),
    instant("decided_at", nullable=True),
    instant("opened_at", default=True),
    instant("closed_at", nullable=True),
    CheckConstraint("resolution_status IN ('open', 'decided', 'carried_out', 'expired')", name="resolution_status"),
    Index("conflicts_resolution_status_idx", "resolution_status", "entry_date", "id", postgresql_include=["reason"]),
    Index("conflicts_entry_date_idx", "connector", "entry_date"),
    Index("conflicts_key_idx", "connector", "key"),
    Index("conflicts_left_out_idx", "entry_date", "id", postgresql_where=IS_LEFT_OUT),
    Index("conflicts_one_open_idx", "connector", "key", "reason", unique=True, postgresql_where=_IS_OPEN),
    schema="sync",
)

# Every write to the target with the state before it: what `zk undo` reverses and `zk trace` shows.
writes = Table(
    "writes",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    text_column("connector"),
    text_column("run_id"),
    text_column("operation"),
    text_column("source_id", nullable=True),
    Column("kimai_id", BigInteger, nullable=False),
    Column("entry_date", Date),
    json_column("before", nullable=True),
    json_column("after", nullable=True),
    instant("written_at", default=True),
    text_column("undone_by", nullable=True),
    Index("writes_run_id_idx", "run_id"),
    Index("writes_source_id_idx", "connector", "source_id"),
    schema="sync",
)

# What a person approved at once, as shown: the key of each line and the hash of what it writes.
approvals = Table(
    "approvals",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    text_column("connector"),
    Column("entry_date", Date, nullable=False),
    json_column("lines"),
    text_column("plan_hash"),
    text_column("approved_by"),
    instant("approved_at", default=True),
    Index("approvals_entry_date_idx", "connector", "entry_date"),
    schema="sync",
)
# The state of each line of an approval: it may be written while `open`, and only once.
approved_lines = Table(
    "approved_lines",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("approval_id", BigInteger, ForeignKey(approvals.c.id), nullable=False),
    text_column("connector"),
    Column("entry_date", Date, nullable=False),
    text_column("key"),
    text_column("line_hash"),
    text_column("state", default="open"),
    text_column("ended_by", nullable=True),
    instant("ended_at", nullable=True),
    CheckConstraint("state IN ('open', 'spent', 'revoked', 'lapsed')", name="state"),
    Index("approved_lines_approval_id_idx", "approval_id"),
    Index(
        "approved_lines_one_open_idx",
        "connector",
        "entry_date",
        "key",
        unique=True,
        postgresql_where=text("state = 'open'"),
    ),
    schema="sync",
)

sync_runs = Table(
    "sync_runs",
    metadata,
    Column("run_id", Text, primary_key=True),
    Column("first_day", Date),
    Column("last_day", Date),
    # Added up by the stages: entries, created, updated, ..., requests by system.
    json_column("counts"),
    # The day requests that were open when the run began to read: those it answers if it succeeds.
    Column("request_ids", ARRAY(BigInteger), nullable=False, server_default=text("'{}'")),
    # The newest day carried out, and when the last one was; a plan carries out none.
    Column("carried_out_until", Date),
    instant("carried_out_at", nullable=True),
    # What a failed run tells the operator, without addresses and secrets.
    text_column("failure", default=""),
    instant("started_at", default=True),
    instant("updated_at", default=True),
    Index("sync_runs_started_at_idx", text("started_at DESC")),
    schema="sync",
)

day_requests = Table(
    "day_requests",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("day", Date, nullable=False),
    text_column("reason"),
    Column("ticket_ids", ARRAY(Text), nullable=False, server_default=text("'{}'")),
    instant("requested_at", default=True),
    # How often a run was requested for it, and when the next one is due after a failure.
    Column("tries", Integer, nullable=False, server_default="0"),
    instant("not_before", default=True),
    text_column("claimed_by_run", nullable=True),
    instant("claimed_at", nullable=True),
    # The system that was unreachable in its last run; when it answers again, the day is due at once.
    text_column("waits_for", nullable=True),
    # Who decided not to carry it out after its run was cancelled; it is then assigned to that run.
    text_column("left_by", nullable=True),
    Index("day_requests_unclaimed_idx", "day", postgresql_where=text("claimed_by_run IS NULL")),
    # Days of one request have the same instant.
    Index("day_requests_requested_at_idx", "requested_at"),
    schema="sync",
)

webhook_deliveries = Table(
    "webhook_deliveries",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    text_column("connector"),
    text_column("delivery_id"),
    text_column("ticket_id"),
    # The signed bytes: serialized again they would not verify.
    Column("body", LargeBinary, nullable=False),
    instant("received_at", default=True),
    instant("processed_at", nullable=True),
    text_column("note", default=""),
    UniqueConstraint("connector", "delivery_id"),
    Index("webhook_deliveries_unprocessed_idx", "id", postgresql_where=text("processed_at IS NULL")),
    Index("webhook_deliveries_received_at_idx", "received_at"),
    schema="sync",
)
webhook_rejections = Table(
    "webhook_rejections",
    metadata,
    text_column("connector"),
    text_column("reason"),
    Column("day", Date, nullable=False),
    Column("number", BigInteger, nullable=False),
    instant("last_at", default=True),
    PrimaryKeyConstraint("connector", "reason", "day"),
    schema="sync",
)

cursors = Table(
    "cursors",
    metadata,
    text_column("connector"),
    text_column("subject"),
    json_column("value"),
    instant("updated_at", default=True),
    PrimaryKeyConstraint("connector", "subject"),
    schema="sync",
)

stored_settings = Table(
    "settings",
    metadata,
    Column("name", Text, primary_key=True),
    json_column("value"),
    text_column("updated_by"),
    instant("updated_at", default=True),
    schema="sync",
)

audit_logs = Table(
    "audit_logs",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    text_column("event"),
    text_column("actor"),
    text_column("subject"),
    text_column("run_id", nullable=True),
    instant("created_at"),
    text_column("detail_hash"),
    text_column("previous_hash"),
    text_column("hash"),
    Index("audit_logs_actor_idx", "actor", "event"),
    Index("audit_logs_created_at_idx", text("created_at DESC")),
    Index("audit_logs_event_idx", "event"),
    Index("audit_logs_subject_idx", "subject"),
    schema="sync",
)
# The end of the chain, which cutting off rows does not change. Triggers only let it move forward.
audit_head = Table(
    "audit_head",
    metadata,
    Column("id", SmallInteger, primary_key=True, autoincrement=False),
    Column("number", BigInteger, nullable=False),
    text_column("hash"),
    # An HMAC of both with the trail's key; empty until the first start with a key.
    text_column("seal", default=""),
    CheckConstraint("id = 1", name="one_row"),
    schema="sync",
)
audit_details = Table(
    "audit_details",
    metadata,
    # Separate from the chain, so that personal data can be erased while the chain still verifies.
    Column("id", BigInteger, ForeignKey(audit_logs.c.id), primary_key=True, autoincrement=False),
    text_column("salt"),
    json_column("detail"),
    schema="sync",
)

# The tables of requests: those to the target, those that people send us, and the systems' reachability.

request_log = Table(
    "request_log",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    text_column("connector"),
    text_column("run_id"),
    # NULL if it is for no booking, such as a new customer.
    Column("source_id", Text),
    text_column("method"),
    text_column("path"),
    json_column("asked", nullable=True),
    # NULL without an answer; then `error` says why.
    Column("status", Integer),
    json_column("answered", nullable=True),
    text_column("error", default=""),
    Column("seconds", Numeric(10, 3), nullable=False),
    instant("sent_at"),
    Index("request_log_source_id_idx", "connector", "source_id"),
    Index("request_log_sent_at_idx", "sent_at"),
    schema="sync",
)

reachability = Table(
    "reachability",
    metadata,
    Column("connector", Text, primary_key=True),
    instant("last_success_at", nullable=True),
    # NULL while the system answers.
    instant("failing_since", nullable=True),
    Column("failures", Integer, nullable=False, server_default="0"),
    # No requests before this time; with `asked_to_wait`, the system named it.
    instant("not_before", nullable=True),
    Column("asked_to_wait", Boolean, nullable=False, server_default=text("false")),
    text_column("problem", default=""),
    # It answers, but rejects our token.
    Column("refused", Boolean, nullable=False, server_default=text("false")),
    instant("updated_at", default=True),
    schema="sync",
)

# Requests with an idempotency key, so that a repeated one acts only once. Kept for a day.
acts = Table(
    "acts",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    text_column("actor"),
    text_column("key"),
    text_column("route"),
    text_column("body_hash"),
    # NULL while in progress, and for good if the process died meanwhile.
    Column("status", Integer),
    # Encrypted, because it may be a new token or contain names.
    text_column("answer", nullable=True),
    instant("asked_at", default=True),
    UniqueConstraint("actor", "key"),
    Index("acts_asked_at_idx", "asked_at"),
    schema="sync",
)

# The runs that people had Dagster start, one per key.
launched_runs = Table(
    "launched_runs",
    metadata,
    Column("run_key", Text, primary_key=True),
    # NULL between the intent and Dagster's answer; then the run is found by the key in its tags.
    Column("run_id", Text),
    instant("launched_at", default=True),
    Index("launched_runs_launched_at_idx", "launched_at"),
    schema="sync",
)

# Authorizes a run that overrides limits, undoes, tags, deletes history or restores: one request for one run.
run_requests = Table(
    "run_requests",
    metadata,
    Column("token_hash", Text, primary_key=True),
    text_column("actor"),
    text_column("job"),
    # The run to undo, the month to tag, or the days whose limits are overridden.
    text_column("about"),
    instant("asked_at", default=True),
    # NULL until a run has spent it.
    Column("run_id", Text),
    instant("spent_at", nullable=True),
    Index("run_requests_asked_at_idx", "asked_at"),
    schema="sync",
)

# Runs that somebody cancelled; each is stored, so that none is recorded twice.
cancelled_runs = Table(
    "cancelled_runs",
    metadata,
    Column("run_id", Text, primary_key=True),
    # Who cancelled it in the console, API or command line; Dagster's own UI does not say.
    text_column("asked_by", default=""),
    # When Dagster was asked; NULL until its record is seen.
    instant("cancelled_at", nullable=True),
    # The days that it did not carry out and that nobody has decided about.
    Column("held_days", ARRAY(Date), nullable=False, server_default=text("'{}'")),
    schema="sync",
)

# The tables of access to console and API: users, their credentials, and failed sign-ins.

_ROLE = "role IN ('viewer', 'operator', 'admin')"

users = Table(
    "users",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    # In lower case. Nothing else refers to a person by it: the audit chain and decisions name `user:<id>`.
    Column("email", Text, nullable=False, unique=True),
    text_column("name"),
    text_column("role"),
    # argon2; NULL for people who only sign in through the identity provider.
    text_column("password_hash", nullable=True),
    # Issuer and subject at the identity provider.
    Column("oidc_subject", Text, unique=True),
    Column("active", Boolean, nullable=False, server_default=text("true")),
    instant("created_at", default=True),
    instant("updated_at", default=True),
    instant("last_login_at", nullable=True),
    CheckConstraint(_ROLE, name="role"),
    schema="sync",
)

sessions = Table(
    "sessions",
    metadata,
    # Random, and new at each sign-in, to prevent session fixation. That of a browser is the hash of what its cookie
    # begins with.
    Column("id", Text, primary_key=True),
    Column("user_id", BigInteger, ForeignKey(users.c.id, ondelete="CASCADE"), nullable=False),
    # Hashes of the valid refresh token or cookie and of the one before; whoever presents an older one has stolen it.
    text_column("refresh_hash"),
    text_column("previous_hash", default=""),
    instant("created_at", default=True),
    instant("refreshed_at", default=True),
    instant("expires_at"),
    instant("ended_at", nullable=True),
    # When the user last entered a password, or signed in at the identity provider to confirm.
    instant("confirmed_at", nullable=True),
    Column("by_provider", Boolean, nullable=False, server_default=text("false")),
    Index("sessions_user_id_idx", "user_id"),
    schema="sync",
)

api_tokens = Table(
    "api_tokens",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("user_id", BigInteger, ForeignKey(users.c.id, ondelete="CASCADE"), nullable=False),
    text_column("name"),
    text_column("role"),
    # SHA-256 of a random 256-bit token; the token itself is shown once.
    Column("token_hash", Text, nullable=False, unique=True),
    instant("created_at", default=True),
    instant("expires_at"),
    instant("last_used_at", nullable=True),
    instant("revoked_at", nullable=True),
    CheckConstraint(_ROLE, name="role"),
    schema="sync",
)

second_factors = Table(
    "second_factors",
    metadata,
    Column("user_id", BigInteger, ForeignKey(users.c.id, ondelete="CASCADE"), primary_key=True),
    # The secret of the app's codes.
    text_column("secret_encrypted"),
    # The half minute of the newest accepted code: each code counts once.
    Column("last_step", BigInteger, nullable=False, server_default=text("0")),
    instant("created_at", default=True),
    # NULL until a first code showed that the app has the secret.
    instant("active_since", nullable=True),
    schema="sync",
)

recovery_codes = Table(
    "recovery_codes",
    metadata,
    # SHA-256 of 120 random bits.
    Column("code_hash", Text, primary_key=True),
    Column("user_id", BigInteger, ForeignKey(users.c.id, ondelete="CASCADE"), nullable=False),
    instant("used_at", nullable=True),
    Index("recovery_codes_user_id_idx", "user_id"),
    schema="sync",
)

failed_logins = Table(
    "failed_logins",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    # Hash of the e-mail that was tried, and the client's address: attempts are counted by them.
    text_column("account_hash"),
    text_column("address"),
    # Known devices of the account are counted separately; otherwise empty.
    text_column("way", default=""),
    instant("at", default=True),
    Index("failed_logins_account_hash_idx", "account_hash", "at"),
    Index("failed_logins_address_idx", "address", "at"),
    schema="sync",
)

# The tables of the operator's mappings, and of the users of agents without one.

activity_mappings = Table(
    "activity_mappings",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    # NULL stands for bookings without type, and for every organization.
    Column("type_id", Text),
    Column("organization_id", Text),
    Column("kimai_activity_id", BigInteger, nullable=False),
    instant("updated_at", default=True),
    UniqueConstraint("type_id", "organization_id", postgresql_nulls_not_distinct=True),
    schema="sync",
)
user_mappings = Table(
    "user_mappings",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    # An agent's address in lower case, unknown to the directory when the mapping was set; only used without id.
    text_column("email", default=""),
    Column("agent_id", Text, unique=True),
    Column("kimai_user_id", BigInteger, nullable=False),
    instant("updated_at", default=True),
    Index("user_mappings_email_idx", "email", unique=True, postgresql_where=text("agent_id IS NULL")),
    schema="sync",
)
# The users that unmapped agents' time was last written for, so that a new address changes nothing.
carried_agents = Table(
    "carried_agents",
    metadata,
    text_column("agent_id", doc="The agent in the source."),
    Column("kimai_user_id", BigInteger, nullable=False),
    instant("updated_at", default=True),
    text_column("source", doc="The source of the agent."),
    PrimaryKeyConstraint("source", "agent_id"),
    schema="sync",
)
customer_mappings = Table(
    "customer_mappings",
    metadata,
    Column("organization_id", Text, primary_key=True),
    # NULL: the organization gets a customer of its own.
    Column("kimai_customer_id", BigInteger),
    instant("updated_at", default=True),
    schema="sync",
)

# The tables of billing: closed periods, adjustments after that, and the settings that facts depend on.

# One row per closing, kept when the month is reopened; a month is closed while it has a row not reopened.
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

# The statement when a period was closed. Its hash covers all of it, the period's hash only the frozen part.
closed_statements = Table(
    "closed_statements",
    metadata,
    Column("id", BigInteger, ForeignKey(periods.c.id), primary_key=True, autoincrement=False),
    json_column("content"),
    text_column("hash"),
    schema="sync",
)

# Which customers of a month a person has reviewed before it is closed.
customer_reviews = Table(
    "customer_reviews",
    metadata,
    # The month's first day, and the customer's number in the target, or the name of one without number.
    Column("month", Date, nullable=False),
    text_column("customer"),
    # Of what was reviewed: the review holds while the customer's time has this hash.
    text_column("hash"),
    text_column("reviewed_by"),
    instant("reviewed_at", default=True),
    PrimaryKeyConstraint("month", "customer"),
    schema="sync",
)

# Writes into tickets of the source, planned and done, one row for each. `content` is the tag or the note.
write_backs = Table(
    "write_backs",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    # The source, and the ticket by its id there.
    text_column("connector"),
    text_column("ticket_id"),
    text_column("ticket_number"),
    text_column("kind"),
    # The first day of the month that it says something about.
    Column("month", Date, nullable=False),
    text_column("operation"),
    text_column("content"),
    text_column("because"),
    Column("minutes", MINUTES, nullable=False),
    text_column("facts_hash"),
    text_column("state"),
    # Whether what stands there was put there by us; a tag that was there before is never taken off.
    Column("ours", Boolean, nullable=False, server_default=text("true")),
    # The note, by its id in the source.
    text_column("remote_id", nullable=True),
    # Of what is taken off or put back: the row that it takes back.
    Column("replaces", BigInteger),
    text_column("approved_by", nullable=True),
    text_column("message", default=""),
    Column("attempts", Integer, nullable=False, server_default="0"),
    text_column("run_id", nullable=True),
    instant("created_at", default=True),
    instant("intended_at", nullable=True),
    instant("updated_at", default=True),
    CheckConstraint("kind IN ('tag', 'note')", name="kind"),
    CheckConstraint("operation IN ('add', 'remove')", name="operation"),
    CheckConstraint(
        "state IN ('approved', 'intended', 'confirmed', 'failed', 'lapsed', 'removed', 'undone')", name="state"
    ),
    Index(
        "write_backs_one_open_idx",
        "connector",
        "facts_hash",
        unique=True,
        postgresql_where=text("state IN ('approved', 'intended')"),
    ),
    Index("write_backs_ticket_id_idx", "connector", "ticket_id"),
    Index("write_backs_state_idx", "connector", "state"),
    Index("write_backs_run_id_idx", "run_id"),
    schema="sync",
)

# Time sheets when first seen exported or closed: later changes are asked about.
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
    # The adjusted booking, its time sheet, and its work day.
    text_column("source_id"),
    Column("kimai_id", BigInteger),
    Column("original_day", Date, nullable=False),
    Column("original_month", Date, nullable=False),
    Column("minutes", MINUTES, nullable=False),
    # What a credit gives back without tax, in the customer's currency; NULL if unknown.
    Column("amount", MONEY),
    text_column("reason"),
    # Where the adjustment itself is booked.
    Column("entry_date", Date, nullable=False),
    instant("begin_at"),
    Column("user_id", BigInteger, nullable=False),
    Column("project_id", BigInteger),
    text_column("project_number"),
    Column("activity_id", BigInteger, nullable=False),
    # The entry at the decision, without people's names; NULL if the booking is gone.
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
    # The same question is never answered twice, even by concurrent runs.
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

# The settings that stored facts depend on, in every version: bookings and entries name theirs.
decided_settings = Table(
    "decided_settings",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    json_column("value"),
    text_column("recorded_by"),
    instant("recorded_at", default=True),
    schema="sync",
)

# Erased people, only as hashes, so that they are recognized if a system names them again.

erasures = Table(
    "erasures",
    metadata,
    Column("pseudonym", Text, primary_key=True),
    # One for all rows, random.
    text_column("salt"),
    text_column("mail"),
    Column("full_names", ARRAY(Text), nullable=False),
    Column("single_names", ARRAY(Text), nullable=False),
    # The number of words in the full names.
    Column("words", ARRAY(Integer), nullable=False),
    instant("erased_at", default=True),
    schema="sync",
)
