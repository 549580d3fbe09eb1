"""Know agents by their id: mappings follow a person through a new address, and so does who got the time so far."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

# An address is an agent's if one active agent has it, or else if one agent has it at all.
_KNOWN = """
    UPDATE sync.user_mappings m SET agent_id = found.id FROM (
        SELECT lower(a.email) AS email,
            coalesce(min(a.id) FILTER (WHERE a.active), min(a.id)) AS id
        FROM zammad.agents a
        JOIN sync.connectors c ON c.name = a.connector AND c.role = 'source' AND c.active
        WHERE a.email <> ''
        GROUP BY lower(a.email)
        HAVING count(*) FILTER (WHERE a.active) = 1 OR count(*) = 1
    ) found WHERE found.email = m.email
"""
# A user who got the time of several agents may have got that of a stranger who shares the address: that is not kept.
_CARRIED = """
    INSERT INTO sync.carried_agents (agent_id, kimai_user_id)
    SELECT agent_id, user_id FROM (
        SELECT *, count(*) OVER (PARTITION BY user_id) AS agents FROM (
            SELECT DISTINCT ON (e.agent_id) e.agent_id, CAST(p.asked ->> 'user_id' AS bigint) AS user_id
            FROM sync.pushes p
            JOIN sync.normalized_entries e ON e.source_id = p.source_id
            JOIN sync.connectors s ON s.name = e.source AND s.role = 'source' AND s.active
            JOIN sync.connectors t ON t.name = p.connector AND t.role = 'target' AND t.active
            WHERE p.state = 'confirmed' AND p.asked ? 'user_id'
                AND NOT EXISTS (SELECT FROM sync.user_mappings m WHERE m.agent_id = e.agent_id)
            ORDER BY e.agent_id, e.entry_date DESC
        ) newest
    ) counted WHERE agents = 1
"""


def upgrade() -> None:
    op.drop_constraint("user_mappings_pkey", "user_mappings", schema="sync")
    op.alter_column("user_mappings", "email", server_default="", schema="sync")
    op.add_column("user_mappings", sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False), schema="sync")
    op.create_primary_key("user_mappings_pkey", "user_mappings", ["id"], schema="sync")
    op.add_column("user_mappings", sa.Column("agent_id", sa.BigInteger()), schema="sync")
    op.create_unique_constraint("user_mappings_agent_id_key", "user_mappings", ["agent_id"], schema="sync")
    op.create_table(
        "carried_agents",
        sa.Column("agent_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("kimai_user_id", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("agent_id"),
        schema="sync",
    )
    op.execute(_KNOWN)
    op.execute(_CARRIED)
    op.create_index(
        "user_mappings_email_idx",
        "user_mappings",
        ["email"],
        unique=True,
        schema="sync",
        postgresql_where=sa.text("agent_id IS NULL"),
    )


def downgrade() -> None:
    op.drop_table("carried_agents", schema="sync")
    op.drop_index("user_mappings_email_idx", "user_mappings", schema="sync")
    # By address there is one mapping at most, and none of an agent without address.
    op.execute(
        """
        UPDATE sync.user_mappings m SET email = lower(a.email)
        FROM zammad.agents a JOIN sync.connectors c ON c.name = a.connector AND c.role = 'source' AND c.active
        WHERE m.email = '' AND a.id = m.agent_id
        """
    )
    op.execute(
        """
        DELETE FROM sync.user_mappings m WHERE email = ''
            OR EXISTS (SELECT FROM sync.user_mappings o WHERE o.email = m.email AND o.id < m.id)
        """
    )
    op.drop_constraint("user_mappings_agent_id_key", "user_mappings", schema="sync")
    op.drop_constraint("user_mappings_pkey", "user_mappings", schema="sync")
    op.drop_column("user_mappings", "agent_id", schema="sync")
    op.drop_column("user_mappings", "id", schema="sync")
    op.alter_column("user_mappings", "email", server_default=None, schema="sync")
    op.create_primary_key("user_mappings_pkey", "user_mappings", ["email"], schema="sync")
