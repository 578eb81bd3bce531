"""The tables of attestations and of time stamps."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Index, LargeBinary, text
from sqlalchemy.orm import Mapped, mapped_column

from shared.database.base import Base


class Attestation(Base):
    """A signed statement of what the stores still hold of an erased instance."""

    __tablename__ = "attestations"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    deletion_id: Mapped[UUID] = mapped_column(ForeignKey("deletions.id", ondelete="CASCADE"))
    document: Mapped[str]
    signed_at: Mapped[datetime] = mapped_column(server_default=text("now()"))

    __table_args__ = (Index("ix_attestations_deletion_id_signed_at", "deletion_id", "signed_at"),)


class Stamp(Base):
    """A time stamp of a document that was asked for; token is None until the authority has answered."""

    __tablename__ = "stamps"

    id: Mapped[str] = mapped_column(primary_key=True)  # receipt:<deletion id>, attestation:<id>, audit_head:<day>
    document: Mapped[str | None]  # of a head; the others have tables of their own
    token: Mapped[bytes | None] = mapped_column(LargeBinary)  # the authority's whole answer
    chain: Mapped[str | None]  # PEM: the certificates above the authority's
    stamped_at: Mapped[datetime | None]  # by the authority's clock
    tries: Mapped[int] = mapped_column(server_default=text("0"))
    next_try_at: Mapped[datetime | None]
    error: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))

    __table_args__ = (Index("ix_stamps_waiting", "next_try_at", postgresql_where=text("next_try_at IS NOT NULL")),)
