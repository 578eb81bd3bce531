"""Progress of a step, computed from its counts: done, total, rate and remaining time."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from shared.database.models import StepStatus


@dataclass(frozen=True)
class Progress:
    """Counts of rows, keys, files and objects together; rate and remaining time only while the step runs."""

    done: int
    total: int
    per_second: float | None
    eta_seconds: float | None


def of_step(
    status: StepStatus,
    planned: Mapping[str, int] | None,
    removed: Mapping[str, int],
    started_at: datetime | None,
    now: datetime,
) -> Progress:
    """Progress of a step. The rate is the mean since the start; the total is never less than what was removed."""
    done = sum(removed.values())
    total = max(done, sum((planned or {}).values()))
    elapsed = (now - started_at).total_seconds() if started_at else 0.0
    if status is not StepStatus.RUNNING or elapsed <= 0 or not done:
        return Progress(done, total, None, None)
    per_second = done / elapsed
    return Progress(done, total, round(per_second, 1), round((total - done) / per_second, 1))
