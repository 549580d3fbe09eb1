"""Let the ids of sources be text: not every system numbers its people, bookings and tickets."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0035"
down_revision = "0034"
branch_labels = None
depends_on = None

COLUMNS = {
    "zammad.time_accountings": ("id", "ticket_id", "article_id", "type_id", "agent_id"),
    "zammad.tickets": ("id", "organization_id", "customer_id", "group_id", "merged_into", "merged_article_id"),
    "zammad.agents": ("id",),
    "zammad.organizations": ("id",),
    "zammad.activity_types": ("id",),
    "sync.normalized_entries": ("ticket_id", "activity_type_id", "agent_id", "organization_id", "group_id"),
    "sync.conflicts": ("decision_booking_id",),
    "sync.webhook_deliveries": ("ticket_id",),
    "sync.activity_mappings": ("type_id", "organization_id"),
    "sync.user_mappings": ("agent_id",),
    "sync.carried_agents": ("agent_id",),
    "sync.customer_mappings": ("organization_id",),
    "sync.corrections": ("correction_id", "reduced_id"),
    "sync.moved_bookings": ("booking_id", "from_ticket_id", "ticket_id"),
}
LISTS = {"sync.day_requests": ("ticket_ids",)}


def upgrade() -> None:
    _to("text", sa.Text())


def downgrade() -> None:
    _to("bigint", sa.BigInteger())


def _to(name: str, kind: sa.types.TypeEngine) -> None:
    _drop_marts()
    for table, columns in COLUMNS.items():
        _change(table, columns, name)
    for table, columns in LISTS.items():
        schema, _, short = table.partition(".")
        for column in columns:
            op.alter_column(
                short,
                column,
                schema=schema,
                type_=postgresql.ARRAY(kind),
                existing_server_default=sa.text("'{}'"),
                postgresql_using=f"{column}::{name}[]",
            )


def _change(table: str, columns: tuple[str, ...], name: str) -> None:
    """All columns of a table at once, so that it is rewritten only once."""
    changes = ", ".join(f"ALTER COLUMN {column} TYPE {name} USING {column}::{name}" for column in columns)
    op.execute(f"ALTER TABLE {table} {changes}")


def _drop_marts() -> None:
    """They are built of these columns, and the next build makes all of them again."""
    connection = op.get_bind()
    found = connection.execute(
        sa.text(
            "SELECT format('DROP %s IF EXISTS %I.%I CASCADE', "
            "CASE relkind WHEN 'v' THEN 'VIEW' ELSE 'TABLE' END, nspname, relname) "
            "FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace "
            "WHERE nspname = 'marts' AND relkind IN ('r', 'v', 'p')"
        )
    )
    for statement in found.scalars().all():
        op.execute(statement)
