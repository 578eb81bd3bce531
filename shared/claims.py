"""The life of a claim: the right to run one step, taken and kept by guarded UPDATEs, given back with how it ended."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Connection, Engine, Interval, Update, bindparam, case, func, literal, or_, select, update

from shared import audit, outbox
from shared.audit import Decision
from shared.database import own_transaction
from shared.errors import LostClaim
from shared.models import UNDER_WAY, Deletion, DeletionStatus, Step, StepStatus
from shared.nudges import Nudge, from_now


@dataclass(frozen=True)
class Claim:
    """The right to run one step of one deletion, for as long as the heartbeat is kept."""

    deletion_id: UUID
    attempt: int
    step: str
    position: int
    owner: UUID
    instance_id: str
    instance_name: str
    planned: Mapping[str, int] | None  # what was counted before anything was removed; None: not counted yet
    removed: Mapping[str, int]  # by the runs before
    notes: Mapping[str, Any]
    without_gateways: tuple[str, ...]


def claim(engine: Engine, deletion_id: UUID, attempt: int, step: str, *, stale_seconds: float) -> Claim | None:
    """Own the next step, if it is this one, the attempt is current and nobody living owns it; else None."""
    owner = uuid4()
    with own_transaction(engine, durable=False) as connection:  # a claim that is forgotten is claimed again
        row = connection.execute(
            _CLAIM,
            {
                "of_deletion": deletion_id,
                "of_attempt": attempt,
                "of_step": step,
                "new_owner": owner,
                "stale_after": timedelta(seconds=stale_seconds),
            },
        ).one_or_none()
    return (
        None
        if row is None
        else Claim(
            deletion_id=deletion_id,
            attempt=attempt,
            step=step,
            position=row.position,
            owner=owner,
            instance_id=row.instance_id,
            instance_name=row.instance_name,
            planned=row.planned,
            removed=row.removed,
            notes=row.notes,
            without_gateways=tuple(row.without_gateways),
        )
    )


def _claim_statement() -> Update:
    """One statement, for it is run seven times a deletion: both rows change, or none."""
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
            nudges=0,
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
        )
    )


_CLAIM = _claim_statement()


def step_of(claim: Claim) -> Update:
    """An UPDATE of the claimed step's row; to be run after the deletion's row was written to."""
    return update(Step).where(Step.deletion_id == claim.deletion_id, Step.name == claim.step)


def owned(claim: Claim, **values: Any) -> Update:
    """An UPDATE of the deletion's row that finds it only while the claim holds."""
    return update(Deletion).where(Deletion.id == claim.deletion_id, Deletion.owner == claim.owner).values(**values)


def write(connection: Connection, claim: Claim, **values: Any) -> None:
    """Change the deletion if it is still ours; raises LostClaim."""
    if connection.execute(owned(claim, **values).returning(Deletion.id)).one_or_none() is None:
        raise LostClaim


def beat(engine: Engine, claim: Claim) -> None:
    """Show that the owner lives; raises LostClaim."""
    with own_transaction(engine, durable=False) as connection:
        write(connection, claim, heartbeat_at=func.now())


def make_irrevocable(engine: Engine, claim: Claim) -> None:
    """Pass the point of no return; raises LostClaim."""
    with own_transaction(engine) as connection:
        write(connection, claim, irrevocable_at=func.coalesce(Deletion.irrevocable_at, func.now()))


def end_slice(engine: Engine, claim: Claim, *, nudge_seconds: float) -> Nudge:
    """The step has more to do: let others in first."""
    with own_transaction(engine, durable=False) as connection:
        write(connection, claim, owner=None, heartbeat_at=None, next_attempt_at=from_now(nudge_seconds))
    return Nudge(claim.deletion_id, claim.attempt, claim.position)


def finish_step(
    engine: Engine,
    claim: Claim,
    *,
    removed: Mapping[str, int],
    notes: Mapping[str, Any],
    nudge_seconds: float,
    conclude: Callable[[Connection], None] | None = None,
) -> None:
    """The step is done, with these counts and notes: the next one may be claimed.

    With conclude, which is run in the same transaction, it was the last one, and the deletion has succeeded.
    """
    end = {"status": DeletionStatus.SUCCEEDED, "finished_at": func.now()} if conclude else {}
    durable = conclude is not None  # a step that is done is harmless to run again
    with own_transaction(engine, durable=durable) as connection:
        write(
            connection,
            claim,
            position=claim.position + 1,
            owner=None,
            heartbeat_at=None,
            failures=0,
            waiting_since=None,
            reason=None,
            failed_step=None,
            next_attempt_at=None if conclude else from_now(nudge_seconds),
            **end,
        )
        connection.execute(
            step_of(claim).values(
                status=StepStatus.DONE, finished_at=func.now(), error=None, removed=dict(removed), notes=dict(notes)
            )
        )
        if conclude:
            conclude(connection)


def wait(
    engine: Engine,
    claim: Claim,
    reason: str,
    *,
    counts: bool,
    first_pause_seconds: float,
    max_pause_seconds: float,
    deadline_seconds: float,
    cap: int,
) -> DeletionStatus:
    """Put the deletion off; it fails instead at the cap of failures or after the deadline. Returns its status.

    The pause grows with the time waited so far: a short outage costs little, a long one few tries.
    """
    waited = func.now() - func.coalesce(Deletion.waiting_since, func.now())
    pause = func.least(
        func.greatest(waited, timedelta(seconds=first_pause_seconds)), timedelta(seconds=max_pause_seconds)
    )
    over = Deletion.waiting_since < from_now(-deadline_seconds)
    if counts:
        over = or_(over, Deletion.failures + 1 >= cap)
    kind = Deletion.status.type
    status = case((over, literal(DeletionStatus.FAILED, kind)), else_=literal(DeletionStatus.WAITING, kind))
    with own_transaction(engine) as connection:
        row = connection.execute(
            owned(
                claim,
                status=status,
                owner=None,
                heartbeat_at=None,
                failures=Deletion.failures + (1 if counts else 0),
                waiting_since=func.coalesce(Deletion.waiting_since, func.now()),
                next_attempt_at=case((over, None), else_=func.now() + pause),
                reason=reason,
                failed_step=claim.step,
            ).returning(Deletion.status)
        ).scalar_one_or_none()
        if row is None:
            raise LostClaim
        step = StepStatus.FAILED if row == DeletionStatus.FAILED else StepStatus.PENDING
        connection.execute(
            step_of(claim).values(status=step, error=reason, failures=Step.failures + (1 if counts else 0))
        )
        if step is StepStatus.FAILED:
            audit.append(connection, audit.ended(Decision.FAILED, claim.deletion_id, claim.instance_id, claim.step))
    return row


def fail(engine: Engine, claim: Claim, reason: str) -> None:
    """Stop for good; only a resume continues it."""
    with own_transaction(engine) as connection:
        write(
            connection,
            claim,
            status=DeletionStatus.FAILED,
            owner=None,
            heartbeat_at=None,
            next_attempt_at=None,
            failures=Deletion.failures + 1,
            reason=reason,
            failed_step=claim.step,
        )
        connection.execute(step_of(claim).values(status=StepStatus.FAILED, error=reason, failures=Step.failures + 1))
        audit.append(connection, audit.ended(Decision.FAILED, claim.deletion_id, claim.instance_id, claim.step))


def cancel(engine: Engine, claim: Claim, reason: str) -> None:
    """Stop for good before the point of no return: whoever asked may not have it any more."""
    with own_transaction(engine) as connection:
        write(
            connection,
            claim,
            status=DeletionStatus.CANCELLED,
            owner=None,
            heartbeat_at=None,
            next_attempt_at=None,
            finished_at=func.now(),
            reason=reason,
            failed_step=claim.step,
        )
        connection.execute(step_of(claim).values(status=StepStatus.PENDING, error=reason))
        withdrawn = outbox.withdraw(connection, claim.deletion_id)
        end = audit.ended(Decision.CANCELLED, claim.deletion_id, claim.instance_id, claim.step)
        audit.append(connection, *withdrawn, end)
