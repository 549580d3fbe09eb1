"""The tables of the schema `sync`: what we make of what source and target say."""

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from zk_pipeline.store.columns import MINUTES, instant, json_column, metadata, text_column

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
    CheckConstraint("role IN ('source', 'target')", name="role"),
    schema="sync",
)

normalized_entries = Table(
    "normalized_entries",
    metadata,
    text_column("source"),
    text_column("source_id"),
    text_column("ticket_number"),
    Column("ticket_id", BigInteger, nullable=False),
    text_column("ticket_title"),
    text_column("description"),
    Column("booked_minutes", MINUTES, nullable=False),
    Column("time_minutes", MINUTES, nullable=False),
    Column("open_minutes", MINUTES, nullable=False),
    Column("activity_type_id", BigInteger),
    text_column("activity_name", nullable=True),
    Column("agent_id", BigInteger, nullable=False),
    text_column("user_email"),
    text_column("user_name"),
    Column("organization_id", BigInteger),
    text_column("organization_name", nullable=True),
    text_column("customer_name", nullable=True),
    Column("group_id", BigInteger),
    text_column("group_name", nullable=True),
    Column("ticket_known", Boolean, nullable=False),
    Column("entry_date", Date, nullable=False),
    instant("begin_at"),
    instant("end_at"),
    instant("created_at"),
    instant("updated_at"),
    Column("tags", ARRAY(Text), nullable=False),
    text_column("sync_status"),
    text_column("owned_hash"),
    json_column("trace"),
    Column("decided_id", BigInteger),
    instant("normalized_at", default=True),
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
    text_column("connector"),
    Column("entry_date", Date, nullable=False),
    text_column("key"),
    text_column("source_id", nullable=True),
    Column("kimai_id", BigInteger),
    text_column("status"),
    text_column("action"),
    Column("minutes", MINUTES, nullable=False),
    text_column("reason", nullable=True),
    text_column("text"),
    json_column("diff"),
    json_column("candidates"),
    json_column("draft", nullable=True),
    text_column("facts_hash"),
    text_column("decided", default=""),
    # Of a billed booking that is made up for: how much more than it says is billed for it, since the target rounds.
    Column("rounding_minutes", MINUTES),
    # Set by the push: what the plan wanted is done. The line itself stays as it was planned.
    Column("carried_out", Boolean, nullable=False, server_default=text("false")),
    # Set by an undo: what the line says was so before, and is not the plan of its day any more.
    text_column("taken_back_by", nullable=True),
    text_column("run_id"),
    instant("reconciled_at", default=True),
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
    text_column("connector"),
    text_column("source_id"),
    text_column("state"),
    text_column("operation"),
    Column("entry_date", Date, nullable=False),
    text_column("payload_hash"),
    json_column("asked"),
    Column("kimai_id", BigInteger),
    json_column("base", nullable=True),
    # What people had set in the target and an update under way sends back.
    json_column("by_hand", nullable=True),
    text_column("facts_hash", default=""),
    text_column("message", default=""),
    Column("attempts", Integer, nullable=False, server_default="0"),
    text_column("run_id"),
    instant("intended_at", default=True),
    instant("updated_at", default=True),
    PrimaryKeyConstraint("connector", "source_id"),
    CheckConstraint("state IN ('intended', 'confirmed', 'failed', 'parked', 'undone')", name="state"),
    CheckConstraint("state <> 'confirmed' OR (kimai_id IS NOT NULL AND base IS NOT NULL)", name="confirmed_has_base"),
    Index("pushes_kimai_id_idx", "connector", "kimai_id"),
    Index("pushes_entry_date_idx", "connector", "entry_date"),
    Index("pushes_run_id_idx", "run_id"),
    schema="sync",
)

_IS_OPEN = text("resolution_status = 'open'")

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
    Column("decision_booking_id", BigInteger),
    text_column("decided_by", nullable=True),
    instant("decided_at", nullable=True),
    instant("opened_at", default=True),
    instant("closed_at", nullable=True),
    CheckConstraint("resolution_status IN ('open', 'decided', 'carried_out', 'expired')", name="resolution_status"),
    Index("conflicts_resolution_status_idx", "resolution_status", "entry_date", "id", postgresql_include=["reason"]),
    Index("conflicts_entry_date_idx", "connector", "entry_date"),
    Index("conflicts_key_idx", "connector", "key"),
    Index("conflicts_one_open_idx", "connector", "key", "reason", unique=True, postgresql_where=_IS_OPEN),
    schema="sync",
)

# Every write to the target with what was there before it: what `zk undo` takes back and `zk trace` tells.
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

# What a person approved at once, as it was shown: key of each line to the hash of what it writes.
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
# What became of each line of an approval: it may be written while `open`, and once.
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
    # The day requests that stood open when the run began to read: what it answers if it succeeds.
    Column("request_ids", ARRAY(BigInteger), nullable=False, server_default=text("'{}'")),
    # The newest day that was carried out, and when the last one was; a plan carries out none.
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
    Column("ticket_ids", ARRAY(BigInteger), nullable=False, server_default=text("'{}'")),
    instant("requested_at", default=True),
    # How often a run was asked to do it, and when it may be asked again after a failed one.
    Column("tries", Integer, nullable=False, server_default="0"),
    instant("not_before", default=True),
    text_column("claimed_by_run", nullable=True),
    instant("claimed_at", nullable=True),
    # The system that was away when its last run met it; when that answers again, the day is due at once.
    text_column("waits_for", nullable=True),
    # Who said that it is not to be carried out, after its run was cancelled; that run has it then.
    text_column("left_by", nullable=True),
    Index("day_requests_unclaimed_idx", "day", postgresql_where=text("claimed_by_run IS NULL")),
    # What was asked for at once was asked for at the same instant.
    Index("day_requests_requested_at_idx", "requested_at"),
    schema="sync",
)

webhook_deliveries = Table(
    "webhook_deliveries",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    text_column("connector"),
    text_column("delivery_id"),
    Column("ticket_id", BigInteger, nullable=False),
    # The bytes as they were signed: serialized again they would not verify.
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
    Index("audit_logs_created_at_idx", text("created_at DESC")),
    Index("audit_logs_subject_idx", "subject"),
    schema="sync",
)
# Where the chain ends, which a row that is cut off its end does not change. Triggers let it only go forward.
audit_head = Table(
    "audit_head",
    metadata,
    Column("id", SmallInteger, primary_key=True, autoincrement=False),
    Column("number", BigInteger, nullable=False),
    text_column("hash"),
    # An HMAC of both under the key of the trail; empty until the first start that had one.
    text_column("seal", default=""),
    CheckConstraint("id = 1", name="one_row"),
    schema="sync",
)
audit_details = Table(
    "audit_details",
    metadata,
    # Beside the chain, so that personal data can be erased while the chain still verifies.
    Column("id", BigInteger, ForeignKey(audit_logs.c.id), primary_key=True, autoincrement=False),
    text_column("salt"),
    json_column("detail"),
    schema="sync",
)
