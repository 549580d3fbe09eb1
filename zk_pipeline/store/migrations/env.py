"""Alembic's environment: runs the migrations on the connection that `store.schema` hands over."""

from alembic import context

from zk_pipeline.store import tables
from zk_pipeline.store.tables import SCHEMAS

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=tables.metadata,
    include_schemas=True,
    include_name=lambda name, kind, _parents: kind != "schema" or name in SCHEMAS,
)
with context.begin_transaction():
    context.run_migrations()
