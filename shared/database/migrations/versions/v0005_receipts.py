"""Receipts, and the keys that they are signed with."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0002"


def upgrade() -> None:
    """Add what proves a deletion; one that has succeeded before has no receipt."""
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "receipts",
        sa.Column("deletion_id", sa.Uuid(), nullable=False),
        sa.Column("document", sa.String(), nullable=False),
        sa.Column("signed_at", moment, nullable=False, server_default=sa.text("now()")),
        sa.PrimaryKeyConstraint("deletion_id", name="pk_receipts"),
        sa.ForeignKeyConstraint(["deletion_id"], ["deletions.id"], name="fk_receipts_deletion_id", ondelete="CASCADE"),
    )
    op.create_table(
        "receipt_keys",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("public", sa.LargeBinary(), nullable=False),
        sa.Column("sealed", sa.LargeBinary()),
        sa.Column("created_at", moment, nullable=False, server_default=sa.text("now()")),
        sa.PrimaryKeyConstraint("id", name="pk_receipt_keys"),
    )


def downgrade() -> None:
    """Drop them; deletions can no longer be proved."""
    op.drop_table("receipt_keys")
    op.drop_table("receipts")
