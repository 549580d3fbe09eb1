"""Let the trail belong to another role than the one that writes it: its head moves, and details go, by functions."""

from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None

# Both run with the rights of the owner of the trail, whoever calls them, so each does one thing and takes no table,
# no condition and no row from its caller.
_MOVE_HEAD = """
    CREATE FUNCTION sync.move_audit_head(new_seal text) RETURNS void
    LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
        INSERT INTO sync.audit_head AS head (id, number, hash, seal)
        SELECT 1, row.id, row.hash, new_seal FROM sync.audit_logs row ORDER BY row.id DESC LIMIT 1
        ON CONFLICT (id) DO UPDATE SET number = excluded.number, hash = excluded.hash, seal = excluded.seal
    $$
"""
_REMOVE_DETAILS = """
    CREATE FUNCTION sync.remove_audit_details(removal bigint) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    DECLARE
        named text;
        gone bigint;
    BEGIN
        SELECT substr(subject, length('audit:') + 1) INTO named FROM sync.audit_logs
        WHERE id = removal AND event = 'audit.details_removed'
            AND subject ~ '^audit:[0-9]+(-[0-9]+)?(,[0-9]+(-[0-9]+)?)*$';
        IF named IS NULL THEN
            RAISE EXCEPTION 'Row % of the audit trail does not say which details are removed.', removal
                USING ERRCODE = 'insufficient_privilege';
        END IF;
        PERFORM set_config('zk.erasing_audit_details', 'on', true);
        DELETE FROM sync.audit_details detail
        USING (
            SELECT split_part(span, '-', 1)::bigint AS first,
                coalesce(nullif(split_part(span, '-', 2), ''), span)::bigint AS last
            FROM unnest(string_to_array(named, ',')) span
        ) spans
        WHERE detail.id BETWEEN spans.first AND spans.last;
        GET DIAGNOSTICS gone = ROW_COUNT;
        PERFORM set_config('zk.erasing_audit_details', 'off', true);
        RETURN gone;
    END
    $$
"""


def upgrade() -> None:
    op.execute(_MOVE_HEAD)
    op.execute(_REMOVE_DETAILS)


def downgrade() -> None:
    op.execute("DROP FUNCTION sync.move_audit_head(text)")
    op.execute("DROP FUNCTION sync.remove_audit_details(bigint)")
