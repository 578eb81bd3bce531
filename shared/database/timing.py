"""Times by the own database's clock, so that no two hosts have to agree on the time."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ScalarSelect, func, select
from sqlalchemy.orm import InstrumentedAttribute


def from_now(seconds: float) -> Any:
    """The time in so many seconds, as SQL."""
    return func.now() + timedelta(seconds=seconds)


def after_growing_pause(first_seconds: float, tries: InstrumentedAttribute[int], longest_seconds: float) -> Any:
    """The time of the next try, as SQL: the pause doubles with each try, up to the longest one."""
    pause_seconds = func.least(first_seconds * func.power(2, func.least(tries, 10)), longest_seconds)
    return func.now() + pause_seconds * timedelta(seconds=1)


def due_rows(
    key: Any, due_at: InstrumentedAttribute[datetime | None], *conditions: Any, limit: int
) -> ScalarSelect[Any]:
    """Keys of rows whose time has come, oldest first, locked; without the rows that another process has locked."""
    rows = select(key).where(due_at <= func.now(), *conditions).order_by(due_at).limit(limit)
    return rows.with_for_update(skip_locked=True).scalar_subquery()
