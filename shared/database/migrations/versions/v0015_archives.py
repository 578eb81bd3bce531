"""Archives that are being written, and deletions that must not go on without one."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0016"

_FIRST_THAT_ERASES_ROWS = 4  # position of delete_records


def upgrade() -> None:
    """Add the tables and columns. The checks stop also workers of earlier versions, which know no exports."""
    op.create_table(
        "archives",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("instance_id", sa.String(), nullable=False),
        sa.Column("place", sa.String(), nullable=False),
        sa.Column("of_deletion", sa.Boolean(), nullable=False),
        sa.Column("with_secrets", sa.Boolean(), nullable=False),
        sa.Column("recipient", sa.String()),
        sa.Column("parts", sa.Integer(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("began_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.text("now()")),
        sa.Column("closed_at", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("id", name="pk_archives"),
    )
    op.create_table(
        "archive_parts",
        sa.Column("archive_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("path", sa.String(), nullable=False),
        sa.Column("stream", sa.String(), nullable=False),
        sa.Column("table", sa.String()),
        sa.Column("stage", sa.String(), nullable=False),
        sa.Column("items", sa.BigInteger(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("archive_id", "number", name="pk_archive_parts"),
        sa.ForeignKeyConstraint(
            ["archive_id"], ["archives.id"], name="fk_archive_parts_archive_id", ondelete="CASCADE"
        ),
    )
    op.add_column("deletions", sa.Column("exports", sa.Boolean(), nullable=False, server_default=sa.text("false")))
    op.add_column("deletions", sa.Column("archive_written_at", sa.DateTime(timezone=True)))
    op.add_column("deletions", sa.Column("archive_sha256", sa.String()))
    op.create_check_constraint(
        "ck_deletions_archive_written",
        "deletions",
        "NOT exports OR irrevocable_at IS NULL OR archive_written_at IS NOT NULL",
    )
    op.create_check_constraint(
        "ck_deletions_archive_closed",
        "deletions",
        f"NOT exports OR position < {_FIRST_THAT_ERASES_ROWS} OR archive_sha256 IS NOT NULL",
    )


def downgrade() -> None:
    """Drop them: deletions under way go on without an export."""
    for name in ("ck_deletions_archive_closed", "ck_deletions_archive_written"):
        op.drop_constraint(name, "deletions")
    for name in ("archive_sha256", "archive_written_at", "exports"):
        op.drop_column("deletions", name)
    op.drop_table("archive_parts")
    op.drop_table("archives")
