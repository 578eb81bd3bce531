"""Lethe's own tables: deletions, their steps, their webhooks, API keys, the audit, and when the clocks ticked."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, DateTime, Enum, ForeignKey, Index, LargeBinary, MetaData, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, query_expression, relationship

from shared.database.enums import ENDED as ENDED
from shared.database.enums import UNDER_WAY as UNDER_WAY
from shared.database.enums import ConfirmationMethod, Role
from shared.database.enums import DeletionStatus as DeletionStatus
from shared.database.enums import StepStatus as StepStatus
from shared.database.enums import WebhookStatus as WebhookStatus


def _text(kind: type[StrEnum]) -> Enum:
    """Kept as its value in a plain column, so that a new value needs no migration."""
    return Enum(kind, native_enum=False, create_constraint=False, length=16, values_callable=list)


class Base(DeclarativeBase):
    """Naming convention, so that migrations can name what they change."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012 - read by SQLAlchemy, never written
        datetime: DateTime(timezone=True),
        dict[str, Any]: JSONB,
        dict[str, int]: JSONB,
        list[str]: JSONB,
    }


class Deletion(Base):
    """The promise to erase one instance, and how far it is."""

    __tablename__ = "deletions"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    instance_id: Mapped[str]
    instance_name: Mapped[str]
    status: Mapped[DeletionStatus] = mapped_column(_text(DeletionStatus))
    position: Mapped[int] = mapped_column(default=0)  # steps done
    attempt: Mapped[int] = mapped_column(default=1)  # the fence: messages of an older attempt change nothing
    failures: Mapped[int] = mapped_column(default=0)  # of this step, in a row
    times_republished: Mapped[int] = mapped_column("nudges", default=0)  # since it was last claimed
    owner: Mapped[UUID | None]  # the run that works on it now
    heartbeat_at: Mapped[datetime | None]
    next_attempt_at: Mapped[datetime | None]  # when it is published again, if nobody owns it
    waiting_since: Mapped[datetime | None]
    failed_step: Mapped[str | None]
    reason: Mapped[str | None]
    requester: Mapped[str]  # the role of who ordered or last resumed it, or "server"
    requester_key_id: Mapped[str | None]  # whose rights are looked at again
    requester_key_hash: Mapped[str]  # of an instance's token, so that it can follow its deletion; else empty
    without_gateways: Mapped[list[str]] = mapped_column(server_default=text("'[]'"))  # gone for good, given up
    confirmed_by: Mapped[str | None]  # the key's id; of who confirmed it last
    confirmed_with: Mapped[ConfirmationMethod | None] = mapped_column(_text(ConfirmationMethod))
    confirmed_at: Mapped[datetime | None]
    confirmed_preview: Mapped[str | None]  # the digest of what was shown
    accepted_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    started_at: Mapped[datetime | None]
    irrevocable_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    next_look_at: Mapped[datetime | None]  # after success: when its id is looked for again
    came_back: Mapped[dict[str, int] | None]  # what the looks have found, by kind
    came_back_at: Mapped[datetime | None]  # when they found something last
    failed_at: Mapped[datetime | None] = query_expression()  # no column: see shared.deletions.loading

    steps: Mapped[list["Step"]] = relationship(order_by="Step.position", lazy="raise")
    webhooks: Mapped[list["WebhookEvent"]] = relationship(order_by="WebhookEvent.target", lazy="raise")

    __table_args__ = (
        # The guard of "exactly once": the Redis lock only turns duplicates away early.
        Index(
            "uq_deletions_instance_id_unfinished",
            "instance_id",
            unique=True,
            postgresql_where=text("status NOT IN ('succeeded', 'cancelled')"),
        ),
        Index("ix_deletions_instance_name_accepted_at", "instance_name", "accepted_at"),
        # Each wrong key is looked for here: it must not take longer than a right one, nor with each deletion.
        Index("ix_deletions_requester_key_hash", "requester_key_hash"),
        Index(
            "ix_deletions_unfinished",
            "next_attempt_at",
            postgresql_where=text("status IN ('queued', 'running', 'waiting')"),
        ),
        Index("ix_deletions_looks", "next_look_at", postgresql_where=text("next_look_at IS NOT NULL")),
        Index("ix_deletions_came_back", "came_back_at", postgresql_where=text("came_back_at IS NOT NULL")),
    )


class Step(Base):
    """One of the seven parts of a deletion."""

    __tablename__ = "steps"

    deletion_id: Mapped[UUID] = mapped_column(ForeignKey("deletions.id", ondelete="CASCADE"), primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    position: Mapped[int]
    status: Mapped[StepStatus] = mapped_column(_text(StepStatus), default=StepStatus.PENDING)
    attempts: Mapped[int] = mapped_column(default=0)  # times it was claimed; a slice counts as one
    failures: Mapped[int] = mapped_column(default=0)  # of its own, ever
    planned: Mapped[dict[str, int] | None]
    removed: Mapped[dict[str, int]] = mapped_column(server_default=text("'{}'"))
    notes: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    at_least: Mapped[bool] = mapped_column(default=False)  # a run died between removing and counting
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    error: Mapped[str | None]


class WebhookEvent(Base):
    """One event for one receiver; what it says is sealed, and gone once it is delivered or expired."""

    __tablename__ = "webhook_events"

    id: Mapped[str] = mapped_column(primary_key=True)  # sent along, so that a receiver can drop repeats
    deletion_id: Mapped[UUID] = mapped_column(ForeignKey("deletions.id", ondelete="CASCADE"))
    target: Mapped[str]  # "instance" or "global"
    status: Mapped[WebhookStatus] = mapped_column(_text(WebhookStatus))
    sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
    tries: Mapped[int] = mapped_column(default=0)
    next_try_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    ended_at: Mapped[datetime | None]
    error: Mapped[str | None]

    __table_args__ = (Index("ix_webhook_events_pending", "next_try_at", postgresql_where=text("status = 'pending'")),)


class ApiKey(Base):
    """Somebody's key; the key itself is kept nowhere."""

    __tablename__ = "api_keys"

    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]  # whose it is, for people
    role: Mapped[Role] = mapped_column(_text(Role))
    key_hash: Mapped[str] = mapped_column(unique=True)
    instances: Mapped[list[str] | None] = mapped_column(JSONB(none_as_null=True))  # names it is limited to; NULL is all
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    expires_at: Mapped[datetime | None]
    rotated_at: Mapped[datetime | None]  # when it got its present secret, if not at first
    revoked_at: Mapped[datetime | None]


class OneTimeCodes(Base):
    """What a key's holder confirms with: the secret, sealed, and how far its codes are used up."""

    __tablename__ = "one_time_codes"

    key_id: Mapped[str] = mapped_column(ForeignKey("api_keys.id", ondelete="CASCADE"), primary_key=True)
    sealed: Mapped[bytes] = mapped_column(LargeBinary)
    last_step: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))  # of the code that was used last
    wrong: Mapped[int] = mapped_column(server_default=text("0"))  # in a row
    locked_until: Mapped[datetime | None]
    enrolled_at: Mapped[datetime] = mapped_column(server_default=text("now()"))


class Receipt(Base):
    """The signed proof of a succeeded deletion, byte for byte as it was signed."""

    __tablename__ = "receipts"

    deletion_id: Mapped[UUID] = mapped_column(ForeignKey("deletions.id", ondelete="CASCADE"), primary_key=True)
    document: Mapped[str]  # no JSONB: that keeps neither the order nor the spelling
    signed_at: Mapped[datetime] = mapped_column(server_default=text("now()"))


class ReceiptKey(Base):
    """A key that receipts were or are signed with; its public part stays published."""

    __tablename__ = "receipt_keys"

    id: Mapped[str] = mapped_column(primary_key=True)  # its thumbprint
    public: Mapped[bytes] = mapped_column(LargeBinary)
    sealed: Mapped[bytes | None] = mapped_column(LargeBinary)  # the private part; none when it is in the settings
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))


class Clock(Base):
    """When something periodic last ran."""

    __tablename__ = "clocks"

    name: Mapped[str] = mapped_column(primary_key=True)
    ticked_at: Mapped[datetime]


class ThrottleRow(Base):
    """One row, or none: what an operator has set in place of the settings; NULL is as the settings have it."""

    __tablename__ = "throttle"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    batch_seconds: Mapped[float | None]
    connections: Mapped[int | None]
    pause_seconds: Mapped[float | None]
    changed_at: Mapped[datetime]


class AuditLine(Base):
    """One line of the audit; written in shared.audit.chain, and never changed."""

    __tablename__ = "audit"

    seq: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)  # without gaps, from 1
    at: Mapped[datetime]
    action: Mapped[str]
    decision: Mapped[str]
    role: Mapped[str]
    key_id: Mapped[str | None]
    address: Mapped[str | None]
    user_agent: Mapped[str | None]
    request_id: Mapped[str | None]
    instance_id: Mapped[str | None] = mapped_column(index=True)
    deletion_id: Mapped[UUID | None] = mapped_column(index=True)  # no foreign key: a line outlives what it tells of
    reason: Mapped[str | None]
    times: Mapped[int]  # attempts that this line stands for
    previous: Mapped[str]  # hash of the line before
    hash: Mapped[str]

    __table_args__ = (Index("ix_audit_at", "at"),)


class AuditHead(Base):
    """Where the audit ends: one row, which is its lock as well."""

    __tablename__ = "audit_head"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    seq: Mapped[int] = mapped_column(BigInteger)
    hash: Mapped[str]
