"""The tables of the own database."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Enum, ForeignKey, Index, LargeBinary, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column, query_expression, relationship

from shared.database.base import Base as Base
from shared.database.enums import ENDED as ENDED
from shared.database.enums import UNDER_WAY as UNDER_WAY
from shared.database.enums import ConfirmationMethod, Role
from shared.database.enums import DeletionStatus as DeletionStatus
from shared.database.enums import StepStatus as StepStatus
from shared.database.enums import WebhookStatus as WebhookStatus
from shared.database.evidence_models import Attestation as Attestation
from shared.database.evidence_models import Stamp as Stamp
from shared.faults.sentences import advice_for
from shared.translations.marks import N_


def _text(kind: type[StrEnum]) -> Enum:
    """A text column with the value of the enum, so that a new value needs no migration."""
    return Enum(kind, native_enum=False, create_constraint=False, length=16, values_callable=list)


class Deletion(Base):
    """The deletion of one instance, and how far it is."""

    __tablename__ = "deletions"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    instance_id: Mapped[str]
    instance_name: Mapped[str]
    status: Mapped[DeletionStatus] = mapped_column(_text(DeletionStatus))
    position: Mapped[int] = mapped_column(default=0)  # steps done
    attempt: Mapped[int] = mapped_column(default=1)  # messages of an older attempt change nothing
    failures: Mapped[int] = mapped_column(default=0)  # of the present step, in a row
    times_republished: Mapped[int] = mapped_column("nudges", default=0)  # since it was last claimed
    owner: Mapped[UUID | None]  # the worker's present run of a step
    heartbeat_at: Mapped[datetime | None]
    next_attempt_at: Mapped[datetime | None]  # when its message is published again, if it has no owner
    waiting_since: Mapped[datetime | None]
    failed_step: Mapped[str | None]
    reason: Mapped[str | None]
    requester: Mapped[str]  # the role that ordered or last resumed it, or "server"
    requester_key_id: Mapped[str | None]  # whose permission is checked again
    requester_key_hash: Mapped[str]  # of an instance's token, so that it can follow its deletion; else empty
    without_gateways: Mapped[list[str]] = mapped_column(server_default=text("'[]'"))  # URLs that are given up
    confirmed_by: Mapped[str | None]  # id of the key that confirmed it last
    confirmed_with: Mapped[ConfirmationMethod | None] = mapped_column(_text(ConfirmationMethod))
    confirmed_at: Mapped[datetime | None]
    confirmed_preview: Mapped[str | None]  # SHA-256 of the preview
    accepted_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    not_before: Mapped[datetime | None]  # the moment of a scheduled deletion; stays when it has come
    started_at: Mapped[datetime | None]
    irrevocable_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    exports: Mapped[bool] = mapped_column(server_default=text("false"))  # it must not go on without its archive
    archive_written_at: Mapped[datetime | None]  # the first stage of it, before the point of no return
    archive_sha256: Mapped[str | None]  # of its manifest, before the first row goes
    next_look_at: Mapped[datetime | None]  # when the next recheck is due
    came_back: Mapped[dict[str, int] | None]  # counts of what rechecks have found, by kind
    came_back_at: Mapped[datetime | None]  # when a recheck last found something
    bulk_id: Mapped[UUID | None]  # of the order of many deletions that it belongs to
    # Cancelled by its first step if the instance is connected by then.
    only_disconnected: Mapped[bool] = mapped_column(server_default=text("false"))
    failed_at: Mapped[datetime | None] = query_expression()  # no column: see shared.deletions.display

    steps: Mapped[list["Step"]] = relationship(order_by="Step.position", lazy="raise")
    webhooks: Mapped[list["WebhookEvent"]] = relationship(order_by="WebhookEvent.target", lazy="raise")

    __table_args__ = (
        # Guarantees "exactly once"; the Redis lock only rejects duplicates early.
        Index(
            "uq_deletions_instance_id_unfinished",
            "instance_id",
            unique=True,
            postgresql_where=text("status NOT IN ('succeeded', 'cancelled')"),
        ),
        Index("ix_deletions_instance_name_accepted_at", "instance_name", "accepted_at"),
        # Every unknown key is looked up here. Without the index that would take longer with each deletion.
        Index("ix_deletions_requester_key_hash", "requester_key_hash"),
        Index(
            "ix_deletions_unfinished",
            "next_attempt_at",
            postgresql_where=text("status IN ('queued', 'running', 'waiting')"),
        ),
        Index("ix_deletions_scheduled", "not_before", postgresql_where=text("status = 'scheduled'")),
        Index("ix_deletions_looks", "next_look_at", postgresql_where=text("next_look_at IS NOT NULL")),
        Index("ix_deletions_bulk_id", "bulk_id", postgresql_where=text("bulk_id IS NOT NULL")),
        Index("ix_deletions_came_back", "came_back_at", postgresql_where=text("came_back_at IS NOT NULL")),
    )

    @property
    def needs_operator(self) -> bool:
        """Whether it failed after the point of no return: the instance is partly deleted until it is resumed."""
        return self.status is DeletionStatus.FAILED and self.irrevocable_at is not None

    @property
    def hint(self) -> str | None:
        """What helps against the error of a server that the reason names; None where nothing is known."""
        advice = advice_for(self.reason)
        return N_(f"{advice.hint} See {advice.page}") if advice else None


class Step(Base):
    """One of the seven parts of a deletion."""

    __tablename__ = "steps"

    deletion_id: Mapped[UUID] = mapped_column(ForeignKey("deletions.id", ondelete="CASCADE"), primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    position: Mapped[int]
    status: Mapped[StepStatus] = mapped_column(_text(StepStatus), default=StepStatus.PENDING)
    attempts: Mapped[int] = mapped_column(default=0)  # claims, one for each slice
    failures: Mapped[int] = mapped_column(default=0)  # in all
    planned: Mapped[dict[str, int] | None]
    removed: Mapped[dict[str, int]] = mapped_column(server_default=text("'{}'"))
    notes: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    at_least: Mapped[bool] = mapped_column(default=False)  # a run ended between removing and counting
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    error: Mapped[str | None]


class WebhookEvent(Base):
    """One webhook. Its content is encrypted, and removed when it was delivered or has expired."""

    __tablename__ = "webhook_events"

    id: Mapped[str] = mapped_column(primary_key=True)  # part of the webhook, so that a receiver can drop repeats
    deletion_id: Mapped[UUID] = mapped_column(ForeignKey("deletions.id", ondelete="CASCADE"))
    target: Mapped[str]  # "instance", "global" or "operator"
    status: Mapped[WebhookStatus] = mapped_column(_text(WebhookStatus))
    sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
    tries: Mapped[int] = mapped_column(default=0)
    next_try_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    ended_at: Mapped[datetime | None]
    error: Mapped[str | None]

    __table_args__ = (Index("ix_webhook_events_pending", "next_try_at", postgresql_where=text("status = 'pending'")),)


class ApiKey(Base):
    """An API key; only its hash is stored."""

    __tablename__ = "api_keys"

    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]  # for people
    role: Mapped[Role] = mapped_column(_text(Role))
    key_hash: Mapped[str] = mapped_column(unique=True)
    instances: Mapped[list[str] | None] = mapped_column(JSONB(none_as_null=True))  # names it is limited to; NULL is all
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    expires_at: Mapped[datetime | None]
    rotated_at: Mapped[datetime | None]  # when its secret was last replaced
    revoked_at: Mapped[datetime | None]


class OneTimeCodes(Base):
    """The TOTP secret of an API key, encrypted, and which of its codes were used."""

    __tablename__ = "one_time_codes"

    key_id: Mapped[str] = mapped_column(ForeignKey("api_keys.id", ondelete="CASCADE"), primary_key=True)
    sealed: Mapped[bytes] = mapped_column(LargeBinary)
    last_step: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))  # of the last used code
    wrong: Mapped[int] = mapped_column(server_default=text("0"))  # wrong codes in a row
    locked_until: Mapped[datetime | None]
    enrolled_at: Mapped[datetime] = mapped_column(server_default=text("now()"))


class UsedConfirmation(Base):
    """A confirmation token that was used, for as long as it would be valid."""

    __tablename__ = "used_confirmations"

    digest: Mapped[str] = mapped_column(primary_key=True)  # SHA-256 of the signed text
    used_at: Mapped[datetime] = mapped_column(server_default=text("now()"))


class ConsoleSession(Base):
    """A session of the console that was not ended; the cookie has its secret."""

    __tablename__ = "console_sessions"

    digest: Mapped[str] = mapped_column(primary_key=True)  # SHA-256 of the secret
    key_hash: Mapped[str]  # of the API key, as in api_keys
    started_at: Mapped[datetime] = mapped_column(server_default=text("now()"))


class Receipt(Base):
    """The signed receipt of a succeeded deletion."""

    __tablename__ = "receipts"

    deletion_id: Mapped[UUID] = mapped_column(ForeignKey("deletions.id", ondelete="CASCADE"), primary_key=True)
    document: Mapped[str]  # text, for JSONB would change the bytes that were signed
    signed_at: Mapped[datetime] = mapped_column(server_default=text("now()"))


class ReceiptKey(Base):
    """A key that signs or has signed receipts; its public part stays published."""

    __tablename__ = "receipt_keys"

    id: Mapped[str] = mapped_column(primary_key=True)  # its thumbprint
    public: Mapped[bytes] = mapped_column(LargeBinary)
    sealed: Mapped[bytes | None] = mapped_column(LargeBinary)  # the private key, encrypted; None for LETHE_RECEIPT_KEY
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))


class Clock(Base):
    """When a periodic task last ran."""

    __tablename__ = "clocks"

    name: Mapped[str] = mapped_column(primary_key=True)
    ticked_at: Mapped[datetime]


class ThrottleRow(Base):
    """Settings of `lethe throttle`: one row or none. NULL: the setting of the environment."""

    __tablename__ = "throttle"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    batch_seconds: Mapped[float | None]
    connections: Mapped[int | None]
    pause_seconds: Mapped[float | None]
    changed_at: Mapped[datetime]


class AuditLine(Base):
    """One line of the audit; only shared.audit.chain writes it, and it never changes."""

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
    deletion_id: Mapped[UUID | None] = mapped_column(index=True)  # no foreign key: lines outlive the deletion
    reason: Mapped[str | None]
    times: Mapped[int]  # how many attempts the line stands for
    previous: Mapped[str]  # hash of the line before
    hash: Mapped[str]

    __table_args__ = (Index("ix_audit_at", "at"),)


class AuditHead(Base):
    """The end of the audit: one row, which also serves as the lock of the audit."""

    __tablename__ = "audit_head"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    seq: Mapped[int] = mapped_column(BigInteger)
    hash: Mapped[str]
