"""Forget people and organizations that no booking, ticket or mapping refers to: they were read without need."""

from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        DELETE FROM zammad.agents a
        WHERE NOT EXISTS (
                SELECT FROM zammad.time_accountings t WHERE t.connector = a.connector AND t.agent_id = a.id
            )
            AND NOT EXISTS (
                SELECT FROM sync.user_mappings m
                WHERE m.agent_id = a.id OR (m.agent_id IS NULL AND m.email = lower(a.email))
            )
        """
    )
    op.execute(
        """
        DELETE FROM zammad.organizations o
        WHERE NOT EXISTS (
                SELECT FROM zammad.tickets t WHERE t.connector = o.connector AND t.organization_id = o.id
            )
            AND NOT EXISTS (SELECT FROM sync.normalized_entries e WHERE e.organization_id = o.id)
            AND NOT EXISTS (  -- With their namesakes, so that a name goes on to mean several.
                SELECT FROM zammad.organizations named
                WHERE named.connector = o.connector AND lower(named.name) = lower(o.name) AND (
                    named.id IN (SELECT organization_id FROM sync.customer_mappings)
                    OR named.id IN (SELECT organization_id FROM sync.activity_mappings)
                )
            )
        """
    )


def downgrade() -> None:
    """Nothing to do: the next sync of an earlier version reads everybody again."""
