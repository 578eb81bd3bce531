"""The tables of archives that are being written."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, LargeBinary, text
from sqlalchemy.orm import Mapped, mapped_column

from shared.database.models import Base


class ArchiveRow(Base):
    """An archive that is not closed. A deletion's has the id of the deletion."""

    __tablename__ = "archives"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    instance_id: Mapped[str]
    place: Mapped[str]  # the folder or bucket
    of_deletion: Mapped[bool]
    with_secrets: Mapped[bool]
    recipient: Mapped[str | None]  # the age key for which it is encrypted
    parts: Mapped[int]  # closed
    sealed: Mapped[bytes] = mapped_column(LargeBinary)  # how far it is, encrypted: names of files can be in it
    began_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    closed_at: Mapped[datetime | None]  # its manifest is being written


class ArchivePart(Base):
    """A closed part of such an archive."""

    __tablename__ = "archive_parts"

    archive_id: Mapped[UUID] = mapped_column(ForeignKey("archives.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    path: Mapped[str]
    stream: Mapped[str]
    table: Mapped[str | None]
    stage: Mapped[str]
    items: Mapped[int] = mapped_column(BigInteger)
    bytes: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str]
