"""Receipts and their keys can only be added to."""

from alembic import op

revision = "0010"
down_revision = "0009"

_TABLES = ("receipts", "receipt_keys")
# For everybody, owner and superuser too. Who may alter the table can take it away: the signatures show that.
_REFUSE = """
CREATE FUNCTION lethe_refuse_receipt_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'receipts and their keys can only be added to' USING ERRCODE = 'insufficient_privilege';
END $$"""


def upgrade() -> None:
    """Refuse all other changes; no release has made one."""
    op.execute(_REFUSE)
    for table in _TABLES:
        op.execute(
            f"CREATE TRIGGER refuse BEFORE UPDATE OR DELETE ON {table}"
            " FOR EACH ROW EXECUTE FUNCTION lethe_refuse_receipt_change()"
        )
        op.execute(
            f"CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON {table} EXECUTE FUNCTION lethe_refuse_receipt_change()"
        )
        # Not DELETE on receipts: the foreign key's ON DELETE CASCADE of a deletion without a receipt needs it.
        op.execute(f"REVOKE UPDATE, TRUNCATE ON {table} FROM CURRENT_USER, PUBLIC")


def downgrade() -> None:
    """Allow changes."""
    for table in _TABLES:
        op.execute(f"DROP TRIGGER refuse ON {table}")
        op.execute(f"DROP TRIGGER refuse_truncate ON {table}")
        op.execute(f"GRANT UPDATE, TRUNCATE ON {table} TO CURRENT_USER")
    op.execute("DROP FUNCTION lethe_refuse_receipt_change()")
