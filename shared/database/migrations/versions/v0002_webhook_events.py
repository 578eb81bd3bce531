"""Undelivered webhooks, failures per step, gateways given up, and when the clocks last ticked."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add what makes an accepted deletion finish, whatever dies on the way."""
    moment = sa.DateTime(timezone=True)
    op.add_column("deletions", sa.Column("without_gateways", JSONB(), nullable=False, server_default=sa.text("'[]'")))
    op.add_column("steps", sa.Column("failures", sa.Integer(), nullable=False, server_default="0"))
    op.create_table(
        "webhook_events",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("deletion_id", sa.Uuid(), nullable=False),
        sa.Column("target", sa.String(16), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("sealed", sa.LargeBinary()),
        sa.Column("tries", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("next_try_at", moment),
        sa.Column("created_at", moment, nullable=False, server_default=sa.text("now()")),
        sa.Column("ended_at", moment),
        sa.Column("error", sa.String()),
        sa.PrimaryKeyConstraint("id", name="pk_webhook_events"),
        sa.ForeignKeyConstraint(
            ["deletion_id"], ["deletions.id"], name="fk_webhook_events_deletion_id", ondelete="CASCADE"
        ),
    )
    op.create_index(
        "ix_webhook_events_pending", "webhook_events", ["next_try_at"], postgresql_where=sa.text("status = 'pending'")
    )
    op.create_table(
        "clocks",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("ticked_at", moment, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_clocks"),
    )


def downgrade() -> None:
    """Drop them; webhooks that were not delivered are forgotten."""
    op.drop_table("clocks")
    op.drop_table("webhook_events")
    op.drop_column("steps", "failures")
    op.drop_column("deletions", "without_gateways")
