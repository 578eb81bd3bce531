"""The audit, to which lines can only be added."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0007"

# For everybody, owner and superuser too. Who may alter the table can take it away: the chain of hashes shows that.
_REFUSE = """
CREATE FUNCTION lethe_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'the audit can only be added to' USING ERRCODE = 'insufficient_privilege';
END $$"""
_FORWARD = """
CREATE FUNCTION lethe_audit_forward() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.seq <= OLD.seq OR NEW.id <> OLD.id THEN
    RAISE EXCEPTION 'the head of the audit only moves forward' USING ERRCODE = 'insufficient_privilege';
  END IF;
  RETURN NEW;
END $$"""


def upgrade() -> None:
    """Create the lines and their head, and take away the rights to change a line."""
    op.create_table(
        "audit",
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("decision", sa.String(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("key_id", sa.String()),
        sa.Column("address", sa.String()),
        sa.Column("user_agent", sa.String()),
        sa.Column("request_id", sa.String()),
        sa.Column("instance_id", sa.String()),
        sa.Column("deletion_id", sa.Uuid()),
        sa.Column("reason", sa.String()),
        sa.Column("times", sa.Integer(), nullable=False),
        sa.Column("previous", sa.String(), nullable=False),
        sa.Column("hash", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_audit"),
    )
    for column in ("at", "instance_id", "deletion_id"):
        op.create_index(f"ix_audit_{column}", "audit", [column])
    head = op.create_table(
        "audit_head",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_audit_head"),
    )
    op.bulk_insert(head, [{"id": 1, "seq": 0, "hash": "0" * 64}])
    for statement in (
        _REFUSE,
        _FORWARD,
        _refuse("audit", "UPDATE OR DELETE OR TRUNCATE"),
        _refuse("audit_head", "DELETE OR TRUNCATE"),
        "CREATE TRIGGER forward BEFORE UPDATE ON audit_head FOR EACH ROW EXECUTE FUNCTION lethe_audit_forward()",
        "REVOKE UPDATE, DELETE, TRUNCATE ON audit FROM CURRENT_USER, PUBLIC",
        "REVOKE DELETE, TRUNCATE ON audit_head FROM CURRENT_USER, PUBLIC",
    ):
        op.execute(statement)


def _refuse(table: str, changes: str) -> str:
    return f"CREATE TRIGGER refuse BEFORE {changes} ON {table} EXECUTE FUNCTION lethe_refuse_change()"


def downgrade() -> None:
    """Drop the audit; what was done is forgotten."""
    op.drop_table("audit_head")
    op.drop_table("audit")
    op.execute("DROP FUNCTION lethe_audit_forward()")
    op.execute("DROP FUNCTION lethe_refuse_change()")
