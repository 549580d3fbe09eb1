"""The tables of the operator's mappings, and of whom agents without one were so far."""

from sqlalchemy import BigInteger, Column, Identity, Index, Table, UniqueConstraint, text

from zk_pipeline.store.columns import instant, metadata, text_column

activity_mappings = Table(
    "activity_mappings",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    # NULL stands for bookings without type, and for every organization.
    Column("type_id", BigInteger),
    Column("organization_id", BigInteger),
    Column("kimai_activity_id", BigInteger, nullable=False),
    instant("updated_at", default=True),
    UniqueConstraint("type_id", "organization_id", postgresql_nulls_not_distinct=True),
    schema="sync",
)
user_mappings = Table(
    "user_mappings",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    # An agent's, in small letters, whom the directory did not know when the mapping was set; it counts without id only.
    text_column("email", default=""),
    Column("agent_id", BigInteger, unique=True),
    Column("kimai_user_id", BigInteger, nullable=False),
    instant("updated_at", default=True),
    Index("user_mappings_email_idx", "email", unique=True, postgresql_where=text("agent_id IS NULL")),
    schema="sync",
)
# Whom agents without a mapping were when their time was last written, so that a new address changes nothing.
carried_agents = Table(
    "carried_agents",
    metadata,
    Column("agent_id", BigInteger, primary_key=True, autoincrement=False),
    Column("kimai_user_id", BigInteger, nullable=False),
    instant("updated_at", default=True),
    schema="sync",
)
customer_mappings = Table(
    "customer_mappings",
    metadata,
    Column("organization_id", BigInteger, primary_key=True, autoincrement=False),
    # NULL: the organization gets a customer of its own.
    Column("kimai_customer_id", BigInteger),
    instant("updated_at", default=True),
    schema="sync",
)
