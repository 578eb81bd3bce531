"""How numbers, moments and durations are said."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

_UNITS = ((172_800.0, 86_400.0, "days"), (5_400.0, 3_600.0, "h"), (120.0, 60.0, "min"))  # from, divided by, unit
_SHORT_SECONDS = 10.0  # below it, a tenth matters


def counted(number: int, thing: str, things: str | None = None) -> str:
    """The number with its noun: 1 place, 2 places."""
    return f"{number:,} {thing if number == 1 else things or f'{thing}s'}"


def ranked(numbers: Mapping[str, int]) -> list[tuple[str, int]]:
    """What was counted, the most of it first, then by name."""
    return sorted(numbers.items(), key=lambda each: (-each[1], each[0]))


def counts(numbers: Mapping[str, int]) -> str:
    """What was counted, in one line."""
    return ", ".join(f"{what} {number:,}" for what, number in ranked(numbers))


def listed(names: Iterable[str]) -> str:
    """Names as they are, told apart by quotes, and harmless to a terminal."""
    return ", ".join(map(repr, names))


def moment(at: datetime) -> str:
    """A moment by this server's clock and zone."""
    return f"{at.astimezone():%Y-%m-%d %H:%M:%S%z}"


def span(length: timedelta) -> str:
    """A duration in one unit."""
    seconds = max(0.0, length.total_seconds())
    for least, unit_seconds, unit in _UNITS:
        if seconds >= least:
            return f"{seconds / unit_seconds:,.0f} {unit}"
    return f"{seconds:.1f} s" if seconds < _SHORT_SECONDS else f"{seconds:.0f} s"


def ago(at: datetime, now: datetime) -> str:
    """A moment, and how long that is ago."""
    return f"{moment(at)} ({span(now - at)} ago)"


def ahead(at: datetime, now: datetime) -> str:
    """A moment, and how long it is until then."""
    return f"{moment(at)} ({f'in {span(at - now)}' if at > now else 'due'})"
