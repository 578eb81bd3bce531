"""A worker that notes when two runs of one deletion overlap, or when a step runs again that was done."""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from shared.deletions import claims
from shared.deletions.claims import Claim
from tasks import pipeline
from tasks.context import Context, Progress
from worker.celery_tasks import app

__all__ = ["app"]

FOLDER = Path(os.environ["FAULTS_FOLDER"])


Run = Callable[[Context], Progress]


def wrap_steps(wrap: Callable[[Run], Run]) -> None:
    """Put something around the run of every step of this process."""
    pipeline.PIPELINE = tuple(replace(step, run=wrap(step.run)) for step in pipeline.PIPELINE)
    pipeline.BY_NAME.update({step.name: step for step in pipeline.PIPELINE})


def _watched(run: Run) -> Run:
    def watched(ctx: Context) -> Progress:
        with _alone(ctx):
            if _done(ctx.claim).exists():
                _note(f"{ctx.claim.step} of {ctx.instance_name} ran again after it was done")
            return run(ctx)

    return watched


@contextmanager
def _alone(ctx: Context) -> Iterator[None]:
    """Hold a lock that the kernel releases when the process dies: if it is held, another run is under way."""
    with (FOLDER / f"{ctx.deletion_id}.running").open("w") as running:
        try:
            fcntl.flock(running, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _note(f"{ctx.claim.step} of {ctx.instance_name} ran twice at once")
        yield


def _noted(finish_step: Callable[..., None]) -> Callable[..., None]:
    def noted(engine: Any, claim: Claim, **options: Any) -> None:
        finish_step(engine, claim, **options)
        _done(claim).touch(exist_ok=False)

    return noted


def _done(claim: Claim) -> Path:
    return FOLDER / f"{claim.deletion_id}.{claim.step}.done"


def _note(line: str) -> None:
    with (FOLDER / "double_runs").open("a") as notes:
        notes.write(f"{line}\n")


wrap_steps(_watched)
claims.finish_step = _noted(claims.finish_step)
