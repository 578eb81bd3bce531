"""What a deletion was going to remove, and what it has removed: counts that survive crashes."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Engine, bindparam, func, select, update

from shared.database.connections import own_statement, own_transaction
from shared.database.models import Step
from shared.deletions.claims import Claim, step_of, write

_NOW = select(func.clock_timestamp())
_NOTES = select(Step.notes).where(Step.deletion_id == bindparam("of_deletion"), Step.name == bindparam("of_step"))


def store_plan(engine: Engine, claim: Claim, planned: Mapping[str, Mapping[str, int]]) -> None:
    """Keep what the previews of all steps counted, before anything is removed; raises LostClaim."""
    row = update(Step).where(Step.deletion_id == claim.deletion_id, Step.name == bindparam("of_step"))
    with own_transaction(engine) as connection:
        write(connection, claim, heartbeat_at=func.now())
        connection.execute(
            row.values(planned=bindparam("counts")),
            [{"of_step": step, "counts": dict(counts)} for step, counts in planned.items()],
        )


@dataclass(frozen=True)
class Entry:
    """What a step has removed and noted in all, over all its runs; its owner alone writes it."""

    removed: Mapping[str, int]
    notes: Mapping[str, Any]
    forgives: bool  # progress since the last entry: earlier failures are forgiven
    planned: Mapping[str, int] | None = None  # where it is counted only when the step is there


def record(engine: Engine, claim: Claim, entry: Entry) -> None:
    """Write down how far the step is; raises LostClaim: then the step is marked "at least"."""
    with own_transaction(engine) as connection:
        write(connection, claim, **{"heartbeat_at": func.now(), **forgiveness(entry)})
        planned = {} if entry.planned is None else {"planned": dict(entry.planned)}
        connection.execute(step_of(claim).values(removed=dict(entry.removed), notes=dict(entry.notes), **planned))


def now(engine: Engine) -> datetime:
    """The own database's clock: no two hosts have to agree on the time."""
    with own_statement(engine) as connection:
        moment: datetime = connection.execute(_NOW).scalar_one()
    return moment


def notes_of(engine: Engine, deletion_id: UUID, step: str) -> dict[str, Any]:
    """What another step of the deletion has noted."""
    with own_statement(engine) as connection:
        return dict(connection.execute(_NOTES, {"of_deletion": deletion_id, "of_step": step}).scalar_one())


def forgiveness(entry: Entry) -> dict[str, Any]:
    """What progress changes in the deletion's row."""
    return {"failures": 0, "waiting_since": None} if entry.forgives else {}
