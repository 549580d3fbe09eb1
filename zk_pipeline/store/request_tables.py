"""The tables of requests: what was sent for a booking and what came back, without secrets, and which systems answer."""

from sqlalchemy import BigInteger, Boolean, Column, Identity, Index, Integer, Numeric, Table, Text, text

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
    instant("updated_at", default=True),
    schema="sync",
)
