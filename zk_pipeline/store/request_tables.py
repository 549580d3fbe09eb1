"""The tables of requests: those to the target, with what came back, without secrets; and those to cancel a run."""

from sqlalchemy import ARRAY, BigInteger, Column, Date, Identity, Index, Integer, Numeric, Table, Text, text

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
