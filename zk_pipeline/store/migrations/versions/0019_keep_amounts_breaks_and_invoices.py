"""Keep what time sheets cost, their breaks, the currencies of customers, and invoices."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

MONEY = sa.Numeric(14, 4)


BILLING = r"""
    CREATE VIEW kimai.billing AS
    SELECT sheets.connector, sheets.id, sheets.begin_at, sheets.user_id, sheets.project_id, sheets.activity_id,
        COALESCE(projects.customer_id, 0) AS customer_id, COALESCE(customers.currency, '') AS currency,
        sheets.duration_seconds, sheets.break_seconds, sheets.rate, sheets.exported, sheets.billable,
        array_to_string(sheets.tags, ',') ~* '(^|,)billed:[0-9]{4}-[0-9]{2}(,|$)' AS tagged
    FROM kimai.timesheets sheets
    LEFT JOIN kimai.projects projects ON projects.connector = sheets.connector AND projects.id = sheets.project_id
    LEFT JOIN kimai.customers customers
        ON customers.connector = sheets.connector AND customers.id = projects.customer_id
    WHERE sheets.gone_at IS NULL AND sheets.end_at IS NOT NULL
"""
"""Finished time sheets with what billing goes by."""


def number(row: str, key: str) -> str:
    """A number of the payload that fits into its column, as JSON; nothing else."""
    value = f"({row} -> '{key}')"
    small = f"abs(({row} ->> '{key}')::numeric) < 100000000"
    return f"(CASE WHEN jsonb_typeof({value}) = 'number' THEN CASE WHEN {small} THEN {value} END END)"


def upgrade() -> None:
    op.add_column("timesheets", sa.Column("rate", MONEY), schema="kimai")
    op.add_column(
        "timesheets",
        sa.Column("break_seconds", sa.Integer(), server_default=sa.text("0"), nullable=False),
        schema="kimai",
    )
    op.add_column(
        "customers", sa.Column("currency", sa.Text(), server_default=sa.text("''"), nullable=False), schema="kimai"
    )
    op.add_column("pushes", sa.Column("by_hand", JSONB()), schema="sync")
    op.create_table(
        "invoices",
        sa.Column("connector", sa.Text(), nullable=False),
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("customer_id", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("total", MONEY, nullable=False),
        sa.Column("tax", MONEY, nullable=False),
        sa.Column("vat", MONEY, nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_days", sa.Integer(), nullable=False),
        sa.Column("payment_date", sa.Date()),
        sa.Column("seen_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("connector", "id", name="invoices_pkey"),
        schema="kimai",
    )
    op.create_table(
        "invoice_readings",
        sa.Column("connector", sa.Text(), nullable=False),
        sa.Column("tried_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("read_at", sa.DateTime(timezone=True)),
        sa.Column("problem", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("connector", name="invoice_readings_pkey"),
        schema="kimai",
    )
    op.create_table(
        "invoice_checks",
        sa.Column("connector", sa.Text(), nullable=False),
        sa.Column("customer_id", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("sheets", sa.Integer(), nullable=False),
        sa.Column("rates", MONEY, nullable=False),
        sa.Column("invoices", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("invoiced", MONEY, nullable=False),
        sa.Column("checked_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("connector", "customer_id", "currency", name="invoice_checks_pkey"),
        schema="kimai",
    )
    op.execute(BILLING)
    # What was read so far told it already.
    op.execute(
        f"""
        UPDATE kimai.timesheets SET rate = ({number("raw", "rate")})::numeric,
            break_seconds = COALESCE(({number("raw", "break")})::numeric::integer, 0)
        """  # noqa: S608 (our own names)
    )
    op.execute(
        f"""
        UPDATE sync.pushes SET base = base || jsonb_strip_nulls(jsonb_build_object(
            'rate', ({number("base -> 'raw'", "rate")}) #>> '{{}}',
            'hourly_rate', ({number("base -> 'raw'", "hourlyRate")}) #>> '{{}}',
            'fixed_rate', ({number("base -> 'raw'", "fixedRate")}) #>> '{{}}',
            'break_seconds', {number("base -> 'raw'", "break")}
        ))
        WHERE jsonb_typeof(base -> 'raw') = 'object'
        """  # noqa: S608
    )


def downgrade() -> None:
    names = "{rate,hourly_rate,fixed_rate,break_seconds}"
    op.execute(f"UPDATE sync.pushes SET base = base - '{names}'::text[] WHERE base IS NOT NULL")  # noqa: S608
    op.execute("DROP VIEW kimai.billing")
    op.drop_table("invoice_checks", schema="kimai")
    op.drop_table("invoice_readings", schema="kimai")
    op.drop_table("invoices", schema="kimai")
    op.drop_column("pushes", "by_hand", schema="sync")
    op.drop_column("customers", "currency", schema="kimai")
    op.drop_column("timesheets", "break_seconds", schema="kimai")
    op.drop_column("timesheets", "rate", schema="kimai")
