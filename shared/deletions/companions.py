"""Deletions that wait for the same step: work that costs as much for one as for all is done once for all."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Engine, Select, cast, func, literal, select, text, true, update
from sqlalchemy.dialects.postgresql import JSONB

from shared.database.connections import own_statement, own_transaction
from shared.database.models import UNDER_WAY, Deletion, Step
from shared.deletions.claims import Claim

_AT_ONCE = 200


@dataclass(frozen=True)
class Companion:
    """Another deletion that waits for the step that this worker runs, and that no worker has claimed."""

    deletion_id: UUID
    instance_id: str
    instance_name: str


def waiting_for_same_step(
    engine: Engine, claim: Claim, *, without_note: str, with_note: str | None = None
) -> list[Companion]:
    """Unclaimed deletions at the claimed step, oldest first: those whose step has with_note, and not without_note."""
    with own_statement(engine) as connection:
        rows = connection.execute(_waiting(claim.position, without_note, with_note)).all()
    return [Companion(*row) for row in rows]


@cache
def _waiting(position: int, without_note: str, with_note: str | None) -> Select[UUID, str, str]:
    noted = Step.notes.has_key(with_note) if with_note else true()
    return (
        select(Deletion.id, Deletion.instance_id, Deletion.instance_name)
        .join(Step, (Step.deletion_id == Deletion.id) & (Step.position == Deletion.position))
        .where(Deletion.status.in_(UNDER_WAY), Deletion.owner.is_(None), Deletion.position == position)
        .where(~Step.notes.has_key(without_note), noted)
        .order_by(Deletion.accepted_at)
        .limit(_AT_ONCE)
    )


def share_result(
    engine: Engine, companion: Companion, claim: Claim, counts: Mapping[str, int], notes: Mapping[str, Any]
) -> None:
    """Record what was done for another deletion. If a worker has claimed it meanwhile, its counts become "at least"."""
    ((what, number),) = counts.items()
    total = func.coalesce(cast(Step.removed[what].astext, BigInteger), 0) + number
    free = (
        select(Deletion.id)
        .where(Deletion.id == companion.deletion_id, Deletion.position == claim.position, Deletion.owner.is_(None))
        .with_for_update()
    )
    step = update(Step).where(Step.deletion_id == companion.deletion_id, Step.name == claim.step)
    planned = func.coalesce(func.nullif(Step.planned, text("'{}'::jsonb")), literal(dict(counts), JSONB))
    with own_transaction(engine) as connection:
        if connection.execute(free).one_or_none() is None:
            connection.execute(step.values(at_least=True))
            return
        removed = Step.removed.op("||")(func.jsonb_build_object(what, total))
        added = Step.notes.op("||")(literal(dict(notes), JSONB))
        connection.execute(step.values(planned=planned, removed=removed, notes=added))
