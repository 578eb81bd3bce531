"""The statements that claim a step and that finish it: one statement each, for each deletion runs them seven times."""

from datetime import timedelta
from typing import Any

from sqlalchemy import Interval, Update, bindparam, func, or_, select, update

from shared.database.connections import LAZILY
from shared.database.models import UNDER_WAY, Deletion, DeletionStatus, Step, StepStatus
from shared.deletions import rechecks


def _claim_statement() -> Update:
    """Claims the row of the deletion and the row of its step, or neither."""
    of_step = Step.deletion_id == bindparam("of_deletion"), Step.name == bindparam("of_step")
    before = select(Deletion.id, Deletion.owner).where(Deletion.id == bindparam("of_deletion")).with_for_update()
    before_cte = before.cte("before")
    stale = Deletion.heartbeat_at < func.now() - bindparam("stale_after", type_=Interval)
    deletion = (
        update(Deletion)
        .where(Deletion.id == before_cte.c.id, Deletion.attempt == bindparam("of_attempt"))
        .where(Deletion.position == select(Step.position).where(*of_step).scalar_subquery())
        .where(Deletion.status.in_(UNDER_WAY), or_(Deletion.owner.is_(None), stale))
        .values(
            status=DeletionStatus.RUNNING,
            owner=bindparam("new_owner"),
            heartbeat_at=func.now(),
            started_at=func.coalesce(Deletion.started_at, func.now()),
            next_attempt_at=None,
            times_republished=0,
        )
        .returning(
            Deletion.position,
            Deletion.instance_id,
            Deletion.instance_name,
            Deletion.without_gateways,
            before_cte.c.owner.label("previous_owner"),
        )
        .cte("deletion")
    )
    return (
        update(Step)
        .where(*of_step, Step.position == deletion.c.position)
        .values(
            status=StepStatus.RUNNING,
            attempts=Step.attempts + 1,
            started_at=func.coalesce(Step.started_at, func.now()),
            at_least=or_(Step.at_least, deletion.c.previous_owner.is_not(None)),
        )
        .returning(
            Step.notes,
            Step.planned,
            Step.removed,
            deletion.c.position,
            deletion.c.instance_id,
            deletion.c.instance_name,
            deletion.c.without_gateways,
            LAZILY,  # a claim that a crash of PostgreSQL loses is claimed again
        )
    )


def _finish_statement(**end: Any) -> Update:
    """Finishes the step and advances the deletion, or changes neither: then the claim was lost."""
    deletion = (
        update(Deletion)
        .where(Deletion.id == bindparam("of_deletion"), Deletion.owner == bindparam("of_owner"))
        .values(
            position=Deletion.position + 1,
            owner=None,
            heartbeat_at=None,
            failures=0,
            waiting_since=None,
            reason=None,
            failed_step=None,
            **end,
        )
        .returning(Deletion.id)
        .cte("deletion")
    )
    return (
        update(Step)
        .where(Step.deletion_id == deletion.c.id, Step.name == bindparam("of_step"))
        .values(
            status=StepStatus.DONE,
            finished_at=func.now(),
            error=None,
            removed=bindparam("all_removed", type_=Step.removed.type),
            notes=bindparam("all_notes", type_=Step.notes.type),
        )
    )


CLAIM = _claim_statement()
# A crash may lose the end of a step, which is harmless to run again, but not the end of the deletion.
FINISH = _finish_statement(next_attempt_at=func.now() + bindparam("republish_after", type_=Interval)).returning(LAZILY)
CONCLUDE = _finish_statement(
    next_attempt_at=None,
    status=DeletionStatus.SUCCEEDED,
    finished_at=func.now(),
    next_look_at=func.now() + timedelta(seconds=rechecks.AFTER_SECONDS[0]),
).returning(Step.position)
