"""Publishes a deletion's steps to the workers, and notifies waiting requests of its end."""

from uuid import UUID

from amqp.exceptions import AMQPError
from celery import chain
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from shared import celery_app, logs, message_headers
from shared.deletions import lock, waiting
from shared.deletions.republishing import StepMessage
from shared.services import Services
from tasks.pipeline import NAMES

log = logs.get(__name__)


def publish(services: Services, message: StepMessage, *, priority: int | None = None) -> bool:
    """Publish the chain from the deletion's next step on; False when the broker did not take it.

    Then the reconciler publishes it. The priority is that of the first message.
    """
    if priority is None:
        begins = message.in_bulk and message.position == 0
        priority = celery_app.BULK_PRIORITY if begins else celery_app.NORMAL_PRIORITY
    arguments = (str(message.deletion_id), message.attempt)
    carried = message_headers.for_deletion(services.redis, message.deletion_id)
    steps = [
        services.celery.signature(celery_app.task_name(name), args=arguments, immutable=True, headers=carried)
        for name in NAMES[message.position :]
    ]
    try:
        chain(*steps, app=services.celery).apply_async(
            priority=celery_app.priority_on(services.settings.broker, priority)
        )
    except (AMQPError, OperationalError, RedisError, OSError):  # kombu does not wrap what RabbitMQ refuses
        return False
    return True


def release_lock_and_notify(services: Services, instance_id: str, deletion_id: UUID) -> None:
    """After the end of a deletion is committed: release its lock and notify the requests that wait for it."""
    try:
        lock.release(services.redis, instance_id, deletion_id)
        waiting.notify(services.redis, deletion_id)
    except RedisError as error:  # the lock expires, and waiting requests poll
        log.warning("lock not released", deletion_id=str(deletion_id), error=type(error).__name__)
