"""Removes personal data of a succeeded deletion from the own database: everything that its receipt does not need."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Uuid, bindparam, select, text, update
from sqlalchemy.dialects.postgresql import JSONB

from shared.database.models import Step, WebhookEvent, WebhookStatus

# Times, names of tables, and sentences that Lethe wrote; any other text or structure in a step's notes is removed.
_HARMLESS = {
    "not_logged_out",
    "stuck_gateways",
    "gateways",
    "acknowledged",
    "instance",
    "global",
    "verified_empty",
    "verified_at",
    "triggers",
}

_OF = bindparam("of_deletion", type_=Uuid)
_STEPS = select(Step.name, Step.notes, Step.error).where(Step.deletion_id == _OF)
_SCRUB_STEPS = text("""
UPDATE steps SET error = NULL, notes = kept.value FROM jsonb_each(:kept) AS kept
WHERE deletion_id = :of_deletion AND name = kept.key""").bindparams(bindparam("kept", type_=JSONB))
# Pending ones are still to be sent. Refused ones have a known sentence as error, and no encrypted content any more.
_KEPT = (WebhookStatus.PENDING, WebhookStatus.REFUSED)
_SCRUB_ENDED = (
    update(WebhookEvent)
    .where(WebhookEvent.deletion_id == _OF, WebhookEvent.status.not_in(_KEPT))
    .values(sealed=None, error=None)
)


def scrub(connection: Connection, deletion_id: UUID) -> None:
    """Remove errors, and notes that may be personal. Undelivered webhooks stay, encrypted."""
    of_deletion = {"of_deletion": deletion_id}
    steps = connection.execute(_STEPS, of_deletion).all()
    kept = {name: harmless(notes) for name, notes, error in steps if error or harmless(notes) != notes}
    if kept:
        connection.execute(_SCRUB_STEPS, of_deletion | {"kept": kept})
    connection.execute(_SCRUB_ENDED, of_deletion)


def harmless(notes: Mapping[str, Any]) -> dict[str, Any]:
    """Notes that are not personal: numbers, booleans, and those in _HARMLESS."""
    return {name: value for name, value in notes.items() if name in _HARMLESS or isinstance(value, int | float)}
