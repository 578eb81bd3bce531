"""A watched worker that stops at the point that an instance's name says, and waits there to be killed."""

import os
import threading
from collections.abc import Callable
from typing import Any

from celery.signals import task_postrun

from shared.deletions import claims
from shared.deletions.claims import Claim
from shared.evolution.gateway import Gateway
from shared.evolution.rows import counting
from shared.webhooks import delivery
from tasks import pipeline
from tasks.context import Context, Progress
from tests.faults.workers import watched
from tests.faults.workers.watched import FOLDER, Run

app = watched.app
MOMENTS = ("before", "middle", "after", "committed", "published")
# Where a step is in the middle when it does not count what it removes one by one: this was done, and not written down.
_MIDDLES: dict[str, tuple[Any, str]] = {
    "logout": (Gateway, "log_out"),
    "send_webhook": (delivery, "deliver"),
    "deregister": (Gateway, "drop"),
    "confirm": (counting, "remaining"),
}
_claims: list[Claim] = []  # the one that this process worked on last


def point(moment: str, step: str) -> str:
    """The name of an instance whose deletion is to stop there."""
    return f"{moment}-{step}"


def _ambush(moment: str, step: str | None = None) -> None:
    """Stop here for ever if this is the point, and no worker was killed at it yet."""
    if not _claims or step not in (None, _claims[0].step):
        return
    name = _claims[0].instance_name
    reached, worker = FOLDER / f"{name}.reached", str(os.getppid())
    # The same worker stops again: the time limit of a task may have ended the first stop.
    if name == point(moment, _claims[0].step) and (not reached.exists() or reached.read_text() == worker):
        reached.write_text(worker)
        threading.Event().wait()


def _ambushed(run: Run) -> Run:
    def ambushed(ctx: Context) -> Progress:
        _claims[:] = [ctx.claim]
        _ambush("before")
        progress = run(ctx)
        _ambush("after")
        return progress

    return ambushed


def _then(act: Callable[..., Any], moment: str, step: str | None = None) -> Callable[..., Any]:
    def acted(*arguments: Any, **options: Any) -> Any:
        answer = act(*arguments, **options)
        _ambush(moment, step)
        return answer

    return acted


def _removed(ctx: Context, counts: dict[str, int]) -> None:
    if ctx.claim.step not in _MIDDLES:
        _ambush("middle")
    _count(ctx, counts)


@task_postrun.connect
def _published(**_: object) -> None:
    """The next step's message is out, this one's is not acknowledged yet."""
    _ambush("published")


_count = Context.add_removed
Context.add_removed = _removed  # type: ignore[assignment, method-assign]
watched.wrap_steps(_ambushed)
for _step, (_place, _name) in _MIDDLES.items():
    setattr(_place, _name, _then(getattr(_place, _name), "middle", _step))
claims.finish_step = _then(claims.finish_step, "committed")
POINTS = {moment: [point(moment, name) for name in pipeline.NAMES] for moment in MOMENTS}
