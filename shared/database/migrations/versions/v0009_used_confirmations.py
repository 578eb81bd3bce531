"""Confirmation tokens that were used."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Add the table; a token that was used before can be used once more, within its five minutes."""
    op.create_table(
        "used_confirmations",
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.text("now()")),
        sa.PrimaryKeyConstraint("digest", name="pk_used_confirmations"),
    )


def downgrade() -> None:
    """Drop it: a token can be used again within its five minutes."""
    op.drop_table("used_confirmations")
