"""Remember the erased, so that they do not come back with the next sync."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "erasures",
        sa.Column("pseudonym", sa.Text(), nullable=False),
        sa.Column("salt", sa.Text(), nullable=False),
        sa.Column("mail", sa.Text(), nullable=False),
        sa.Column("full_names", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("single_names", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("words", sa.ARRAY(sa.Integer()), nullable=False),
        sa.Column("erased_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("pseudonym", name=op.f("erasures_pkey")),
        schema="sync",
    )


def downgrade() -> None:
    op.drop_table("erasures", schema="sync")
