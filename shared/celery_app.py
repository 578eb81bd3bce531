"""The Celery application: how a deletion's messages travel; why each setting is as it is."""

from datetime import timedelta

from celery import Celery

from shared.settings import Settings

QUEUE = "lethe"
NORMAL_PRIORITY, LOW_PRIORITY = 0, 9  # priorities as Redis has them: a giant's next slice lets everything else pass


# RabbitMQ hands a message out again when its worker's connection ends: it needs no visibility timeout.
_RABBITMQ: dict[str, object] = {
    "confirm_publish": True,  # else a message that the broker refused counts as published
    "connect_timeout": 3,
    "read_timeout": 10,
    "write_timeout": 10,
}


def task_name(step: str) -> str:
    """The Celery task of a step, as Flower shows it."""
    return f"lethe.{step}"


def priority_on(broker: str, priority: int) -> int:
    """The priority as the broker counts: RabbitMQ's greater number comes first."""
    return LOW_PRIORITY - priority if _is_rabbitmq(broker) else priority


def create(settings: Settings) -> Celery:
    """A Celery application for this deployment; it knows tasks by name only."""
    app = Celery("lethe", broker=settings.broker, set_as_current=False)
    transport: dict[str, object] = {
        # A task that outlives this runs twice at once; ours end at the hard limit, far below.
        "visibility_timeout": settings.visibility_seconds,
        # A dead broker is noticed in seconds instead of never; longer than a blocking read (BRPOP waits 1 s).
        "socket_timeout": 10,
        "socket_connect_timeout": 3,
        "socket_keepalive": True,
        "retry_on_timeout": True,
        # Messages of a killed worker come back within seconds of their time, not after 10 x 10 rounds.
        "unacked_restore_interval": 10,
        "unacked_restore_throttle": 1,
        "priority_steps": [NORMAL_PRIORITY, LOW_PRIORITY],
    }
    if _is_rabbitmq(settings.broker):
        transport = _RABBITMQ
        app.conf.task_default_queue_type = "quorum"  # outlives the loss of a node
    app.conf.update(
        task_default_queue=QUEUE,
        task_serializer="json",
        accept_content=["json"],
        timezone="UTC",
        # Nobody reads results: the API waits on the deletion's row. A Redis result backend leaks and has deadlocked.
        task_ignore_result=True,
        # A message is only a nudge, and every step guards itself: hand it out again rather than lose it.
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        # One at a time, so that no small deletion waits in the pocket of a worker that is busy with a giant.
        worker_prefetch_multiplier=1,
        # Between slice_seconds and visibility: a hung step is stopped before anybody else may get its message.
        task_soft_time_limit=settings.soft_limit_seconds,
        task_time_limit=settings.hard_limit_seconds,
        # kombu reads the timeout here, Celery's results there, and redelivery in the third place: all the same.
        broker_transport_options=transport,
        result_backend_transport_options={"visibility_timeout": settings.visibility_seconds},
        visibility_timeout=settings.visibility_seconds,
        # SIGTERM (a deploy) is a warm shutdown: the running slices end at their next batch and are acknowledged.
        # SIGQUIT, for who can't wait even for that, gives them this long and puts the rest back into the queue.
        # Not on idle: a soft shutdown sleeps its whole time, a worker without work would take 20 s to stop.
        worker_soft_shutdown_timeout=20,
        # Without its broker a worker can't acknowledge: let the message go to another one.
        worker_cancel_long_running_tasks_on_connection_loss=True,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        # Publishing is given up quickly: the reconciler publishes what is in the database.
        task_publish_retry=True,
        task_publish_retry_policy={"max_retries": 1, "interval_start": 0.1, "interval_max": 0.2},
        worker_concurrency=settings.worker_concurrency,
        # Keeps nothing in a file: the schedule is an interval, and a read-only container has nowhere to write.
        beat_scheduler="celery.beat:Scheduler",
        # Flower watches.
        worker_send_task_events=True,
        task_send_sent_event=True,
        worker_hijack_root_logger=False,
        beat_schedule={
            "reconcile": {
                "task": "lethe.reconcile",
                "schedule": timedelta(seconds=settings.reconcile_seconds),
                # A round that nobody took is as good as the next one.
                "options": {"expires": settings.reconcile_seconds},
            },
            "look_again": {
                "task": "lethe.look_again",
                "schedule": timedelta(seconds=settings.reconcile_seconds),
                "options": {"expires": settings.reconcile_seconds},
            },
            "redeliver": {
                "task": "lethe.redeliver",
                "schedule": timedelta(seconds=settings.redeliver_seconds),
                "options": {"expires": settings.redeliver_seconds},
            },
        },
    )
    return app


def _is_rabbitmq(broker: str) -> bool:
    return broker.startswith(("amqp://", "amqps://"))
