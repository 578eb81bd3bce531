"""How pages show times and durations."""

import pytest

from api.console.blueprint import show_duration, show_moment


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0.2, "1 s"), (59, "59 s"), (119, "119 s"), (150, "2 min"), (7000, "117 min"), (9000, "2 h")],
)
def test_a_duration_is_shown_in_the_unit_that_says_enough(seconds: float, shown: str) -> None:
    """Never as zero."""
    assert show_duration(seconds) == shown


def test_a_time_is_the_same_from_the_database_and_from_json() -> None:
    """And nothing is a dash."""
    assert show_moment("2026-11-25T08:00:00.123+00:00") == "2026-11-25 08:00:00 UTC"
    assert show_moment(None) == "–"
