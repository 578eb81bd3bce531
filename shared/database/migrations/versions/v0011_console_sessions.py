"""Sessions of the console."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Add the table; who is signed in has to sign in again."""
    op.create_table(
        "console_sessions",
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("key_hash", sa.String(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.text("now()")),
        sa.PrimaryKeyConstraint("digest", name="pk_console_sessions"),
    )


def downgrade() -> None:
    """Drop it: who is signed in has to sign in again."""
    op.drop_table("console_sessions")
