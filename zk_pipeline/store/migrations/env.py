"""Alembic's environment: runs the migrations on the connection that `store.schema` hands over."""

from alembic import context

from zk_pipeline.store import (
    account_tables,  # noqa: F401 (importing it completes the metadata, as the next ones do)
    booking_decisions,  # noqa: F401
    mapping_tables,  # noqa: F401
    period_tables,  # noqa: F401
    privacy_tables,  # noqa: F401
    raw_tables,  # noqa: F401
    request_tables,  # noqa: F401
    tables,
)
from zk_pipeline.store.columns import SCHEMAS

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=tables.metadata,
    include_schemas=True,
    include_name=lambda name, kind, _parents: kind != "schema" or name in SCHEMAS,
)
with context.begin_transaction():
    context.run_migrations()
