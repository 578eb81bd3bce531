"""How numbers, names, times and durations are written for people."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

_UNITS = ((172_800.0, 86_400.0, "days"), (5_400.0, 3_600.0, "h"), (120.0, 60.0, "min"))  # from, divided by, unit
_SHORT_SECONDS = 10.0  # shorter durations are written with one decimal


def quantity(number: int, noun: str, plural: str | None = None) -> str:
    """The number with its noun: `1 place`, `2 places`."""
    return f"{number:,} {noun if number == 1 else plural or f'{noun}s'}"


def largest_first(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    """The counts, the largest first; equal ones by name."""
    return sorted(counts.items(), key=lambda each: (-each[1], each[0]))


def counts_in_line(counts: Mapping[str, int]) -> str:
    """The counts in one line, the largest first: `Message 20,000, Chat 5`."""
    return ", ".join(f"{what} {number:,}" for what, number in largest_first(counts))


def quoted(names: Iterable[str]) -> str:
    """Names in quotes, with control characters escaped, so that they are safe in a terminal."""
    return ", ".join(map(repr, names))


def utc_time(at: datetime | str | None) -> str:
    """A time in UTC, given as datetime or ISO 8601; a dash for None."""
    moment = datetime.fromisoformat(at) if isinstance(at, str) else at
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC" if moment else "–"


def local_time(at: datetime) -> str:
    """A time in this server's time zone."""
    return f"{at.astimezone():%Y-%m-%d %H:%M:%S%z}"


def duration(length: timedelta) -> str:
    """A duration in one unit: `0.5 s`, `2 min`, `3 days`."""
    seconds = max(0.0, length.total_seconds())
    for least, unit_seconds, unit in _UNITS:
        if seconds >= least:
            return f"{seconds / unit_seconds:,.0f} {unit}"
    return f"{seconds:.1f} s" if seconds < _SHORT_SECONDS else f"{seconds:.0f} s"


def time_ago(at: datetime, now: datetime) -> str:
    """A local time, and how long ago it was."""
    return f"{local_time(at)} ({duration(now - at)} ago)"


def time_until(at: datetime, now: datetime) -> str:
    """A local time, and how long it is until then."""
    return f"{local_time(at)} ({f'in {duration(at - now)}' if at > now else 'due'})"
