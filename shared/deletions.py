"""The life of a deletion: every change of its status, each one a guarded UPDATE."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Engine, Update, case, exists, func, insert, literal, or_, select, update
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from shared.database import own_transaction
from shared.errors import LetheError, LostClaim
from shared.models import ENDED, UNDER_WAY, Deletion, DeletionStatus, Step, StepStatus
from shared.nudges import Nudge, from_now


class AlreadyRequested(LetheError):
    """The instance has an unfinished deletion already."""


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
    planned: bool  # whether it was counted, before anything was removed, what is to go
    notes: Mapping[str, Any]
    without_gateways: tuple[str, ...]


def accept(
    session: Session,
    *,
    deletion_id: UUID,
    instance_id: str,
    instance_name: str,
    requester: str,
    requester_key_hash: str,
    steps: Sequence[str],
    nudge_seconds: float,
) -> Nudge:
    """Insert the promise; raises AlreadyRequested when the instance has an unfinished deletion."""
    try:
        session.execute(
            insert(Deletion).values(
                id=deletion_id,
                instance_id=instance_id,
                instance_name=instance_name,
                status=DeletionStatus.QUEUED,
                requester=requester,
                requester_key_hash=requester_key_hash,
                next_attempt_at=from_now(nudge_seconds),
            )
        )
    except IntegrityError as error:
        raise AlreadyRequested from error
    session.execute(
        insert(Step), [{"deletion_id": deletion_id, "name": name, "position": at} for at, name in enumerate(steps)]
    )
    return Nudge(deletion_id, 1, 0)


def claim(engine: Engine, deletion_id: UUID, attempt: int, step: str, *, stale_seconds: float) -> Claim | None:
    """Own the next step, if it is this one, the attempt is current and nobody living owns it; else None."""
    owner = uuid4()
    free = or_(Deletion.owner.is_(None), Deletion.heartbeat_at < from_now(-stale_seconds))
    position = select(Step.position).where(Step.deletion_id == deletion_id, Step.name == step).scalar_subquery()
    with own_transaction(engine) as session:
        before = session.execute(
            select(Deletion.owner).where(Deletion.id == deletion_id).with_for_update()
        ).one_or_none()
        row = session.execute(
            update(Deletion)
            .where(Deletion.id == deletion_id, Deletion.attempt == attempt, Deletion.position == position)
            .where(Deletion.status.in_(UNDER_WAY), free)
            .values(
                status=DeletionStatus.RUNNING,
                owner=owner,
                heartbeat_at=func.now(),
                started_at=func.coalesce(Deletion.started_at, func.now()),
                next_attempt_at=None,
                nudges=0,
            )
            .returning(Deletion.position, Deletion.instance_id, Deletion.instance_name, Deletion.without_gateways)
        ).one_or_none()
        if row is None or before is None:
            return None
        kept = session.execute(
            update(Step)
            .where(Step.deletion_id == deletion_id, Step.name == step)
            .values(
                status=StepStatus.RUNNING,
                attempts=Step.attempts + 1,
                started_at=func.coalesce(Step.started_at, func.now()),
                at_least=Step.at_least if before.owner is None else True,
            )
            .returning(Step.notes, Step.planned)
        ).one()
    return Claim(
        deletion_id=deletion_id,
        attempt=attempt,
        step=step,
        position=row.position,
        owner=owner,
        instance_id=row.instance_id,
        instance_name=row.instance_name,
        planned=kept.planned is not None,
        notes=kept.notes,
        without_gateways=tuple(row.without_gateways),
    )


def step_of(claim: Claim) -> Update:
    """An UPDATE of the claimed step's row; to be run after the deletion's row was written to."""
    return update(Step).where(Step.deletion_id == claim.deletion_id, Step.name == claim.step)


def _owned(claim: Claim, **values: Any) -> Update:
    return update(Deletion).where(Deletion.id == claim.deletion_id, Deletion.owner == claim.owner).values(**values)


def write(session: Session, claim: Claim, **values: Any) -> None:
    """Change the deletion if it is still ours; raises LostClaim."""
    if session.execute(_owned(claim, **values).returning(Deletion.id)).one_or_none() is None:
        raise LostClaim


def beat(engine: Engine, claim: Claim) -> None:
    """Show that the owner lives; raises LostClaim."""
    with own_transaction(engine) as session:
        write(session, claim, heartbeat_at=func.now())


def make_irrevocable(engine: Engine, claim: Claim) -> None:
    """Pass the point of no return; raises LostClaim."""
    with own_transaction(engine) as session:
        write(session, claim, irrevocable_at=func.coalesce(Deletion.irrevocable_at, func.now()))


def finish_step(engine: Engine, claim: Claim, *, last: bool, nudge_seconds: float) -> None:
    """The step is done: the next one may be claimed, or the deletion has succeeded."""
    end = {"status": DeletionStatus.SUCCEEDED, "finished_at": func.now(), "next_attempt_at": None} if last else {}
    with own_transaction(engine) as session:
        write(
            session,
            claim,
            **{
                "position": claim.position + 1,
                "owner": None,
                "heartbeat_at": None,
                "failures": 0,
                "waiting_since": None,
                "reason": None,
                "failed_step": None,
                "next_attempt_at": from_now(nudge_seconds),
                **end,
            },
        )
        session.execute(step_of(claim).values(status=StepStatus.DONE, finished_at=func.now(), error=None))


def end_slice(engine: Engine, claim: Claim, *, nudge_seconds: float) -> Nudge:
    """The step has more to do: let others in first."""
    with own_transaction(engine) as session:
        write(session, claim, owner=None, heartbeat_at=None, next_attempt_at=from_now(nudge_seconds))
    return Nudge(claim.deletion_id, claim.attempt, claim.position)


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
    with own_transaction(engine) as session:
        row = session.execute(
            _owned(
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
        session.execute(step_of(claim).values(status=step, error=reason, failures=Step.failures + (1 if counts else 0)))
    return row


def fail(engine: Engine, claim: Claim, reason: str) -> None:
    """Stop for good; only a resume continues it."""
    with own_transaction(engine) as session:
        write(
            session,
            claim,
            status=DeletionStatus.FAILED,
            owner=None,
            heartbeat_at=None,
            next_attempt_at=None,
            failures=Deletion.failures + 1,
            reason=reason,
            failed_step=claim.step,
        )
        session.execute(step_of(claim).values(status=StepStatus.FAILED, error=reason, failures=Step.failures + 1))


def fail_overdue(engine: Engine, *, deadline_seconds: float) -> int:
    """Fail what has made no progress for too long, a step that kills its worker each time among it; how many."""
    why = func.coalesce(Deletion.reason, "no progress within the deadline")
    with own_transaction(engine) as session:
        rows = session.execute(
            update(Deletion)
            .where(Deletion.status.in_(UNDER_WAY), Deletion.owner.is_(None))
            .where(Deletion.waiting_since < from_now(-deadline_seconds))
            .values(
                status=DeletionStatus.FAILED,
                next_attempt_at=None,
                reason=why,
                failed_step=select(Step.name)
                .where(Step.deletion_id == Deletion.id, Step.position == Deletion.position)
                .scalar_subquery(),
            )
            .returning(Deletion.id)
        ).all()
    return len(rows)


def resume(
    session: Session, deletion_id: UUID, *, nudge_seconds: float, without_gateways: Sequence[str] = ()
) -> Nudge | None:
    """Let a failed (or waiting) deletion go on from where it stopped, under a new attempt; None if it is neither.

    without_gateways are given up: gone for good, so nothing waits for them any more.
    """
    stopped = (DeletionStatus.FAILED, DeletionStatus.WAITING)
    row = session.execute(
        update(Deletion)
        .where(Deletion.id == deletion_id, Deletion.status.in_(stopped), Deletion.owner.is_(None))
        .values(
            status=DeletionStatus.QUEUED,
            attempt=Deletion.attempt + 1,
            failures=0,
            nudges=0,
            waiting_since=None,
            reason=None,
            failed_step=None,
            next_attempt_at=from_now(nudge_seconds),
            without_gateways=Deletion.without_gateways.op("||")(literal(list(without_gateways), JSONB)),
        )
        .returning(Deletion.id, Deletion.attempt, Deletion.position)
    ).one_or_none()
    return Nudge(*row) if row else None


def cancel(session: Session, deletion_id: UUID) -> bool:
    """Stop a deletion whose logout has not begun; False when it is too late."""
    planned = exists().where(Step.deletion_id == deletion_id, Step.planned.is_not(None))
    row = session.execute(
        update(Deletion)
        .where(Deletion.id == deletion_id, Deletion.status.not_in(ENDED), Deletion.owner.is_(None))
        .where(Deletion.position == 0, ~planned)
        .values(status=DeletionStatus.CANCELLED, finished_at=func.now(), next_attempt_at=None)
        .returning(Deletion.id)
    ).one_or_none()
    return row is not None
