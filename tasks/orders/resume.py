"""Resumes a deletion that stopped, or cancels one that has not begun."""

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
) -> bool:
    """Let a stopped deletion go on, and publish it; False when it is not stopped."""
    settings = services.settings
    with own_transaction(services.own) as connection:
        message = lifecycle.resume(
            connection,
            deletion_id,
            caller.requester,
            republish_seconds=settings.nudge_seconds,
            without_gateways=without_gateways,
            confirmation=confirmation,
        )
        if message is None:
            return False
        caller.count()
        instance_id = connection.scalar(select(Deletion.instance_id).where(Deletion.id == deletion_id))
        chain.append(connection, Entry(action, Decision.ACCEPTED, caller.actor, instance_id, deletion_id, "resumed"))
    publish(services, message)
    return True


def cancel(services: Services, deletion_id: UUID, actor: Actor) -> bool:
    """Stop a deletion whose logout has not begun, and give its lock back; False when it is too late."""
    with own_transaction(services.own) as connection:
        instance_id = lifecycle.cancel(connection, deletion_id)
        if instance_id is None:
            return False
        asked = Entry(Action.CANCEL, Decision.ACCEPTED, actor, instance_id, deletion_id)
        chain.append(connection, asked, entries.deletion_ended(Decision.CANCELLED, deletion_id, instance_id))
    release_lock_and_notify(services, instance_id, deletion_id)
    return True


def confirm_again(caller: Caller, deletion: Deletion, instance: Instance | None) -> Confirmation | None:
    """Ask for a confirmation before a deletion is resumed, if there is still something to keep.

    A deletion that failed before its point of no return has left the instance as it was, perhaps long ago. After it
    nothing can be kept, and a deletion that is not failed goes on anyway: there is nothing to ask.
    """
    is_whole = deletion.status is DeletionStatus.FAILED and deletion.irrevocable_at is None
    return caller.confirm(instance) if instance and is_whole else None
