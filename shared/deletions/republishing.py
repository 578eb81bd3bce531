"""Finds the deletions that must be published again: their owner died, or their time has come."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Engine, func, select, update
from sqlalchemy.dialects.postgresql import insert

from shared.database.connections import from_now, own_statement, own_transaction
from shared.database.models import UNDER_WAY, Clock, Deletion, DeletionStatus, Step

# Put off by its step, and not published since.
_PUT_OFF = Deletion.status == DeletionStatus.WAITING, Deletion.owner.is_(None), Deletion.times_republished == 0


@dataclass(frozen=True)
class StepMessage:
    """A deletion that is to be published, from the step at its position."""

    deletion_id: UUID
    attempt: int
    position: int


def tick(engine: Engine, clock: str) -> None:
    """Write down that something periodic ran."""
    row = insert(Clock).values(name=clock, ticked_at=func.now())
    with own_transaction(engine) as connection:
        connection.execute(row.on_conflict_do_update(index_elements=[Clock.name], set_={"ticked_at": func.now()}))


def take_over_stale(engine: Engine, *, stale_seconds: float, republish_seconds: float) -> list[StepMessage]:
    """Fence off owners whose heartbeat stopped: a new attempt may claim their step."""
    dead = update(Deletion).where(
        Deletion.status.in_(UNDER_WAY), Deletion.owner.is_not(None), Deletion.heartbeat_at < from_now(-stale_seconds)
    )
    with own_transaction(engine) as connection:
        rows = connection.execute(
            dead.values(
                attempt=Deletion.attempt + 1,
                owner=None,
                heartbeat_at=None,
                waiting_since=func.coalesce(Deletion.waiting_since, func.now()),
                next_attempt_at=from_now(republish_seconds),
            ).returning(Deletion.id, Deletion.attempt, Deletion.position)
        ).all()
        for row in rows:
            connection.execute(
                update(Step).where(Step.deletion_id == row[0], Step.position == row[2]).values(at_least=True)
            )
    return [StepMessage(*row) for row in rows]


def take_due(engine: Engine, *, republish_seconds: float, max_pause_seconds: float) -> list[StepMessage]:
    """Unowned deletions whose time has come: the same attempt, at growing intervals, never counted as a failure."""
    unclaimed = Deletion.status.in_(UNDER_WAY), Deletion.owner.is_(None)
    return _take(engine, unclaimed, republish_seconds=republish_seconds, max_pause_seconds=max_pause_seconds)


def take_postponed(engine: Engine, *, republish_seconds: float, max_pause_seconds: float) -> list[StepMessage]:
    """Of those, the ones whose pause is over: there is no message of theirs, so that this one repeats none."""
    return _take(engine, _PUT_OFF, republish_seconds=republish_seconds, max_pause_seconds=max_pause_seconds)


def next_postponed_in_seconds(engine: Engine, *, within_seconds: float) -> float | None:
    """In how many seconds the first pause is over, if one is over that soon; not above 0 if one is over already."""
    soon = Deletion.next_attempt_at <= from_now(within_seconds)
    query = select(func.extract("epoch", func.min(Deletion.next_attempt_at) - func.now())).where(*_PUT_OFF, soon)
    with own_statement(engine) as connection:
        seconds = connection.execute(query).scalar()
    return None if seconds is None else float(seconds)


def _take(
    engine: Engine, which: Sequence[Any], *, republish_seconds: float, max_pause_seconds: float, limit: int = 500
) -> list[StepMessage]:
    due = (
        select(Deletion.id)
        .where(*which, Deletion.next_attempt_at <= func.now())
        .order_by(Deletion.next_attempt_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    pause = func.least(republish_seconds * func.power(2, func.least(Deletion.times_republished, 10)), max_pause_seconds)
    with own_transaction(engine) as connection:
        rows = connection.execute(
            update(Deletion)
            .where(Deletion.id.in_(due.scalar_subquery()))
            .values(
                times_republished=Deletion.times_republished + 1,
                next_attempt_at=func.now() + pause * timedelta(seconds=1),
            )
            .returning(Deletion.id, Deletion.attempt, Deletion.position)
        ).all()
    return [StepMessage(*row) for row in rows]
