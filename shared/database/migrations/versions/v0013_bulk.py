"""Orders of many deletions at once."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0011"


def upgrade() -> None:
    """Add the columns; deletions that exist were ordered one by one, whatever the state of their instances."""
    op.add_column("deletions", sa.Column("bulk_id", sa.Uuid(), nullable=True))
    op.add_column(
        "deletions", sa.Column("only_disconnected", sa.Boolean(), nullable=False, server_default=sa.text("false"))
    )
    op.create_index("ix_deletions_bulk_id", "deletions", ["bulk_id"], postgresql_where=sa.text("bulk_id IS NOT NULL"))


def downgrade() -> None:
    """Drop them; the deletions stay, and nothing says which of them were ordered together."""
    op.drop_index("ix_deletions_bulk_id", table_name="deletions")
    op.drop_column("deletions", "only_disconnected")
    op.drop_column("deletions", "bulk_id")
