"""What is loaded with a deletion that is shown: its steps, its webhooks, and when it failed."""

from sqlalchemy import case, func, select
from sqlalchemy.orm import selectinload, with_expression

from shared.audit.entries import WORKER, Action, Decision
from shared.database.models import AuditLine, Deletion, DeletionStatus

# Only the audit has this time. A line of another role is about a call that failed, not about the deletion.
_LAST_FAILURE = (
    select(func.max(AuditLine.at))
    .where(AuditLine.deletion_id == Deletion.id, AuditLine.role == WORKER.role)
    .where(AuditLine.action == Action.DELETE.value, AuditLine.decision == Decision.FAILED.value)
    .correlate(Deletion)
    .scalar_subquery()
)
FOR_DISPLAY = (
    selectinload(Deletion.steps),
    selectinload(Deletion.webhooks),
    with_expression(Deletion.failed_at, case((Deletion.status == DeletionStatus.FAILED, _LAST_FAILURE))),
)
