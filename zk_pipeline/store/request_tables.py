"""The tables of requests: those to the target with what came back, those that people send us, and who answers."""

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
    Table,
    Text,
    UniqueConstraint,
    text,
)

from zk_pipeline.store.columns import instant, json_column, metadata, text_column

request_log = Table(
    "request_log",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    text_column("connector"),
    text_column("run_id"),
    # NULL for what is no booking's, such as a new customer.
    Column("source_id", Text),
    text_column("method"),
    text_column("path"),
    json_column("asked", nullable=True),
    # NULL when no answer came; then `error` says why.
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
    # Nobody asks before; with `asked_to_wait` the system named the time itself.
    instant("not_before", nullable=True),
    Column("asked_to_wait", Boolean, nullable=False, server_default=text("false")),
    text_column("problem", default=""),
    # It answers, and does not take our token.
    Column("refused", Boolean, nullable=False, server_default=text("false")),
    instant("updated_at", default=True),
    schema="sync",
)

# What people asked for with a key of their own, so that asking twice does it once. Kept for a day.
acts = Table(
    "acts",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    text_column("actor"),
    text_column("key"),
    text_column("route"),
    text_column("body_hash"),
    # NULL while it is done, and for good when the process died meanwhile.
    Column("status", Integer),
    # Encrypted, since it may be a new token or hold names.
    text_column("answer", nullable=True),
    instant("asked_at", default=True),
    UniqueConstraint("actor", "key"),
    Index("acts_asked_at_idx", "asked_at"),
    schema="sync",
)

# The runs that people had Dagster start: one for each key.
launched_runs = Table(
    "launched_runs",
    metadata,
    Column("run_key", Text, primary_key=True),
    # NULL between the intent and Dagster's answer; the run is then looked for by the key in its tags.
    Column("run_id", Text),
    instant("launched_at", default=True),
    Index("launched_runs_launched_at_idx", "launched_at"),
    schema="sync",
)

# What a run needs that passes limits, takes back, tags, deletes history or restores: one request, spent by one run.
run_requests = Table(
    "run_requests",
    metadata,
    Column("token_hash", Text, primary_key=True),
    text_column("actor"),
    text_column("job"),
    # The run to undo, the month to tag, the days whose limits are passed.
    text_column("about"),
    instant("asked_at", default=True),
    # NULL until a run has spent it.
    Column("run_id", Text),
    instant("spent_at", nullable=True),
    Index("run_requests_asked_at_idx", "asked_at"),
    schema="sync",
)

# Runs that somebody cancelled; each is kept, so that none is noted twice.
cancelled_runs = Table(
    "cancelled_runs",
    metadata,
    Column("run_id", Text, primary_key=True),
    # Who cancelled it in the console, the API or on the command line; Dagster's own UI does not say.
    text_column("asked_by", default=""),
    # When Dagster was asked; NULL until its record is seen.
    instant("cancelled_at", nullable=True),
    # Those of its days that it did not carry out, and about which nobody has spoken since.
    Column("held_days", ARRAY(Date), nullable=False, server_default=text("'{}'")),
    schema="sync",
)
