"""Guard the audit trail: rows are only added, and its head is kept beside it."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_REFUSE = """
    CREATE FUNCTION sync.refuse_audit_change() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION '% of sync.% is refused: the audit trail only grows.', TG_OP, TG_TABLE_NAME
            USING ERRCODE = 'insufficient_privilege';
    END
    $$
"""
# The details stand beside the chain: retention and erasure set the variable for their transaction and may delete them.
_GUARDS = {
    "audit_logs": "BEFORE UPDATE OR DELETE OR TRUNCATE ON sync.audit_logs",
    "audit_details": "BEFORE UPDATE OR TRUNCATE ON sync.audit_details",
    "audit_head": "BEFORE DELETE OR TRUNCATE ON sync.audit_head",
}
_DETAILS = """
    CREATE TRIGGER audit_details_kept BEFORE DELETE ON sync.audit_details FOR EACH STATEMENT
    WHEN (current_setting('zk.erasing_audit_details', true) IS DISTINCT FROM 'on')
    EXECUTE FUNCTION sync.refuse_audit_change()
"""
_FORWARD = """
    CREATE TRIGGER audit_head_forward BEFORE UPDATE ON sync.audit_head FOR EACH ROW
    WHEN (NEW.id <> OLD.id OR NEW.number <= OLD.number) EXECUTE FUNCTION sync.refuse_audit_change()
"""


def upgrade() -> None:
    op.create_table(
        "audit_head",
        sa.Column("id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("audit_head_one_row_check")),
        sa.PrimaryKeyConstraint("id", name=op.f("audit_head_pkey")),
        schema="sync",
    )
    op.execute("INSERT INTO sync.audit_head SELECT 1, id, hash FROM sync.audit_logs ORDER BY id DESC LIMIT 1")
    op.execute(_REFUSE)
    for name, when in _GUARDS.items():
        op.execute(
            f"CREATE TRIGGER {name}_only_grows {when} FOR EACH STATEMENT EXECUTE FUNCTION sync.refuse_audit_change()"
        )
    op.execute(_DETAILS)
    op.execute(_FORWARD)


def downgrade() -> None:
    op.drop_table("audit_head", schema="sync")
    op.execute("DROP FUNCTION sync.refuse_audit_change() CASCADE")
