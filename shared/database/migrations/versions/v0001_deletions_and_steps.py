"""Deletions and their steps."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create both tables and the guard of "exactly once"."""
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "deletions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("instance_id", sa.String(), nullable=False),
        sa.Column("instance_name", sa.String(), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("attempt", sa.Integer(), nullable=False, server_default="1"),
        sa.Column("failures", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("nudges", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("owner", sa.Uuid()),
        sa.Column("heartbeat_at", moment),
        sa.Column("next_attempt_at", moment),
        sa.Column("waiting_since", moment),
        sa.Column("failed_step", sa.String()),
        sa.Column("reason", sa.String()),
        sa.Column("requester", sa.String(), nullable=False),
        sa.Column("requester_key_hash", sa.String(), nullable=False),
        sa.Column("accepted_at", moment, nullable=False, server_default=sa.text("now()")),
        sa.Column("started_at", moment),
        sa.Column("irrevocable_at", moment),
        sa.Column("finished_at", moment),
        sa.PrimaryKeyConstraint("id", name="pk_deletions"),
    )
    op.create_index(
        "uq_deletions_instance_id_unfinished",
        "deletions",
        ["instance_id"],
        unique=True,
        postgresql_where=sa.text("status NOT IN ('succeeded', 'cancelled')"),
    )
    op.create_index("ix_deletions_instance_name_accepted_at", "deletions", ["instance_name", "accepted_at"])
    op.create_index(
        "ix_deletions_unfinished",
        "deletions",
        ["next_attempt_at"],
        postgresql_where=sa.text("status IN ('queued', 'running', 'waiting')"),
    )
    op.create_table(
        "steps",
        sa.Column("deletion_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(16), nullable=False, server_default="pending"),
        sa.Column("attempts", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("planned", JSONB()),
        sa.Column("removed", JSONB(), nullable=False, server_default=sa.text("'{}'")),
        sa.Column("notes", JSONB(), nullable=False, server_default=sa.text("'{}'")),
        sa.Column("at_least", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("started_at", moment),
        sa.Column("finished_at", moment),
        sa.Column("error", sa.String()),
        sa.PrimaryKeyConstraint("deletion_id", "name", name="pk_steps"),
        sa.ForeignKeyConstraint(["deletion_id"], ["deletions.id"], name="fk_steps_deletion_id", ondelete="CASCADE"),
    )


def downgrade() -> None:
    """Drop both tables; unfinished deletions are forgotten."""
    op.drop_table("steps")
    op.drop_table("deletions")
