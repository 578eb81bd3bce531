"""Rates and remaining times, on clocks that nobody waits for."""

from cli.watch import Line, Meter
from shared.database.models import StepStatus


def metered(*samples: tuple[float, int]) -> Meter:
    """A meter that was told these."""
    meter = Meter()
    for now, removed in samples:
        meter.add(now, removed)
    return meter


def line(status: StepStatus = StepStatus.RUNNING, removed: int = 400, per_second: float = 50) -> Line:
    """A step that is to remove 1,000."""
    return Line("delete_records", status, removed, 1_000, False, per_second)


def test_one_look_makes_no_rate() -> None:
    """Nor do two at the same moment."""
    assert metered().per_second == 0
    assert metered((5, 100)).per_second == 0
    assert metered((5, 100), (5, 100)).per_second == 0


def test_the_rate_is_that_of_the_last_seconds() -> None:
    """A slow beginning is forgotten."""
    samples = [(float(second), 0 if second < 60 else (second - 60) * 100) for second in range(90)]

    assert metered(*samples).per_second == 100


def test_the_remaining_time_follows_from_the_rate() -> None:
    """Only of a step that runs, moves, and is not through."""
    assert line().eta_seconds == 12
    assert line(status=StepStatus.DONE).eta_seconds is None
    assert line(per_second=0).eta_seconds is None
    assert line(removed=1_200).eta_seconds is None


def test_a_line_says_how_far_how_fast_and_how_long() -> None:
    """In few words."""
    assert (line().amount, line().speed) == ("400 / 1,000", "50/s, 12 s to go")
