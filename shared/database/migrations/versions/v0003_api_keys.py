"""API keys with roles, and by which key a deletion was asked for."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0003"
down_revision = "0004"
_DELETIONS = sa.table("deletions", *map(sa.column, ("requester", "requester_key_id", "requester_key_hash")))


def upgrade() -> None:
    """Add the keys; deletions that are there were asked for by the admin key, an instance or the server."""
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "api_keys",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("key_hash", sa.String(), nullable=False),
        sa.Column("instances", JSONB()),
        sa.Column("created_at", moment, nullable=False, server_default=sa.text("now()")),
        sa.Column("expires_at", moment),
        sa.Column("rotated_at", moment),
        sa.Column("revoked_at", moment),
        sa.PrimaryKeyConstraint("id", name="pk_api_keys"),
        sa.UniqueConstraint("key_hash", name="uq_api_keys_key_hash"),
    )
    op.add_column("deletions", sa.Column("requester_key_id", sa.String()))
    op.create_index("ix_deletions_requester_key_hash", "deletions", ["requester_key_hash"])
    asked_by = _DELETIONS.c.requester
    op.execute(
        _DELETIONS.update().where(asked_by == "admin").values(requester_key_id="bootstrap", requester_key_hash="")
    )
    token_id = sa.func.left(_DELETIONS.c.requester_key_hash, 12)
    op.execute(_DELETIONS.update().where(asked_by == "instance").values(requester_key_id=token_id))


def downgrade() -> None:
    """Drop them; only the admin key of the settings and instances' tokens are left."""
    op.drop_index("ix_deletions_requester_key_hash", table_name="deletions")
    op.drop_column("deletions", "requester_key_id")
    op.drop_table("api_keys")
