"""How the progress of a step is shown."""

from datetime import UTC, datetime, timedelta

from cli.watch import line_of
from shared.database.models import Step, StepStatus

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def step(status: StepStatus = StepStatus.RUNNING, removed: int = 400, planned: int = 1_000) -> Step:
    """A step that started eight seconds ago."""
    counts = {"planned": {"Message": planned}, "removed": {"Message": removed}}
    return Step(name="delete_records", status=status, at_least=False, started_at=NOW - timedelta(seconds=8), **counts)


def test_a_running_step_shows_its_amount_rate_and_remaining_time() -> None:
    """In few words."""
    line = line_of(step(), NOW)

    assert (line.amount, line.speed) == ("400 / 1,000", "50/s, 12 s to go")


def test_a_step_that_does_not_run_shows_no_rate() -> None:
    """Nor does one that has removed nothing yet."""
    assert line_of(step(StepStatus.DONE), NOW).speed == ""
    assert line_of(step(removed=0), NOW).speed == ""
    assert line_of(step(StepStatus.PENDING, removed=0, planned=0), NOW).amount == ""


def test_a_step_that_removed_all_that_was_planned_has_no_remaining_time() -> None:
    """Evolution may have added rows since the preview."""
    line = line_of(step(removed=1_200), NOW)

    assert (line.amount, line.speed) == ("1,200 / 1,200", "150/s")
