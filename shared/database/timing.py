"""Times by the own database's clock, so that no two hosts have to agree on the time."""

import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, Engine, Row, Update, func, select
from sqlalchemy.orm import InstrumentedAttribute

from shared.database.connections import own_statement

_NOW = select(func.clock_timestamp())
_CLOSE_SECONDS, _KEPT_SECONDS = 0.005, 10.0
NOW_ERROR_SECONDS = 2 * _CLOSE_SECONDS  # of a difference between two answers of now()
_answers: WeakKeyDictionary[Engine, tuple[float, datetime]] = WeakKeyDictionary()  # with time.monotonic()


def now(engine: Engine) -> datetime:
    """The time by the own database's clock: asked every few seconds, and counted on by this host's clock in between.

    An answer that took so long that nobody knows when it was given is not counted on.
    """
    asked_at, answer = _answers.get(engine, (0.0, None))
    began = time.monotonic()
    if answer is not None and began - asked_at < _KEPT_SECONDS:
        return answer + timedelta(seconds=began - asked_at)
    with own_statement(engine) as connection:
        began = time.monotonic()
        moment: datetime = connection.execute(_NOW).scalar_one()
        answered_at = time.monotonic()
    if answered_at - began < _CLOSE_SECONDS:
        _answers[engine] = answered_at, moment
    return moment


def from_now(seconds: float) -> Any:
    """The time in so many seconds, as SQL."""
    return func.now() + timedelta(seconds=seconds)


def after_growing_pause(first_seconds: float, tries: InstrumentedAttribute[int], longest_seconds: float) -> Any:
    """The time of the next try, as SQL: the pause doubles with each try, up to the longest one."""
    pause_seconds = func.least(first_seconds * func.power(2, func.least(tries, 10)), longest_seconds)
    return func.now() + pause_seconds * timedelta(seconds=1)


def take_due(
    connection: Connection,
    change: Update,
    due_at: InstrumentedAttribute[datetime | None],
    *returning: Any,
    where: Sequence[Any] = (),
    order: Sequence[Any] = (),
    limit: int,
) -> list[Row[*tuple[Any, ...]]]:
    """Change the rows whose time has come, without those that another process has locked; returns them, oldest first.

    The first column of `returning` is the key. An UPDATE alone returns its rows in any order.
    """
    key = returning[0]
    due = select(key).where(due_at <= func.now(), *where).order_by(*(order or (due_at,))).limit(limit)
    keys = connection.scalars(due.with_for_update(skip_locked=True)).all()
    if not keys:
        return []
    taken = {row[0]: row for row in connection.execute(change.where(key.in_(keys)).returning(*returning))}
    return [taken[key] for key in keys]
