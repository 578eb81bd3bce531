"""How numbers, names, times and durations are written for people, in the language of the reader."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta

from shared.translations import language
from shared.translations.texts import _, ngettext, with_separators

# From, divided by, unit in English, and unit as Babel names it.
_UNITS = (
    (172_800.0, 86_400.0, "days", "duration-day"),
    (5_400.0, 3_600.0, "h", "duration-hour"),
    (120.0, 60.0, "min", "duration-minute"),
    (0.0, 1.0, "s", "duration-second"),
)
_SHORT_SECONDS = 10.0  # shorter durations are written with one decimal


def number(amount: float) -> str:
    """A number without decimals: `20,001`, or `20.001`."""
    return with_separators(f"{amount:,.0f}")


def quantity(amount: int, noun: str, plural: str | None = None) -> str:
    """The number with its noun: `1 place`, `2 places`."""
    return ngettext(f"{{n:,}} {noun}", f"{{n:,}} {plural or f'{noun}s'}", amount, n=amount)


def largest_first(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    """The counts, the largest first; equal ones by name."""
    return sorted(counts.items(), key=lambda each: (-each[1], each[0]))


def counts_in_line(counts: Mapping[str, int]) -> str:
    """The counts in one line, the largest first: `Message 20,000, Chat 5`."""
    return ", ".join(f"{what} {number(amount)}" for what, amount in largest_first(counts))


def quoted(names: Iterable[str]) -> str:
    """Names in quotes, with control characters escaped, so that they are safe in a terminal."""
    return ", ".join(map(repr, names))


def utc_time(at: datetime | str | None) -> str:
    """A time in UTC, given as datetime or ISO 8601; a dash for None."""
    moment = datetime.fromisoformat(at) if isinstance(at, str) else at
    return f"{_date_and_time(moment.astimezone(UTC))} UTC" if moment else "–"


def local_time(at: datetime) -> str:
    """A time in this server's time zone."""
    local = at.astimezone()
    return f"{_date_and_time(local)}{local:%z}"


def duration(length: timedelta) -> str:
    """A duration in one unit: `0.5 s`, `2 min`, `3 days`."""
    seconds = max(0.0, length.total_seconds())
    least, divisor, english, unit = next(each for each in _UNITS if seconds >= each[0])
    decimals = 1 if not least and seconds < _SHORT_SECONDS else 0
    if language.current() == language.ENGLISH:
        return f"{seconds / divisor:,.{decimals}f} {english}"
    from babel.units import format_unit  # takes a while to import

    pattern = "#,##0.0" if decimals else "#,##0"
    return format_unit(seconds / divisor, unit, "short", format=pattern, locale=language.locale_name())


def time_ago(at: datetime, now: datetime) -> str:
    """A local time, and how long ago it was."""
    return _("{time} ({duration} ago)", time=local_time(at), duration=duration(now - at))


def time_until(at: datetime, now: datetime) -> str:
    """A local time, and how long it is until then."""
    if at <= now:
        return _("{time} (due)", time=local_time(at))
    return _("{time} (in {duration})", time=local_time(at), duration=duration(at - now))


def _date_and_time(at: datetime) -> str:
    if language.current() == language.ENGLISH:
        return f"{at:%Y-%m-%d %H:%M:%S}"
    from babel.dates import format_date, format_time  # takes a while to import

    locale = language.locale_name()
    return f"{format_date(at, 'short', locale)} {format_time(at.replace(tzinfo=None), 'medium', locale=locale)}"
