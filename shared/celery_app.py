"""The Celery application of Lethe, with the reason for each of its settings."""

from datetime import timedelta

from celery import Celery

from shared import certificates
from shared.servers import redis as redis_servers
from shared.settings import Settings

QUEUE = "lethe"
# As Redis counts. The next slice of a large deletion has the low one; the first message of a deletion that was ordered
# with many others the lowest one, so that a thousand of them delay no other.
NORMAL_PRIORITY, LOW_PRIORITY, BULK_PRIORITY = 0, 6, 9


# RabbitMQ redelivers a message when the connection of its worker ends: it needs no visibility timeout.
_RABBITMQ: dict[str, object] = {
    "confirm_publish": True,  # else a message that the broker rejects counts as published
    "connect_timeout": 3,
    "read_timeout": 10,
    "write_timeout": 10,
}


def task_name(step: str) -> str:
    """The Celery task of a step, as Flower shows it."""
    return f"lethe.{step}"


def priority_on(broker: str, priority: int) -> int:
    """The priority as the broker counts: on RabbitMQ the greater number comes first."""
    return BULK_PRIORITY - priority if _is_rabbitmq(broker) else priority


def create(settings: Settings) -> Celery:
    """The Celery application of this deployment; it knows tasks by name only."""
    url, options, ssl = redis_servers.for_celery(certificates.in_redis_url(settings.broker, settings.ca_file))
    app = Celery("lethe", broker=url, set_as_current=False)
    transport: dict[str, object] = {
        # A task that takes longer runs twice at once; the hard time limit ends it long before.
        "visibility_timeout": settings.visibility_seconds,
        # A dead broker is noticed in seconds instead of never; longer than a blocking read (BRPOP waits 1 s).
        "socket_timeout": 10,
        "socket_connect_timeout": 3,
        "socket_keepalive": True,
        "retry_on_timeout": True,
        # Messages of a killed worker are redelivered within seconds, not after 10 x 10 rounds.
        "unacked_restore_interval": 10,
        "unacked_restore_throttle": 1,
        "priority_steps": [NORMAL_PRIORITY, LOW_PRIORITY, BULK_PRIORITY],
        **options,
    }
    if _is_rabbitmq(settings.broker):
        transport = _RABBITMQ
        app.conf.task_default_queue_type = "quorum"  # survives the loss of a node
    app.conf.update(
        task_default_queue=QUEUE,
        task_serializer="json",
        accept_content=["json"],
        timezone="UTC",
        # Results are not read: the API waits on the deletion's row. A Redis result backend leaks and has deadlocked.
        task_ignore_result=True,
        # A message only wakes a worker, and each step checks its claim: redeliver a message rather than lose it.
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        # One at a time, so that no small deletion waits behind a large one that its worker has begun.
        worker_prefetch_multiplier=1,
        # Between slice_seconds and visibility_seconds: a step that hangs ends before its message is redelivered.
        task_soft_time_limit=settings.soft_limit_seconds,
        task_time_limit=settings.hard_limit_seconds,
        # kombu, the result backend and the redelivery each read the timeout in another place: all need the same.
        broker_transport_options=transport,
        broker_use_ssl=ssl or certificates.for_rabbitmq(settings.broker, settings.ca_file),
        result_backend_transport_options={"visibility_timeout": settings.visibility_seconds},
        visibility_timeout=settings.visibility_seconds,
        # SIGTERM (a deploy) is a warm shutdown: the running slices end at their next batch and are acknowledged.
        # SIGQUIT does not wait for that: it gives them this long and puts the rest back into the queue.
        # Not on idle: a soft shutdown always takes its whole time, so that an idle worker would need 20 s to stop.
        worker_soft_shutdown_timeout=20,
        # Without the broker a worker cannot acknowledge: another worker will get the message.
        worker_cancel_long_running_tasks_on_connection_loss=True,
        broker_connection_retry_on_startup=True,
        # A Redis that refuses writes (full, a replica, a disk that it cannot save to) ends no worker: it connects anew.
        broker_channel_error_retry=True,
        broker_connection_max_retries=None,
        # Publishing fails quickly: the reconciler publishes again what the database has.
        task_publish_retry=True,
        task_publish_retry_policy={"max_retries": 1, "interval_start": 0.1, "interval_max": 0.2},
        worker_concurrency=settings.worker_concurrency,
        # The schedule needs no file: it has intervals only, and a read-only container cannot write one.
        beat_scheduler="celery.beat:Scheduler",
        # Flower turns them on in the workers every 5 s while it runs: four messages for each step are much for nobody.
        worker_send_task_events=False,
        task_send_sent_event=False,
        worker_hijack_root_logger=False,
        beat_schedule={
            "reconcile": _every(settings.reconcile_seconds, "lethe.reconcile"),
            "look_again": _every(settings.reconcile_seconds, "lethe.look_again"),
            "redeliver": _every(settings.redeliver_seconds, "lethe.redeliver"),
            **({"stamp": _every(settings.redeliver_seconds, "lethe.stamp")} if settings.timestamp_url else {}),
        },
    )
    return app


def _every(seconds: float, task: str) -> dict[str, object]:
    """A periodic task. If no worker runs it in time, it is dropped: the next one does the same."""
    return {"task": task, "schedule": timedelta(seconds=seconds), "options": {"expires": seconds}}


def _is_rabbitmq(broker: str) -> bool:
    return broker.startswith(("amqp://", "amqps://"))
