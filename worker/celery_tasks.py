"""The Celery tasks, one per step and four for beat; `celery -A worker.celery_tasks` starts workers and beat."""

import gc
import time
from collections.abc import Callable
from functools import cache
from multiprocessing.sharedctypes import RawValue
from typing import TYPE_CHECKING
from uuid import UUID

import structlog
from amqp.exceptions import AMQPError
from celery import Task
from celery.signals import (
    setup_logging,
    worker_init,
    worker_process_init,
    worker_process_shutdown,
    worker_shutting_down,
)
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from shared import celery_app, logs, message_headers, settings, tracing
from shared.errors import LetheError
from tasks import names
from worker import redis_loss

# Beat and Flower read this module as well: what the stores and the steps need, 40 MB, is imported where it is used.
if TYPE_CHECKING:
    from shared.services import Services
    from worker.pause_timer import PauseTimer
    from worker.runner import Runner

log = logs.get(__name__)
redis_loss.patch_kombu()
app = celery_app.create(settings.read())

# Made before the fork: the parent sets it on SIGTERM, its children see it and end their slices early.
# No Event: one that a killed child holds would block them all.
_stopping = RawValue("b", 0)
_QUEUE_CHECK_SECONDS = 0.25


@setup_logging.connect
def _configure_logs(**_: object) -> None:
    logs.configure(settings.read())


@worker_init.connect
def _load(**_: object) -> None:
    """Before the fork, so that the children share the memory of it; no connection is opened here."""
    from sqlalchemy.orm import configure_mappers

    from worker import pause_timer, reconciler, runner, stamping, webhook_retries  # noqa: F401

    _services()
    configure_mappers()  # else each child does it at its first query
    gc.freeze()  # a collection in a child would write to every object, and so copy it


@worker_process_init.connect
def _trace(**_: object) -> None:
    tracing.start(settings.read(), "worker")  # a thread: after the fork


@worker_shutting_down.connect
def _stop_soon(**_: object) -> None:
    _stopping.value = 1


@worker_process_init.connect
def _start_pause_timer(**_: object) -> None:
    _pause_timer().start()


@worker_process_shutdown.connect
def _close(**_: object) -> None:
    if _pause_timer.cache_info().currsize:
        _pause_timer().stop()
    if _services.cache_info().currsize:
        _services().close()
    tracing.stop()


@cache
def _services() -> "Services":
    from shared import services

    return services.create(settings.read(), celery=app)  # made before the fork, connected after it


@cache
def _pause_timer() -> "PauseTimer":
    from worker.pause_timer import PauseTimer

    return PauseTimer(_services())


@cache
def _runner() -> "Runner":
    from worker.runner import Runner

    return Runner(_services(), lambda: bool(_stopping.value), _make_queue_check(), on_pause=_pause_timer().wake)


def _make_queue_check() -> Callable[[], bool]:
    """Whether messages wait in the queue, asked of the broker a few times a second at most."""
    seen = [0.0, False]

    def others_wait() -> bool:
        if time.monotonic() - seen[0] > _QUEUE_CHECK_SECONDS:
            try:
                with app.connection_or_acquire() as connection:
                    waiting = connection.default_channel.queue_declare(celery_app.QUEUE, passive=True).message_count
            except (AMQPError, OperationalError, RedisError, OSError):  # an empty queue of Redis does not exist
                waiting = 0
            seen[:] = [time.monotonic(), waiting > 0]
        return bool(seen[1])

    return others_wait


def _run(task: Task, step: str, deletion_id: str, attempt: int) -> str:
    from shared.deletions.republishing import StepMessage
    from tasks import pipeline, publishing
    from worker.runner import Outcome

    runner, carried = _runner(), message_headers.received(task.request.headers)
    facts = {**carried, "deletion_id": deletion_id, "attempt": attempt, "step": step}
    with structlog.contextvars.bound_contextvars(**facts), tracing.span(step, carried, deletion_id=deletion_id):
        outcome = runner.run(step, UUID(deletion_id), attempt)
        if outcome is not Outcome.CONTINUE:
            task.request.chain = None  # the rest of this chain is not to be run
        if outcome is Outcome.REPUBLISH:
            rest = StepMessage(UUID(deletion_id), attempt, pipeline.NAMES.index(step))
            publishing.publish(_services(), rest, priority=celery_app.LOW_PRIORITY)
    return outcome.value


def _register(step: str) -> None:
    @app.task(bind=True, name=celery_app.task_name(step))
    def run_step(task: Task, deletion_id: str, attempt: int) -> str:
        return _run(task, step, deletion_id, attempt)


for _name in names.IN_ORDER:
    _register(_name)


@app.task(name="lethe.redeliver")
def redeliver() -> int:
    """Every redeliver_seconds, by beat."""
    from worker import webhook_retries

    return _skip_on_error(lambda: webhook_retries.redeliver(_services()))


@app.task(name="lethe.stamp")
def stamp() -> int:
    """Every redeliver_seconds, by beat, where LETHE_TIMESTAMP_URL is set."""
    from worker import stamping

    return _skip_on_error(lambda: stamping.stamp(_services()))


@app.task(name="lethe.reconcile")
def reconcile() -> int:
    """Every reconcile_seconds, by beat."""
    from worker import reconciler

    return _skip_on_error(lambda: reconciler.reconcile(_services()))


@app.task(name="lethe.look_again")
def recheck_erased_instances() -> int:
    """Every reconcile_seconds, by beat."""
    from tasks.leftovers import rechecks

    return _skip_on_error(lambda: rechecks.run_due(_services()))


def _skip_on_error(act: Callable[[], int]) -> int:
    try:
        return act()
    except (LetheError, RedisError) as error:  # a database or Redis is away, or refuses: the next round is soon
        log.warning("round skipped", reason=error.title if isinstance(error, LetheError) else type(error).__name__)
        return 0
