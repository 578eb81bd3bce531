"""By whom and how a deletion was confirmed, and the one-time codes of API keys."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0003"
_MOMENT = sa.DateTime(timezone=True)
_CONFIRMED: dict[str, sa.types.TypeEngine[Any]] = {
    "confirmed_by": sa.String(),
    "confirmed_with": sa.String(length=16),
    "confirmed_at": _MOMENT,
    "confirmed_preview": sa.String(),
}


def upgrade() -> None:
    """Add them; deletions that are there were not confirmed."""
    for name, kind in _CONFIRMED.items():
        op.add_column("deletions", sa.Column(name, kind))
    op.create_table(
        "one_time_codes",
        sa.Column("key_id", sa.String(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("last_step", sa.BigInteger(), nullable=False, server_default=sa.text("0")),
        sa.Column("wrong", sa.Integer(), nullable=False, server_default=sa.text("0")),
        sa.Column("locked_until", _MOMENT),
        sa.Column("enrolled_at", _MOMENT, nullable=False, server_default=sa.text("now()")),
        sa.PrimaryKeyConstraint("key_id", name="pk_one_time_codes"),
        sa.ForeignKeyConstraint(["key_id"], ["api_keys.id"], name="fk_one_time_codes_key_id", ondelete="CASCADE"),
    )


def downgrade() -> None:
    """Drop them: with totp, nobody can confirm any more."""
    op.drop_table("one_time_codes")
    for name in _CONFIRMED:
        op.drop_column("deletions", name)
