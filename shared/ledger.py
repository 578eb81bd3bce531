"""What a deletion was going to remove, and what it has removed: counts that survive crashes."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Engine, bindparam, func, select, update

from shared.database import own_transaction
from shared.deletions import Claim, step_of, write
from shared.models import Step


def store_plan(engine: Engine, claim: Claim, planned: Mapping[str, Mapping[str, int]]) -> None:
    """Keep what the previews of all steps counted, before anything is removed; raises LostClaim."""
    row = update(Step).where(Step.deletion_id == claim.deletion_id, Step.name == bindparam("of_step"))
    with own_transaction(engine) as connection:
        write(connection, claim, heartbeat_at=func.now())
        connection.execute(
            row.values(planned=bindparam("counts")),
            [{"of_step": step, "counts": dict(counts)} for step, counts in planned.items()],
        )


def record(engine: Engine, claim: Claim, removed: Mapping[str, int], notes: Mapping[str, Any]) -> None:
    """Add what was removed to the step's counts and set notes; progress forgives earlier failures.

    Raises LostClaim: what was removed by then is not counted here, the step is marked "at least".
    """
    with own_transaction(engine, durable=bool(notes)) as connection:
        write(connection, claim, heartbeat_at=func.now())
        was_planned = _add(connection, claim, removed, notes)
        # Removing what was planned is progress, and forgives. What comes back again and again, in confirm, does not.
        if was_planned and any(removed.values()):
            write(connection, claim, failures=0, waiting_since=None)


def _add(connection: Connection, claim: Claim, removed: Mapping[str, int], notes: Mapping[str, Any]) -> bool:
    # The deletion's row is locked by the guarded UPDATE before, so reading and writing back is safe.
    kept = connection.execute(
        select(Step.removed, Step.notes, Step.planned).where(
            Step.deletion_id == claim.deletion_id, Step.name == claim.step
        )
    ).one()
    sums = {what: kept.removed.get(what, 0) + removed.get(what, 0) for what in dict.fromkeys((*kept.removed, *removed))}
    connection.execute(step_of(claim).values(removed=sums, notes={**kept.notes, **notes}))
    return bool(kept.planned)
