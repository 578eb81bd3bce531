"""Numbers, moments and durations, as people say them."""

from datetime import UTC, datetime, timedelta

import pytest

from shared import formatting
from shared.translations import language

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_one_is_not_many() -> None:
    """Nor is none; a plural that is no -s is given."""
    assert [formatting.quantity(number, "place") for number in (0, 1, 2, 1_200)] == [
        "0 places", "1 place", "2 places", "1,200 places",
    ]  # fmt: skip
    assert (formatting.quantity(1, "try", "tries"), formatting.quantity(3, "try", "tries")) == ("1 try", "3 tries")


def test_the_most_comes_first() -> None:
    """What is equal goes by name, so that two looks read the same."""
    assert (
        formatting.counts_in_line({"Chat": 2, "B": 40_000, "A": 2, "Message": 60_000})
        == "Message 60,000, B 40,000, A 2, Chat 2"
    )


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (-1, "0.0 s"), (0.04, "0.0 s"), (0.46, "0.5 s"), (12.3, "12 s"), (119, "119 s"), (120, "2 min"),
        (5_399, "90 min"), (5_400, "2 h"), (86_400, "24 h"), (172_800, "2 days"), (864_000_000, "10,000 days"),
    ],
)  # fmt: skip
def test_a_span_has_one_unit(seconds: float, said: str) -> None:
    """The one that tells most."""
    assert formatting.duration(timedelta(seconds=seconds)) == said


def test_a_moment_is_said_with_its_distance() -> None:
    """In the past, ahead, and when it is due."""
    assert formatting.time_ago(NOW - timedelta(minutes=5), NOW).endswith(" (5 min ago)")
    assert formatting.time_until(NOW + timedelta(seconds=42), NOW).endswith(" (in 42 s)")
    assert formatting.time_until(NOW - timedelta(seconds=1), NOW).endswith(" (due)")


def test_names_cannot_steer_a_terminal() -> None:
    """They are told apart by quotes."""
    assert formatting.quoted(["a, b", "\x1b[2J"]) == r"'a, b', '\x1b[2J'"


def test_a_utc_time_is_the_same_from_the_database_and_from_json() -> None:
    """And None is a dash."""
    assert formatting.utc_time("2026-11-25T08:00:00.123+00:00") == "2026-11-25 08:00:00 UTC"
    assert formatting.utc_time(datetime(2026, 11, 25, 8, tzinfo=UTC)) == "2026-11-25 08:00:00 UTC"
    assert formatting.utc_time(None) == "–"


def test_all_of_it_in_portuguese() -> None:
    """Points between thousands, days first, and units of Babel's."""
    with language.only_here(language.PORTUGUESE):
        assert formatting.number(20_001) == "20.001"
        assert formatting.counts_in_line({"Message": 60_000}) == "Message 60.000"
        assert formatting.utc_time(NOW) == "01/03/2026 12:00:00 UTC"
        assert formatting.utc_time(None) == "–"
        assert [formatting.duration(timedelta(seconds=each)) for each in (0.46, 12, 120, 7_200, 172_800)] == [
            "0,5 s", "12 s", "2 min", "2 h", "2 dias",
        ]  # fmt: skip
