"""Deletions that begin at a moment: the status `scheduled`, which processes of earlier releases do not know."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0013"


def upgrade() -> None:
    """Add the moment, and an index to find those whose moment has come."""
    op.add_column("deletions", sa.Column("not_before", sa.DateTime(timezone=True), nullable=True))
    op.create_index(
        "ix_deletions_scheduled", "deletions", ["not_before"], postgresql_where=sa.text("status = 'scheduled'")
    )


def downgrade() -> None:
    """Drop both. While there are scheduled deletions it refuses, for earlier releases cannot read their status."""
    if op.get_bind().scalar(sa.text("SELECT EXISTS (SELECT FROM deletions WHERE status = 'scheduled')")):
        raise RuntimeError("cancel or run the scheduled deletions first: `lethe list --status scheduled`")
    op.drop_index("ix_deletions_scheduled", "deletions")
    op.drop_column("deletions", "not_before")
