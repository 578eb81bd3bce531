"""What a deletion was going to remove, and what it has removed: counts that survive crashes."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Engine, func, update
from sqlalchemy.orm import Session

from shared.database import own_transaction
from shared.deletions import Claim, write
from shared.models import Step


def store_plan(engine: Engine, claim: Claim, planned: Mapping[str, Mapping[str, int]]) -> None:
    """Keep what the previews of all steps counted, before anything is removed; raises LostClaim."""
    with own_transaction(engine) as session:
        write(session, claim, heartbeat_at=func.now())
        for step, counts in planned.items():
            row = update(Step).where(Step.deletion_id == claim.deletion_id, Step.name == step)
            session.execute(row.values(planned=dict(counts)))


def record(engine: Engine, claim: Claim, removed: Mapping[str, int], notes: Mapping[str, Any]) -> None:
    """Add what was removed to the step's counts and set notes; progress forgives earlier failures.

    Raises LostClaim: what was removed by then is not counted here, the step is marked "at least".
    """
    with own_transaction(engine) as session:
        write(session, claim, heartbeat_at=func.now())
        step = _add(session, claim, removed, notes)
        # Removing what was planned is progress, and forgives. What comes back again and again, in confirm, does not.
        if step.planned and any(removed.values()):
            write(session, claim, failures=0, waiting_since=None)


def _add(session: Session, claim: Claim, removed: Mapping[str, int], notes: Mapping[str, Any]) -> Step:
    # The deletion's row is locked by the guarded UPDATE before, so reading and writing back is safe.
    step = session.get_one(Step, (claim.deletion_id, claim.step))
    step.removed = {
        what: step.removed.get(what, 0) + removed.get(what, 0) for what in dict.fromkeys((*step.removed, *removed))
    }
    step.notes = {**step.notes, **notes}
    return step
