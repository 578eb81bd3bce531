"""Changes of a deletion that no worker makes: accepted, scheduled, queued, resumed, cancelled, failed at deadline."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Engine, case, exists, func, literal, select, text, update
from sqlalchemy.dialects.postgresql import JSONB

from shared.access.confirmation import Confirmation
from shared.audit import chain, entries
from shared.audit.entries import Decision
from shared.database import timing
from shared.database.connections import own_transaction
from shared.database.enums import Role
from shared.database.models import ENDED, UNDER_WAY, Deletion, DeletionStatus, Step
from shared.database.timing import from_now
from shared.deletions.republishing import MESSAGE, StepMessage
from shared.errors import LetheError
from shared.translations.marks import N_
from shared.webhooks import notices

_AT_ONCE = 500
# Plain SQL, in one statement: callers wait for it, and SQLAlchemy takes long to build it.
_ACCEPT = text("""
WITH deletion AS (
    INSERT INTO deletions (id, instance_id, instance_name, status, position, attempt, failures, nudges, next_attempt_at,
        requester, requester_key_id, requester_key_hash, confirmed_by, confirmed_with, confirmed_at, confirmed_preview,
        bulk_id, only_disconnected, not_before, exports)
    SELECT wanted.id, wanted.instance_id, wanted.instance_name,
        CASE WHEN moment IS NULL THEN 'queued' ELSE 'scheduled' END, 0, 1, 0, 0,
        CASE WHEN moment IS NULL THEN now() + :republish_seconds * interval '1 second' END,
        :role, :key_id, :token_hash, :confirmed_by,
        CAST(:means AS text), CASE WHEN CAST(:means AS text) IS NOT NULL THEN now() END, :preview,
        CAST(:bulk_id AS uuid), :only_disconnected, moment, :exports
    FROM unnest(CAST(:ids AS uuid[]), CAST(:instance_ids AS text[]), CAST(:instance_names AS text[]))
        AS wanted (id, instance_id, instance_name), (SELECT CAST(:not_before AS timestamptz) AS moment) AS given
    ON CONFLICT DO NOTHING
    RETURNING id
), step AS (
    INSERT INTO steps (deletion_id, name, position, status, attempts, failures, at_least)
    SELECT id, step, number - 1, 'pending', 0, 0, false
    FROM deletion, unnest(CAST(:steps AS text[])) WITH ORDINALITY AS ordered (step, number)
)
SELECT id FROM deletion""")


class AlreadyRequested(LetheError):
    """The instance has an unfinished deletion already."""


@dataclass(frozen=True)
class Requester:
    """Who ordered a deletion. Its permission is checked again before what cannot be undone."""

    role: str
    key_id: str | None
    token_hash: str = ""  # of an instance's token, so that it can follow the deletion after the fence has removed it


@dataclass(frozen=True)
class NewDeletion:
    """An instance whose deletion is to be accepted, and the id that the deletion will have."""

    id: UUID
    instance_id: str
    instance_name: str


def accept(
    connection: Connection,
    *,
    deletion_id: UUID,
    instance_id: str,
    instance_name: str,
    requester: Requester,
    steps: Sequence[str],
    republish_seconds: float,
    confirmation: Confirmation | None = None,
    not_before: datetime | None = None,
    exports: bool = False,
) -> StepMessage:
    """Insert the deletion and its steps; raises AlreadyRequested when the instance has an unfinished deletion."""
    accepted = accept_all(
        connection,
        [NewDeletion(deletion_id, instance_id, instance_name)],
        requester=requester,
        steps=steps,
        republish_seconds=republish_seconds,
        confirmation=confirmation,
        not_before=not_before,
        exports=exports,
    )
    if not accepted:
        raise AlreadyRequested
    return accepted[0]


def accept_all(
    connection: Connection,
    wanted: Sequence[NewDeletion],
    *,
    requester: Requester,
    steps: Sequence[str],
    republish_seconds: float,
    not_before: datetime | None,
    confirmation: Confirmation | None = None,
    bulk_id: UUID | None = None,
    only_disconnected: bool = False,
    exports: bool = False,
) -> list[StepMessage]:
    """Insert deletions and their steps in one statement; leaves out instances that have an unfinished deletion.

    bulk_id: of the order that they belong to. only_disconnected: the first step cancels the deletion of an instance
    that is connected by then. not_before: they are scheduled, and their messages are published at that moment.
    exports: none of them goes on without an archive.
    """
    # Sorted: of two orders with the same instances, one waits for the other, and neither for both.
    inserted = sorted(wanted, key=lambda each: each.instance_id)
    values = {
        "ids": [each.id for each in inserted],
        "instance_ids": [each.instance_id for each in inserted],
        "instance_names": [each.instance_name for each in inserted],
        "role": requester.role,
        "key_id": requester.key_id,
        "token_hash": requester.token_hash,
        "confirmed_by": confirmation.key_id if confirmation else None,
        "means": confirmation.means.value if confirmation else None,
        "preview": confirmation.preview if confirmation else None,
        "republish_seconds": republish_seconds,
        "bulk_id": bulk_id,
        "only_disconnected": only_disconnected,
        "not_before": not_before,
        "exports": exports,
        "steps": list(steps),
    }
    accepted = set(connection.scalars(_ACCEPT, values))
    return [StepMessage(each.id, 1, 0, bulk_id is not None) for each in wanted if each.id in accepted]


def fail_overdue(engine: Engine, *, deadline_seconds: float, notify: notices.Write | None = None) -> int:
    """Fail deletions without progress at the deadline, e.g. one whose step kills its worker. Returns how many.

    notify: called in the same transaction.
    """
    why = func.coalesce(Deletion.reason, N_("no progress within the deadline"))
    with own_transaction(engine) as connection:
        rows = connection.execute(
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
            .returning(Deletion.id, Deletion.instance_id, Deletion.failed_step)
        ).all()
        if rows:
            if notify:
                notify(connection, [row.id for row in rows])
            ended = (entries.deletion_ended(Decision.FAILED, row.id, row.instance_id, row.failed_step) for row in rows)
            chain.append(connection, *ended)
    return len(rows)


def resume(
    connection: Connection,
    deletion_id: UUID,
    requester: Requester,
    *,
    republish_seconds: float,
    without_gateways: Sequence[str] = (),
    confirmation: Confirmation | None = None,
    bulk_id: UUID | None = None,
) -> StepMessage | None:
    """Continue a failed or waiting deletion where it stopped, as a new attempt; None when it is neither.

    The caller becomes the requester, for the first one may have lost its permission or its key. An instance is the
    exception: it never replaces another requester, for a new token of the instance would then cancel the deletion.
    It can follow the deletion all the same. without_gateways: servers that are gone for good; no step waits for them.
    """
    stopped = (DeletionStatus.FAILED, DeletionStatus.WAITING)
    row = connection.execute(
        update(Deletion)
        .where(Deletion.id == deletion_id, Deletion.status.in_(stopped), Deletion.owner.is_(None))
        .values(
            status=DeletionStatus.QUEUED,
            attempt=Deletion.attempt + 1,
            failures=0,
            times_republished=0,
            waiting_since=None,
            reason=None,
            failed_step=None,
            **_requester_values(requester),
            **_confirmation_values(confirmation),
            **({} if bulk_id is None else {"bulk_id": bulk_id}),
            next_attempt_at=from_now(republish_seconds),
            without_gateways=Deletion.without_gateways.op("||")(literal(list(without_gateways), JSONB)),
        )
        .returning(Deletion.id, Deletion.attempt, Deletion.position)
    ).one_or_none()
    return StepMessage(*row) if row else None


def queue_scheduled(engine: Engine, *, republish_seconds: float) -> list[StepMessage]:
    """Queue the scheduled deletions whose moment has come. Only then can a worker claim them."""
    is_scheduled = Deletion.status == DeletionStatus.SCHEDULED
    queue = update(Deletion).values(status=DeletionStatus.QUEUED, next_attempt_at=from_now(republish_seconds))
    with own_transaction(engine) as connection:
        rows = timing.take_due(connection, queue, Deletion.not_before, *MESSAGE, where=[is_scheduled], limit=_AT_ONCE)
    return [StepMessage(*row) for row in rows]


def run_now(
    connection: Connection, deletion_id: UUID, requester: Requester, *, republish_seconds: float
) -> StepMessage | None:
    """Queue a scheduled deletion before its moment; None when it is not scheduled. The caller becomes the requester."""
    row = connection.execute(
        update(Deletion)
        .where(Deletion.id == deletion_id, Deletion.status == DeletionStatus.SCHEDULED)
        .values(
            status=DeletionStatus.QUEUED,
            not_before=func.now(),
            next_attempt_at=from_now(republish_seconds),
            **_requester_values(requester),
        )
        .returning(Deletion.id, Deletion.attempt, Deletion.position)
    ).one_or_none()
    return StepMessage(*row) if row else None


def require_export(connection: Connection, deletion_id: UUID) -> bool:
    """Let a deletion not go on without an archive; False when it is past the point of no return."""
    change = update(Deletion).where(Deletion.id == deletion_id, Deletion.irrevocable_at.is_(None)).values(exports=True)
    return connection.execute(change.returning(Deletion.id)).one_or_none() is not None


def _requester_values(requester: Requester) -> dict[str, Any]:
    if requester.role != Role.INSTANCE:
        return {"requester": requester.role, "requester_key_id": requester.key_id}
    is_requester = Deletion.requester == Role.INSTANCE
    return {
        "requester_key_id": case((is_requester, requester.key_id), else_=Deletion.requester_key_id),
        "requester_key_hash": requester.token_hash,
    }


def _confirmation_values(confirmation: Confirmation | None) -> dict[str, Any]:
    if confirmation is None:
        return {}
    return {
        "confirmed_by": confirmation.key_id,
        "confirmed_with": confirmation.means,
        "confirmed_at": func.now(),
        "confirmed_preview": confirmation.preview,
    }


def cancel(connection: Connection, deletion_id: UUID) -> str | None:
    """Cancel a deletion before its logout. Returns the instance's id; None when it is too late."""
    planned = exists().where(Step.deletion_id == deletion_id, Step.planned.is_not(None))
    return connection.execute(
        update(Deletion)
        .where(Deletion.id == deletion_id, Deletion.status.not_in(ENDED), Deletion.owner.is_(None))
        .where(Deletion.position == 0, ~planned)
        .values(status=DeletionStatus.CANCELLED, finished_at=func.now(), next_attempt_at=None)
        .returning(Deletion.instance_id)
    ).scalar_one_or_none()
