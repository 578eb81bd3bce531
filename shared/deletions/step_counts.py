"""Counts and notes of steps in the own database: what was planned and what was removed. They survive crashes."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Engine, bindparam, func, select, update

from shared.database.connections import own_statement, own_transaction
from shared.database.models import Step
from shared.deletions.claims import Claim, unguarded_step_update, write

_NOW = select(func.clock_timestamp())
_NOTES = select(Step.notes).where(Step.deletion_id == bindparam("of_deletion"), Step.name == bindparam("of_step"))


def store_plan(engine: Engine, claim: Claim, planned: Mapping[str, Mapping[str, int]]) -> None:
    """Store what the previews of all steps counted, before anything is removed; raises LostClaim."""
    row = update(Step).where(Step.deletion_id == claim.deletion_id, Step.name == bindparam("of_step"))
    with own_transaction(engine) as connection:
        write(connection, claim, heartbeat_at=func.now())
        connection.execute(
            row.values(planned=bindparam("counts")),
            [{"of_step": step, "counts": dict(counts)} for step, counts in planned.items()],
        )


@dataclass(frozen=True)
class StepRecord:
    """What a step has removed and noted in all its runs; only the worker that has claimed it writes this."""

    removed: Mapping[str, int]
    notes: Mapping[str, Any]
    has_progress: bool  # since the last record: then earlier failures do not count any more
    planned: Mapping[str, int] | None = None  # of a step that counts when it runs, not in the preview


def record(engine: Engine, claim: Claim, entry: StepRecord) -> None:
    """Store how far the step is; raises LostClaim. What is then not stored makes the counts "at least"."""
    with own_transaction(engine) as connection:
        cleared = {"failures": 0, "waiting_since": None} if entry.has_progress else {}
        write(connection, claim, heartbeat_at=func.now(), **cleared)
        planned = {} if entry.planned is None else {"planned": dict(entry.planned)}
        connection.execute(
            unguarded_step_update(claim).values(removed=dict(entry.removed), notes=dict(entry.notes), **planned)
        )


def now(engine: Engine) -> datetime:
    """The time by the own database's clock."""
    with own_statement(engine) as connection:
        moment: datetime = connection.execute(_NOW).scalar_one()
    return moment


def notes_of(engine: Engine, deletion_id: UUID, step: str) -> dict[str, Any]:
    """The notes of another step of the deletion."""
    with own_statement(engine) as connection:
        return dict(connection.execute(_NOTES, {"of_deletion": deletion_id, "of_step": step}).scalar_one())
