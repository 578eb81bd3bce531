"""How hard deletions may press on the tenant database, changed while they run."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0005"


def upgrade() -> None:
    """Add the one row's table."""
    op.create_table(
        "throttle",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("batch_seconds", sa.Float()),
        sa.Column("connections", sa.Integer()),
        sa.Column("pause_seconds", sa.Float()),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_throttle"),
    )


def downgrade() -> None:
    """Drop it: the settings hold."""
    op.drop_table("throttle")
