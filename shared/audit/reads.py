"""Records who has read the audit or a receipt: one line in ten minutes, so that paging and polling fill no disk."""

from datetime import timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, Engine, exists, func, select

from shared.audit import chain
from shared.audit.entries import Action, Actor, Decision, Entry
from shared.database.connections import own_transaction
from shared.database.models import AuditLine

_REPEAT_AFTER = timedelta(minutes=10)


def record_audit_read(engine: Engine, reader: Actor) -> None:
    """Record that the audit is read. Call it before the audit is shown."""
    _record(engine, Entry(Action.READ, Decision.ACCEPTED, reader, reason="audit"))


def record_receipt_read(engine: Engine, reader: Actor, instance_id: str, deletion_id: UUID) -> None:
    """Record that a receipt is read. Call it before the receipt is shown."""
    _record(engine, Entry(Action.RECEIPT, Decision.ACCEPTED, reader, instance_id, deletion_id))


def record_attestation_read(engine: Engine, reader: Actor, instance_id: str, deletion_id: UUID) -> None:
    """Record that an attestation is read. Call it before the attestation is shown."""
    _record(engine, Entry(Action.ATTEST, Decision.ACCEPTED, reader, instance_id, deletion_id, reason="read"))


def record_evidence_read(engine: Engine, reader: Actor, instance_id: str, deletion_id: UUID) -> None:
    """Record that a bundle of evidence is read. Call it before the bundle is composed."""
    _record(engine, Entry(Action.EVIDENCE, Decision.ACCEPTED, reader, instance_id, deletion_id))


def _record(engine: Engine, entry: Entry) -> None:
    with own_transaction(engine) as connection:
        if not connection.scalar(select(exists().where(*_same_read(entry)))):
            chain.append(connection, entry)


def _same_read(entry: Entry) -> tuple[ColumnElement[bool], ...]:
    """Lines about the same read: same document, same key and same address, not long ago."""
    return (
        AuditLine.at > func.now() - _REPEAT_AFTER,
        AuditLine.action == entry.action.value,
        AuditLine.decision == entry.decision.value,
        AuditLine.role == entry.actor.role,
        AuditLine.key_id.is_not_distinct_from(entry.actor.key_id),
        AuditLine.address.is_not_distinct_from(entry.actor.address),
        AuditLine.deletion_id.is_not_distinct_from(entry.deletion_id),
    )
