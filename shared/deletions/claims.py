"""Claims: the right to run one step. Guarded UPDATEs take it, keep it, and end it with the step's outcome."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Connection, Engine, Result, Update, case, func, literal, or_, update

from shared.audit import chain
from shared.audit.entries import Decision, Entry, deletion_ended
from shared.database.connections import own_statement, own_transaction
from shared.database.models import Deletion, DeletionStatus, Step, StepStatus
from shared.database.timing import from_now
from shared.deletions import claim_statements
from shared.errors import LostClaim
from shared.webhooks import notices, outbox


@dataclass(frozen=True)
class Claim:
    """The right of one worker to run one step of one deletion, while its heartbeat is recent."""

    deletion_id: UUID
    attempt: int
    step: str
    position: int
    runs: int  # of the step, with this one
    owner: UUID
    instance_id: str
    instance_name: str
    planned: Mapping[str, int] | None  # counted by the preview; None before the first count
    removed: Mapping[str, int]  # by earlier runs of the step
    notes: Mapping[str, Any]
    earlier_notes: Mapping[str, Mapping[str, Any]]  # of the steps that are done, by their names
    without_gateways: tuple[str, ...]
    exports: bool = False  # it must not go on without an archive
    only_disconnected: bool = False  # ordered for as long as the instance is disconnected
    was_scheduled: bool = False  # between the order and its moment, the instance may have been renamed


def claim(engine: Engine, deletion_id: UUID, attempt: int, step: str, *, stale_seconds: float) -> Claim | None:
    """Claim the step if it is the deletion's next one, the attempt is current and no live worker owns it; else None."""
    owner = uuid4()
    values = {
        "deletion_id": deletion_id,
        "attempt": attempt,
        "step": step,
        "owner": owner,
        "stale_after": timedelta(seconds=stale_seconds),
    }
    with own_statement(engine) as connection:
        row = connection.execute(claim_statements.CLAIM, values).one_or_none()
    if row is None:
        return None
    return Claim(
        deletion_id=deletion_id,
        attempt=attempt,
        step=step,
        position=row.position,
        runs=row.attempts,
        owner=owner,
        instance_id=row.instance_id,
        instance_name=row.instance_name,
        planned=row.planned,
        removed=row.removed,
        notes=row.notes,
        earlier_notes=row.earlier_notes or {},
        without_gateways=tuple(row.without_gateways),
        exports=row.exports,
        only_disconnected=row.only_disconnected,
        was_scheduled=row.was_scheduled,
    )


def unguarded_step_update(claim: Claim) -> Update:
    """UPDATE of the step's row. It does not check the claim: call write() first, in the same transaction."""
    return update(Step).where(Step.deletion_id == claim.deletion_id, Step.name == claim.step)


def write(connection: Connection, claim: Claim, **values: Any) -> None:
    """Change the deletion's row. Raises LostClaim if this claim no longer owns the deletion."""
    _require_row(connection.execute(_guarded_deletion_update(claim).values(**values).returning(Deletion.id)))


def _guarded_deletion_update(claim: Claim) -> Update:
    """UPDATE of the deletion's row. It changes nothing if the claim no longer owns the deletion."""
    return update(Deletion).where(Deletion.id == claim.deletion_id, Deletion.owner == claim.owner)


def _require_row(written: Result[Any]) -> Any:
    """The row that a guarded UPDATE returned; raises LostClaim when there is none."""
    row = written.one_or_none()
    if row is None:
        raise LostClaim
    return row


def send_heartbeat(engine: Engine, claim: Claim) -> None:
    """Renew the claim; raises LostClaim."""
    with own_transaction(engine, durable=False) as connection:
        write(connection, claim, heartbeat_at=func.now())


def rename(engine: Engine, claim: Claim, name: str) -> Claim:
    """Continue under the name that the instance has now; raises LostClaim."""
    with own_transaction(engine) as connection:
        write(connection, claim, instance_name=name)
    return replace(claim, instance_name=name)


def make_irrevocable(engine: Engine, claim: Claim) -> None:
    """Record that the deletion cannot be cancelled any more; raises LostClaim."""
    with own_statement(engine) as connection:
        write(connection, claim, irrevocable_at=func.coalesce(Deletion.irrevocable_at, func.now()))


def end_slice(engine: Engine, claim: Claim, *, republish_seconds: float) -> None:
    """Release the claim at the end of the slice, so that other deletions get their turn; raises LostClaim.

    The caller has saved the counts. republish_seconds: when the reconciler sends the message again if no worker has
    claimed the step.
    """
    with own_transaction(engine, durable=False) as connection:
        write(connection, claim, owner=None, heartbeat_at=None, next_attempt_at=from_now(republish_seconds))


def finish_step(
    engine: Engine,
    claim: Claim,
    *,
    removed: Mapping[str, int],
    notes: Mapping[str, Any],
    planned: Mapping[str, int] | None = None,
    republish_seconds: float,
    conclude: Callable[[Connection], None] | None = None,
) -> None:
    """Record that the step is done, with its counts and notes; the next step may be claimed. Raises LostClaim.

    planned: of a step that counts when it runs, not in the preview.
    With conclude it was the last step: the deletion has succeeded, and conclude is called in the same transaction.
    """
    values = {
        "deletion_id": claim.deletion_id,
        "owner": claim.owner,
        "step": claim.step,
        "removed": dict(removed),
        "notes": dict(notes),
        "planned": None if planned is None else dict(planned),
    }
    if conclude is None:
        values["republish_after"] = timedelta(seconds=republish_seconds)
        with own_statement(engine) as connection:
            _require_row(connection.execute(claim_statements.FINISH, values))
        return
    with own_transaction(engine) as connection:
        _require_row(connection.execute(claim_statements.CONCLUDE, values))
        conclude(connection)


def postpone(
    engine: Engine,
    claim: Claim,
    reason: str,
    *,
    is_failure: bool,
    first_pause_seconds: float,
    max_pause_seconds: float,
    deadline_seconds: float,
    max_failures: int,
    notify: notices.Write | None = None,
) -> DeletionStatus:
    """Release the claim and try the step again later. Returns the deletion's status; raises LostClaim.

    Exponential backoff: the pause is the time since the first postponement, between first_pause_seconds and
    max_pause_seconds. The deletion fails deadline_seconds after waiting_since, or after max_failures failures.
    is_failure: whether this one counts as a failure of the step. notify: called in the transaction that fails it.
    """
    failures = 1 if is_failure else 0
    waited = func.now() - func.coalesce(Deletion.waiting_since, func.now())
    pause = func.least(
        func.greatest(waited, timedelta(seconds=first_pause_seconds)), timedelta(seconds=max_pause_seconds)
    )
    over = Deletion.waiting_since < from_now(-deadline_seconds)
    if is_failure:
        over = or_(over, Deletion.failures + 1 >= max_failures)
    kind = Deletion.status.type
    change = _guarded_deletion_update(claim).values(
        status=case((over, literal(DeletionStatus.FAILED, kind)), else_=literal(DeletionStatus.WAITING, kind)),
        owner=None,
        heartbeat_at=None,
        failures=Deletion.failures + failures,
        waiting_since=func.coalesce(Deletion.waiting_since, func.now()),
        next_attempt_at=case((over, None), else_=func.now() + pause),
        reason=reason,
        failed_step=claim.step,
    )
    with own_transaction(engine) as connection:
        status: DeletionStatus = _require_row(connection.execute(change.returning(Deletion.status))).status
        has_failed = status is DeletionStatus.FAILED
        step_status = StepStatus.FAILED if has_failed else StepStatus.PENDING
        connection.execute(
            unguarded_step_update(claim).values(status=step_status, error=reason, failures=Step.failures + failures)
        )
        if has_failed:
            if notify:
                notify(connection, [claim.deletion_id])
            chain.append(connection, _audit_entry(claim, Decision.FAILED))
    return status


def fail(engine: Engine, claim: Claim, reason: str, *, notify: notices.Write | None = None) -> None:
    """Stop the deletion until it is resumed, and call notify in the same transaction; raises LostClaim."""
    with own_transaction(engine) as connection:
        _stop(connection, claim, DeletionStatus.FAILED, reason, failures=Deletion.failures + 1)
        connection.execute(
            unguarded_step_update(claim).values(status=StepStatus.FAILED, error=reason, failures=Step.failures + 1)
        )
        if notify:
            notify(connection, [claim.deletion_id])
        chain.append(connection, _audit_entry(claim, Decision.FAILED))


def cancel(engine: Engine, claim: Claim, reason: str) -> None:
    """Cancel the deletion because its requester lost the permission. The caller checks irrevocable_at.

    Raises LostClaim.
    """
    with own_transaction(engine) as connection:
        _stop(connection, claim, DeletionStatus.CANCELLED, reason, finished_at=func.now())
        connection.execute(unguarded_step_update(claim).values(status=StepStatus.PENDING, error=reason))
        withdrawn = outbox.expire_pending(connection, claim.deletion_id)
        chain.append(connection, *withdrawn, _audit_entry(claim, Decision.CANCELLED))


def _stop(connection: Connection, claim: Claim, status: DeletionStatus, reason: str, **values: Any) -> None:
    released = {"owner": None, "heartbeat_at": None, "next_attempt_at": None}
    write(connection, claim, status=status, reason=reason, failed_step=claim.step, **released, **values)


def _audit_entry(claim: Claim, decision: Decision) -> Entry:
    return deletion_ended(decision, claim.deletion_id, claim.instance_id, claim.step)
