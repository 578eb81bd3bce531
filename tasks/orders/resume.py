"""Resumes a deletion that stopped, or cancels one whose first step has not begun."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import select

from shared.access.confirmation import Confirmation
from shared.audit import chain, entries
from shared.audit.entries import Action, Actor, Decision, Entry
from shared.database.connections import own_transaction
from shared.database.models import Deletion, DeletionStatus
from shared.deletions import lifecycle
from shared.evolution.rows.tenant import Instance
from shared.services import Services
from tasks.archiving import of_deletion as archiving
from tasks.orders.caller import Caller
from tasks.publishing import publish, release_lock_and_notify


def resume(
    services: Services,
    deletion_id: UUID,
    caller: Caller,
    without_gateways: Sequence[str] = (),
    *,
    action: Action = Action.RETRY,
    confirmation: Confirmation | None = None,
    bulk_id: UUID | None = None,
) -> bool:
    """Resume a failed or waiting deletion, and publish it; False when it is neither.

    Raises Refused when the caller asks for an export, and there is nothing whole to export.
    """
    settings = services.settings
    with own_transaction(services.own) as connection:
        message = lifecycle.resume(
            connection,
            deletion_id,
            caller.requester,
            republish_seconds=settings.nudge_seconds,
            without_gateways=without_gateways,
            confirmation=confirmation,
            bulk_id=bulk_id,
        )
        if message is None:
            return False
        if caller.exports:
            archiving.require(connection, deletion_id)
        if confirmation:
            confirmation.use(connection)
        caller.count_request()
        instance_id = connection.scalar(select(Deletion.instance_id).where(Deletion.id == deletion_id))
        chain.append(connection, Entry(action, Decision.ACCEPTED, caller.actor, instance_id, deletion_id, "resumed"))
    publish(services, message)
    return True


def cancel(services: Services, deletion_id: UUID, actor: Actor) -> bool:
    """Cancel a deletion whose logout has not begun, and release its lock; False when it is too late."""
    with own_transaction(services.own) as connection:
        instance_id = lifecycle.cancel(connection, deletion_id)
        if instance_id is None:
            return False
        cancelled = Entry(Action.CANCEL, Decision.ACCEPTED, actor, instance_id, deletion_id)
        chain.append(connection, cancelled, entries.deletion_ended(Decision.CANCELLED, deletion_id, instance_id))
    release_lock_and_notify(services, instance_id, deletion_id)
    return True


def confirm_again(caller: Caller, deletion: Deletion, instance: Instance | None) -> Confirmation | None:
    """Ask for a confirmation before a failed deletion resumes; None where none is needed.

    A deletion that failed before its point of no return has left the instance complete, perhaps long ago. After that
    point nothing of it can be kept, and a deletion that did not fail continues without a call: neither needs one.
    """
    is_whole = deletion.status is DeletionStatus.FAILED and deletion.irrevocable_at is None
    return caller.confirm(instance) if instance and is_whole else None
