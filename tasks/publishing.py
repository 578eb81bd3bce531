"""Hands a deletion to the workers, and lets those who wait for it know that it has ended."""

from uuid import UUID

from celery import chain
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from shared import celery_app, logs, trail
from shared.deletions import lock, waiting
from shared.deletions.overdue import Nudge
from shared.services import Services
from tasks.pipeline import NAMES

log = logs.get(__name__)


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


def let_go(services: Services, instance_id: str, deletion_id: UUID) -> None:
    """After an end is committed: release the lock and wake whoever waits."""
    try:
        lock.release(services.redis, instance_id, deletion_id)
        waiting.announce(services.redis, deletion_id)
    except RedisError as error:  # the lease runs out by itself, and waiters poll
        log.warning("lock not released", deletion_id=str(deletion_id), error=type(error).__name__)
