"""Attestations: signed statements of what the stores hold of an erased instance at a later time."""

from collections.abc import Mapping
from hashlib import sha256
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Engine, insert, select

from shared import signing
from shared.audit import chain
from shared.audit.entries import Entry
from shared.database.connections import own_statement, own_transaction
from shared.database.models import Attestation
from shared.receipts import keys as receipt_keys
from shared.settings import Settings
from shared.stamps import outbox as stamps
from shared.stamps.outbox import Subject

KIND = "lethe.attestation.v1"


def write(engine: Engine, settings: Settings, deletion_id: UUID, content: Mapping[str, Any], entry: Entry) -> str:
    """Sign and store an attestation, and its line of the audit; returns the signed document."""
    attestation_id = uuid4()
    with own_transaction(engine) as connection:
        key = receipt_keys.current(connection, settings)
        document = signing.sign({"attestation": {"kind": KIND, "deletionId": str(deletion_id), **content}}, key)
        values = {"id": attestation_id, "deletion_id": deletion_id, "document": document}
        connection.execute(insert(Attestation), values)
        stamps.enqueue(connection, settings, Subject.ATTESTATION, attestation_id)
        stamps.enqueue(connection, settings, Subject.RECEIPT, deletion_id)  # of before the authority was set
        chain.append(connection, entry)
    return document


def newest(engine: Engine, deletion_id: UUID) -> tuple[UUID, str] | None:
    """The id and the document of the newest attestation of a deletion; raises InvalidDocument if it was changed."""
    rows = select(Attestation.id, Attestation.document).where(Attestation.deletion_id == deletion_id)
    with own_statement(engine) as connection:
        found = connection.execute(rows.order_by(Attestation.signed_at.desc()).limit(1)).one_or_none()
        if found is None:
            return None
        keys = receipt_keys.all_public(connection)
    if read(signing.check(found.document.encode(), keys))["deletionId"] != str(deletion_id):
        raise signing.InvalidDocument("the stored attestation is of another deletion")
    return found.id, found.document


def read(document: Mapping[str, Any]) -> dict[str, Any]:
    """What a verified document says; raises InvalidDocument when it is no attestation."""
    content = document.get("attestation")
    if not isinstance(content, dict) or content.get("kind") != KIND:
        raise signing.InvalidDocument("it is signed, but no attestation that this version knows")
    return content


def digest(document: str) -> str:
    """SHA-256 of a signed document, as `sha256sum` prints it."""
    return sha256(document.encode()).hexdigest()
