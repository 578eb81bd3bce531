"""Finds deletions whose step message must be sent: their worker died, or their next attempt or their moment is due."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Engine, func, select, union_all, update
from sqlalchemy.dialects.postgresql import insert

from shared.database import timing
from shared.database.connections import own_statement, own_transaction
from shared.database.models import UNDER_WAY, Clock, Deletion, DeletionStatus, Step
from shared.database.timing import after_growing_pause, from_now

_UNCLAIMED = Deletion.status.in_(UNDER_WAY), Deletion.owner.is_(None)
# Postponed by its step, and not published since.
_POSTPONED = Deletion.status == DeletionStatus.WAITING, Deletion.owner.is_(None), Deletion.times_republished == 0
_SCHEDULED = Deletion.status == DeletionStatus.SCHEDULED
_AT_ONCE = 500


@dataclass(frozen=True)
class StepMessage:
    """What a Celery message says: run the steps of this deletion from this position on, under this attempt."""

    deletion_id: UUID
    attempt: int
    position: int
    in_bulk: bool = False  # ordered with many others: single deletions begin before it


MESSAGE = Deletion.id, Deletion.attempt, Deletion.position, Deletion.bulk_id.is_not(None)


def tick(engine: Engine, clock: str) -> None:
    """Record that a periodic task has run."""
    row = insert(Clock).values(name=clock, ticked_at=func.now())
    with own_transaction(engine) as connection:
        connection.execute(row.on_conflict_do_update(index_elements=[Clock.name], set_={"ticked_at": func.now()}))


def take_over_stale(engine: Engine, *, stale_seconds: float, republish_seconds: float) -> list[StepMessage]:
    """End the claims of workers without a recent heartbeat. A new attempt may claim their steps."""
    stale = update(Deletion).where(
        Deletion.status.in_(UNDER_WAY), Deletion.owner.is_not(None), Deletion.heartbeat_at < from_now(-stale_seconds)
    )
    released = stale.values(
        attempt=Deletion.attempt + 1,
        owner=None,
        heartbeat_at=None,
        waiting_since=func.coalesce(Deletion.waiting_since, func.now()),
        next_attempt_at=from_now(republish_seconds),
    )
    with own_transaction(engine) as connection:
        rows = connection.execute(released.returning(*MESSAGE)).all()
        for row in rows:
            step = update(Step).where(Step.deletion_id == row.id, Step.position == row.position)
            connection.execute(step.values(at_least=True))
    return [StepMessage(*row) for row in rows]


def take_due(engine: Engine, *, republish_seconds: float, max_pause_seconds: float) -> list[StepMessage]:
    """Unclaimed deletions that are due. They keep their attempt; the pauses grow, and nothing counts as a failure."""
    return _take(engine, _UNCLAIMED, republish_seconds, max_pause_seconds)


def take_postponed(engine: Engine, *, republish_seconds: float, max_pause_seconds: float) -> list[StepMessage]:
    """Postponed deletions that are due. They have no message in the queue, so that this one is no repetition."""
    return _take(engine, _POSTPONED, republish_seconds, max_pause_seconds)


def next_due_in_seconds(engine: Engine, *, within_seconds: float) -> float | None:
    """Seconds until the next postponed or scheduled deletion is due (0 or less: it is due); None when none is soon."""
    soon = from_now(within_seconds)
    moments = union_all(
        select(Deletion.next_attempt_at.label("at")).where(*_POSTPONED, Deletion.next_attempt_at <= soon),
        select(Deletion.not_before).where(_SCHEDULED, Deletion.not_before <= soon),
    ).subquery("moments")
    query = select(func.extract("epoch", func.min(moments.c.at) - func.now()))
    with own_statement(engine) as connection:
        seconds = connection.execute(query).scalar()
    return None if seconds is None else float(seconds)


def _take(
    engine: Engine, which: Sequence[Any], republish_seconds: float, max_pause_seconds: float
) -> list[StepMessage]:
    taken = update(Deletion).values(
        times_republished=Deletion.times_republished + 1,
        next_attempt_at=after_growing_pause(republish_seconds, Deletion.times_republished, max_pause_seconds),
    )
    with own_transaction(engine) as connection:
        rows = timing.take_due(connection, taken, Deletion.next_attempt_at, *MESSAGE, where=which, limit=_AT_ONCE)
    return [StepMessage(*row) for row in rows]
