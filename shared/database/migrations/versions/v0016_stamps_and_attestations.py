"""Time stamps, and attestations that an erased instance is still gone; both can only be added to."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0012"

# For everybody, owner and superuser too, as for receipts.
_REFUSE = """
CREATE FUNCTION lethe_refuse_evidence_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'time stamps and attestations can only be added to' USING ERRCODE = 'insufficient_privilege';
END $$"""


def upgrade() -> None:
    """Create both; what was erased before is stamped when it is attested."""
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "attestations",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("deletion_id", sa.Uuid(), nullable=False),
        sa.Column("document", sa.String(), nullable=False),
        sa.Column("signed_at", moment, nullable=False, server_default=sa.text("now()")),
        sa.PrimaryKeyConstraint("id", name="pk_attestations"),
        sa.ForeignKeyConstraint(
            ["deletion_id"], ["deletions.id"], name="fk_attestations_deletion_id", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_attestations_deletion_id_signed_at", "attestations", ["deletion_id", "signed_at"])
    op.create_table(
        "stamps",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("document", sa.String()),
        sa.Column("token", sa.LargeBinary()),
        sa.Column("chain", sa.String()),
        sa.Column("stamped_at", moment),
        sa.Column("tries", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("next_try_at", moment),
        sa.Column("error", sa.String()),
        sa.Column("created_at", moment, nullable=False, server_default=sa.text("now()")),
        sa.PrimaryKeyConstraint("id", name="pk_stamps"),
    )
    op.create_index("ix_stamps_waiting", "stamps", ["next_try_at"], postgresql_where=sa.text("next_try_at IS NOT NULL"))
    op.execute(_REFUSE)
    for statement in (
        _refuse("attestations", "BEFORE UPDATE OR DELETE", "FOR EACH ROW"),
        _refuse("attestations", "BEFORE TRUNCATE", "FOR EACH STATEMENT"),
        # A stamp that waits may change; one that the authority has given may not.
        _refuse("stamps", "BEFORE UPDATE OR DELETE", "FOR EACH ROW WHEN (OLD.token IS NOT NULL)"),
        _refuse("stamps", "BEFORE TRUNCATE", "FOR EACH STATEMENT"),
        "REVOKE UPDATE, TRUNCATE ON attestations FROM CURRENT_USER, PUBLIC",
        "REVOKE TRUNCATE ON stamps FROM CURRENT_USER, PUBLIC",
    ):
        op.execute(statement)


def _refuse(table: str, when: str, each: str) -> str:
    name = "refuse_truncate" if "TRUNCATE" in when else "refuse"
    return f"CREATE TRIGGER {name} {when} ON {table} {each} EXECUTE FUNCTION lethe_refuse_evidence_change()"


def downgrade() -> None:
    """Drop both; the receipts stay."""
    op.drop_table("stamps")
    op.drop_table("attestations")
    op.execute("DROP FUNCTION lethe_refuse_evidence_change()")
