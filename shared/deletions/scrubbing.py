"""Removes personal data of a succeeded deletion from the own database: everything that its receipt does not need."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, bindparam, text
from sqlalchemy.dialects.postgresql import JSONB

# Times, names of tables, and sentences that Lethe wrote; any other text or structure in a step's notes is removed.
_HARMLESS = {
    "not_logged_out",
    "stuck_gateways",
    "gateways",
    "acknowledged",
    "instance",
    "global",
    "not_covered",
    "verified_empty",
    "verified_at",
    "triggers",
    "objects_seen",
    "archive",
}

# Pending webhooks are still to be sent. Refused ones have a known sentence as error, and no encrypted content any more.
_SCRUB = text("""
WITH ended AS (
    UPDATE webhook_events SET sealed = NULL, error = NULL
    WHERE deletion_id = :deletion_id AND status NOT IN ('pending', 'refused')
)
UPDATE steps SET error = NULL, notes = kept.value FROM jsonb_each(:kept) AS kept
WHERE deletion_id = :deletion_id AND name = kept.key
    AND (error IS NOT NULL OR notes <> kept.value)""").bindparams(bindparam("kept", type_=JSONB))


def scrub(connection: Connection, deletion_id: UUID, notes: Mapping[str, Mapping[str, Any]]) -> None:
    """Remove errors, and notes that may be personal: those of all steps, by their names.

    Undelivered webhooks stay, encrypted.
    """
    kept = {step: harmless(each) for step, each in notes.items()}
    connection.execute(_SCRUB, {"deletion_id": deletion_id, "kept": kept})


def harmless(notes: Mapping[str, Any]) -> dict[str, Any]:
    """Notes that are not personal: numbers, booleans, and those in _HARMLESS."""
    return {name: value for name, value in notes.items() if name in _HARMLESS or isinstance(value, int | float)}
