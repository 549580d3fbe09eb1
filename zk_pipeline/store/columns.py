"""What all tables are made of: the metadata, naming of constraints, and columns that recur.

All times are timestamptz in UTC. `connector` is the name under which a system is stored in `sync.connectors`.
"""

from sqlalchemy import BigInteger, Column, DateTime, MetaData, Numeric, PrimaryKeyConstraint, Table, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.schema import SchemaItem

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
"""Kimai reckons the amount of a time sheet to a hundredth of a cent (docs/kimai.md §15)."""
NOW = text("now()")


def instant(name: str, *, nullable: bool = False, default: bool = False) -> Column:
    """A moment; `default` fills in the present."""
    return Column(name, DateTime(timezone=True), nullable=nullable, server_default=NOW if default else None)


def text_column(name: str, *, nullable: bool = False, default: str | None = None) -> Column:
    """A text; `default` is SQL text."""
    return Column(name, Text, nullable=nullable, server_default=default)


def json_column(name: str, *, nullable: bool = False) -> Column:
    """A JSON value."""
    return Column(name, JSONB, nullable=nullable)


def directory_table(name: str, schema: str, *columns: SchemaItem) -> Table:
    """A table of everything a system has of one kind."""
    return Table(
        name,
        metadata,
        text_column("connector"),
        Column("id", BigInteger, nullable=False),
        *columns,
        instant("seen_at", default=True),
        PrimaryKeyConstraint("connector", "id"),
        schema=schema,
    )
