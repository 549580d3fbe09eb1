"""The table of requests to the target: what was sent for a booking and what came back, without secrets."""

from sqlalchemy import BigInteger, Column, Identity, Index, Integer, Numeric, Table, Text

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
