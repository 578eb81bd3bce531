"""The order of the steps, and the chain that carries a deletion through them."""

from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType

from celery import chain
from kombu.exceptions import OperationalError

from shared import celery_app
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
)
from tasks.context import Context, Counts, Progress, Target


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


def submit(services: Services, nudge: Nudge) -> bool:
    """Publish the chain from the deletion's next step on; False when the broker did not take it.

    Nothing is lost then: the reconciler publishes what nobody claims.
    """
    arguments = (str(nudge.deletion_id), nudge.attempt)
    steps = [
        services.celery.signature(celery_app.task_name(name), args=arguments, immutable=True)
        for name in NAMES[nudge.position :]
    ]
    try:
        chain(*steps, app=services.celery).apply_async()
    except (OperationalError, OSError):
        return False
    return True


def preview(target: Target) -> dict[str, Counts]:
    """What each step would remove; changes nothing, raises what stands in the way of a deletion."""
    return {step.name: step.preview(target) for step in PIPELINE}
