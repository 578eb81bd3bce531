"""The order of the steps, and the chain that carries a deletion through them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import ModuleType
from uuid import UUID

from celery import chain
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError
from sqlalchemy import Connection, select

from shared import audit, audit_entries, celery_app, deletions, forgetting, lock, logs, receipt, trail, wake
from shared.audit_entries import Action, Actor, Decision, Entry
from shared.claims import Claim
from shared.confirmation import Confirmation
from shared.database import own_transaction
from shared.models import Deletion
from shared.nudges import Nudge
from shared.services import Services
from tasks import (
    confirm,
    delete_files,
    delete_records,
    deregister,
    logout,
    purge_cache,
    send_webhook,
    servers,
)
from tasks.caller import Caller
from tasks.context import Context, Counts, Progress, Target

log = logs.get(__name__)


@dataclass(frozen=True)
class PipelineStep:
    """One step: its name, as everywhere shown, and what it does."""

    name: str
    preview: Callable[[Target], Counts]
    run: Callable[[Context], Progress]


def _step(module: ModuleType) -> PipelineStep:
    return PipelineStep(module.__name__.rpartition(".")[2], module.preview, module.run)


PIPELINE = tuple(
    _step(module) for module in (logout, purge_cache, send_webhook, deregister, delete_records, delete_files, confirm)
)
NAMES = tuple(step.name for step in PIPELINE)
BY_NAME = {step.name: step for step in PIPELINE}


def submit(services: Services, nudge: Nudge, *, priority: int = celery_app.NORMAL) -> bool:
    """Publish the chain from the deletion's next step on; False when the broker did not take it.

    Nothing is lost then: the reconciler publishes what nobody claims. The priority is the first step's.
    """
    arguments = (str(nudge.deletion_id), nudge.attempt)
    carried = trail.headers(services.redis, nudge.deletion_id)
    steps = [
        services.celery.signature(celery_app.task_name(name), args=arguments, immutable=True, headers=carried)
        for name in NAMES[nudge.position :]
    ]
    try:
        chain(*steps, app=services.celery).apply_async(
            priority=celery_app.priority_on(services.settings.broker, priority)
        )
    except (OperationalError, OSError):
        return False
    return True


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
        nudge = deletions.resume(
            connection,
            deletion_id,
            caller.requester,
            nudge_seconds=settings.nudge_seconds,
            without_gateways=without_gateways,
            confirmation=confirmation,
        )
        if nudge is None:
            return False
        caller.count()
        instance_id = connection.scalar(select(Deletion.instance_id).where(Deletion.id == deletion_id))
        audit.append(connection, Entry(action, Decision.ACCEPTED, caller.actor, instance_id, deletion_id, "resumed"))
    submit(services, nudge)
    return True


def cancel(services: Services, deletion_id: UUID, actor: Actor) -> bool:
    """Stop a deletion whose logout has not begun, and give its lock back; False when it is too late."""
    with own_transaction(services.own) as connection:
        instance_id = deletions.cancel(connection, deletion_id)
        if instance_id is None:
            return False
        asked = Entry(Action.CANCEL, Decision.ACCEPTED, actor, instance_id, deletion_id)
        audit.append(connection, asked, audit_entries.ended(Decision.CANCELLED, deletion_id, instance_id))
    let_go(services, instance_id, deletion_id)
    return True


def let_go(services: Services, instance_id: str, deletion_id: UUID) -> None:
    """After an end is committed: release the lock and wake whoever waits."""
    try:
        lock.release(services.redis, instance_id, deletion_id)
        wake.announce(services.redis, deletion_id)
    except RedisError as error:  # the lease runs out by itself, and waiters poll
        log.warning("lock not released", deletion_id=str(deletion_id), error=type(error).__name__)


def conclude(services: Services, claim: Claim) -> Callable[[Connection], None]:
    """What is done in the transaction of the deletion's success: forget, tell the audit, write the receipt.

    In this order: the receipt quotes its line, and after the line no row is waited for that somebody else may hold.
    """

    def forget_and_write(connection: Connection) -> None:
        forgetting.scrub(connection, claim.deletion_id)
        line = audit.append(connection, audit_entries.ended(Decision.SUCCEEDED, claim.deletion_id, claim.instance_id))
        receipt.write(connection, claim.deletion_id, services.settings, line)

    return forget_and_write


def preview(target: Target) -> dict[str, Counts]:
    """What each step would remove; changes nothing, raises what stands in the way of a deletion."""
    servers.check(target)
    return {step.name: step.preview(target) for step in PIPELINE}
