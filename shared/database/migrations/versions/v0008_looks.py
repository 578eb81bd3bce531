"""When it is looked again for what was erased, and what had come back."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0008"
down_revision = "0006"


def upgrade() -> None:
    """Add the columns; what has succeeded before is not looked for."""
    op.add_column("deletions", sa.Column("next_look_at", sa.DateTime(timezone=True)))
    op.add_column("deletions", sa.Column("came_back", JSONB()))
    op.add_column("deletions", sa.Column("came_back_at", sa.DateTime(timezone=True)))
    op.create_index(
        "ix_deletions_looks", "deletions", ["next_look_at"], postgresql_where=sa.text("next_look_at IS NOT NULL")
    )
    op.create_index(
        "ix_deletions_came_back", "deletions", ["came_back_at"], postgresql_where=sa.text("came_back_at IS NOT NULL")
    )


def downgrade() -> None:
    """Drop them: nothing is looked for again, and what had come back is forgotten."""
    op.drop_index("ix_deletions_came_back", "deletions")
    op.drop_index("ix_deletions_looks", "deletions")
    for name in ("came_back_at", "came_back", "next_look_at"):
        op.drop_column("deletions", name)
