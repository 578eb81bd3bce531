"""A line for who has read the audit or a receipt: one for a while, so that whoever pages or polls fills no disk."""

from datetime import timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, Engine, exists, func, select

from shared.audit import chain
from shared.audit.entries import Action, Actor, Decision, Entry
from shared.database.connections import own_transaction
from shared.database.models import AuditLine

_A_WHILE = timedelta(minutes=10)


def record_audit_read(engine: Engine, reader: Actor) -> None:
    """Tell that somebody is reading the audit; to be called before it is shown."""
    _tell(engine, Entry(Action.READ, Decision.ACCEPTED, reader, reason="audit"))


def record_receipt_read(engine: Engine, reader: Actor, instance_id: str, deletion_id: UUID) -> None:
    """Tell that somebody is reading a receipt; to be called before it is shown."""
    _tell(engine, Entry(Action.RECEIPT, Decision.ACCEPTED, reader, instance_id, deletion_id))


def _tell(engine: Engine, entry: Entry) -> None:
    with own_transaction(engine) as connection:
        if not connection.scalar(select(exists().where(*_as_before(entry)))):
            chain.append(connection, entry)


def _as_before(entry: Entry) -> tuple[ColumnElement[bool], ...]:
    """The same was read from the same place with the same key a moment ago."""
    return (
        AuditLine.at > func.now() - _A_WHILE,
        AuditLine.action == entry.action.value,
        AuditLine.decision == entry.decision.value,
        AuditLine.role == entry.actor.role,
        AuditLine.key_id.is_not_distinct_from(entry.actor.key_id),
        AuditLine.address.is_not_distinct_from(entry.actor.address),
        AuditLine.deletion_id.is_not_distinct_from(entry.deletion_id),
    )
