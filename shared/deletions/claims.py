"""The life of a claim: the right to run one step, taken and kept by guarded UPDATEs, given back with how it ended."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Connection, Engine, Result, Update, case, func, literal, or_, update

from shared.audit import chain, entries
from shared.audit.entries import Decision
from shared.database.connections import from_now, own_statement, own_transaction
from shared.database.models import Deletion, DeletionStatus, Step, StepStatus
from shared.deletions import claim_statements
from shared.deletions.republishing import StepMessage
from shared.errors import LostClaim
from shared.webhooks import outbox


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
    with own_statement(engine) as connection:
        row = connection.execute(
            claim_statements.CLAIM,
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


def step_of(claim: Claim) -> Update:
    """An UPDATE of the claimed step's row; to be run after the deletion's row was written to."""
    return update(Step).where(Step.deletion_id == claim.deletion_id, Step.name == claim.step)


def owned(claim: Claim, **values: Any) -> Update:
    """An UPDATE of the deletion's row that finds it only while the claim holds."""
    return update(Deletion).where(Deletion.id == claim.deletion_id, Deletion.owner == claim.owner).values(**values)


def write(connection: Connection, claim: Claim, **values: Any) -> None:
    """Change the deletion if it is still ours; raises LostClaim."""
    _see(connection.execute(owned(claim, **values).returning(Deletion.id)))


def _see(written: Result[Any]) -> None:
    """Whether anything was: it is not where the claim was lost."""
    if written.one_or_none() is None:
        raise LostClaim


def send_heartbeat(engine: Engine, claim: Claim) -> None:
    """Show that the owner lives; raises LostClaim."""
    with own_transaction(engine, durable=False) as connection:
        write(connection, claim, heartbeat_at=func.now())


def make_irrevocable(engine: Engine, claim: Claim) -> None:
    """Pass the point of no return; raises LostClaim."""
    with own_statement(engine) as connection:
        write(connection, claim, irrevocable_at=func.coalesce(Deletion.irrevocable_at, func.now()))


def end_slice(engine: Engine, claim: Claim, *, republish_seconds: float) -> StepMessage:
    """The step has more to do: let others in first."""
    with own_transaction(engine, durable=False) as connection:
        write(connection, claim, owner=None, heartbeat_at=None, next_attempt_at=from_now(republish_seconds))
    return StepMessage(claim.deletion_id, claim.attempt, claim.position)


def finish_step(
    engine: Engine,
    claim: Claim,
    *,
    removed: Mapping[str, int],
    notes: Mapping[str, Any],
    republish_seconds: float,
    conclude: Callable[[Connection], None] | None = None,
) -> None:
    """The step is done, with these counts and notes: the next one may be claimed.

    With conclude, which is run in the same transaction, it was the last one, and the deletion has succeeded.
    """
    values = {
        "of_deletion": claim.deletion_id,
        "of_owner": claim.owner,
        "of_step": claim.step,
        "all_removed": dict(removed),
        "all_notes": dict(notes),
    }
    if conclude is None:
        with own_statement(engine) as connection:
            _see(
                connection.execute(
                    claim_statements.FINISH, values | {"republish_after": timedelta(seconds=republish_seconds)}
                )
            )
        return
    with own_transaction(engine) as connection:
        _see(connection.execute(claim_statements.CONCLUDE, values))
        conclude(connection)


def postpone(
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
            chain.append(
                connection, entries.deletion_ended(Decision.FAILED, claim.deletion_id, claim.instance_id, claim.step)
            )
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
        chain.append(
            connection, entries.deletion_ended(Decision.FAILED, claim.deletion_id, claim.instance_id, claim.step)
        )


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
        end = entries.deletion_ended(Decision.CANCELLED, claim.deletion_id, claim.instance_id, claim.step)
        chain.append(connection, *withdrawn, end)
