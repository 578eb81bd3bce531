"""What the own database forgets of a deletion when it has succeeded: all that its receipt does not need."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, select, update

from shared.models import Step, WebhookEvent, WebhookStatus

# Sentences of our own and moments; any other text or structure that a step has noted goes.
_HARMLESS = {
    "not_logged_out",
    "stuck_gateways",
    "gateways",
    "instance",
    "global",
    "verified_empty",
    "verified_at",
}


def scrub(connection: Connection, deletion_id: UUID) -> None:
    """Forget errors and all notes but numbers and known sentences; undelivered webhooks stay, sealed."""
    of_steps = select(Step.name, Step.notes, Step.error).where(Step.deletion_id == deletion_id)
    for name, notes, error in connection.execute(of_steps).all():
        kept = harmless(notes)
        if error or kept != notes:
            step = update(Step).where(Step.deletion_id == deletion_id, Step.name == name)
            connection.execute(step.values(error=None, notes=kept))
    ended = update(WebhookEvent).where(
        WebhookEvent.deletion_id == deletion_id, WebhookEvent.status != WebhookStatus.PENDING
    )
    connection.execute(ended.values(sealed=None, error=None))


def harmless(notes: Mapping[str, Any]) -> dict[str, Any]:
    """The notes that may outlive the instance: numbers, yes or no, and the sentences that we know."""
    return {name: value for name, value in notes.items() if name in _HARMLESS or isinstance(value, int | float)}
