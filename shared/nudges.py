"""Finds the deletions that must be published again: their owner died, or their time has come."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Engine, func, select, update
from sqlalchemy.dialects.postgresql import insert

from shared.database import own_transaction
from shared.models import UNDER_WAY, Clock, Deletion, Step


@dataclass(frozen=True)
class Nudge:
    """A deletion that is to be published, from the step at its position."""

    deletion_id: UUID
    attempt: int
    position: int


def from_now(seconds: float) -> Any:
    """The database's clock plus some seconds, as SQL: no two hosts have to agree on the time."""
    return func.now() + timedelta(seconds=seconds)


def tick(engine: Engine, clock: str) -> None:
    """Write down that something periodic ran."""
    row = insert(Clock).values(name=clock, ticked_at=func.now())
    with own_transaction(engine) as connection:
        connection.execute(row.on_conflict_do_update(index_elements=[Clock.name], set_={"ticked_at": func.now()}))


def take_over_dead(engine: Engine, *, stale_seconds: float, nudge_seconds: float) -> list[Nudge]:
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
                next_attempt_at=from_now(nudge_seconds),
            ).returning(Deletion.id, Deletion.attempt, Deletion.position)
        ).all()
        for row in rows:
            connection.execute(
                update(Step).where(Step.deletion_id == row[0], Step.position == row[2]).values(at_least=True)
            )
    return [Nudge(*row) for row in rows]


def take_due(engine: Engine, *, nudge_seconds: float, max_pause_seconds: float, limit: int = 500) -> list[Nudge]:
    """Unowned deletions whose time has come: the same attempt, at growing intervals, never counted as a failure."""
    due = (
        select(Deletion.id)
        .where(Deletion.status.in_(UNDER_WAY), Deletion.owner.is_(None), Deletion.next_attempt_at <= func.now())
        .order_by(Deletion.next_attempt_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    pause = func.least(nudge_seconds * func.power(2, func.least(Deletion.nudges, 10)), max_pause_seconds)
    with own_transaction(engine) as connection:
        rows = connection.execute(
            update(Deletion)
            .where(Deletion.id.in_(due.scalar_subquery()))
            .values(nudges=Deletion.nudges + 1, next_attempt_at=func.now() + pause * timedelta(seconds=1))
            .returning(Deletion.id, Deletion.attempt, Deletion.position)
        ).all()
    return [Nudge(*row) for row in rows]
