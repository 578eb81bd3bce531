"""Done, total, rate and remaining time of a step."""

from datetime import UTC, datetime, timedelta

import pytest

from shared.database.models import StepStatus
from shared.deletions import progress
from shared.deletions.progress import Progress

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
BEGAN = NOW - timedelta(seconds=20)


def test_a_running_step_has_a_rate_and_a_remaining_time() -> None:
    """200 of 1,000 in 20 s: 10 a second, 80 s to go."""
    found = progress.of_step(StepStatus.RUNNING, {"Message": 900, "Chat": 100}, {"Message": 200}, BEGAN, NOW)

    assert found == Progress(200, 1_000, 10.0, 80.0)


@pytest.mark.parametrize("status", [StepStatus.PENDING, StepStatus.DONE, StepStatus.FAILED])
def test_what_does_not_run_has_no_rate(status: StepStatus) -> None:
    """Only counts."""
    assert progress.of_step(status, {"a": 4}, {"a": 3}, BEGAN, NOW) == Progress(3, 4, None, None)


def test_more_may_go_than_was_planned() -> None:
    """A connected server wrote meanwhile: nothing is left to wait for, and no total is below what is done."""
    assert progress.of_step(StepStatus.RUNNING, {"a": 5}, {"a": 20}, BEGAN, NOW) == Progress(20, 20, 1.0, 0.0)


def test_what_was_not_planned_or_not_begun_divides_nothing_by_zero() -> None:
    """Before the first count."""
    assert progress.of_step(StepStatus.RUNNING, None, {}, None, NOW) == Progress(0, 0, None, None)
    assert progress.of_step(StepStatus.RUNNING, None, {"a": 1}, NOW, NOW) == Progress(1, 1, None, None)
