"""What `lethe list` does: shows the newest deletions."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import click
from sqlalchemy import Engine, and_, select
from sqlalchemy.orm import Session

from cli.runtime import connected_to_own_database, print_json
from shared import formatting
from shared.database.connections import translate_errors
from shared.database.enums import Role
from shared.database.models import UNDER_WAY, ApiKey, Deletion, DeletionStatus, Step
from shared.translations import sentences
from shared.translations.texts import _


def show(status: str | None, bulk_id: UUID | None, limit: int, as_json: bool) -> None:
    """One line for each deletion: age, step, requester, and why it waits or has stopped, or when it begins."""
    with connected_to_own_database() as own:
        rows = _newest(own, DeletionStatus(status) if status else None, bulk_id, limit)
    if as_json:
        print_json(rows)
        return
    if not rows:
        none = _("There are no {status} deletions", status=status) if status else _("There are no deletions")
        click.echo(none, err=True)
        return
    now = datetime.now(UTC)
    heads = _("id"), _("status"), _("age"), _("step"), _("by"), _("name"), _("reason")
    click.echo("{:<36}  {:<9}  {:>7}  {:<14}  {:<20}  {}  {}".format(*heads))
    for row in rows:
        click.echo(_row(row, now))
    if len(rows) == limit:
        click.echo(_("Only the newest {limit} are shown: --limit shows more", limit=limit), err=True)


def _newest(own: Engine, status: DeletionStatus | None, bulk_id: UUID | None, limit: int) -> list[dict[str, Any]]:
    at, whose = Step.position == Deletion.position, ApiKey.id == Deletion.requester_key_id
    query = select(Deletion, Step.name, ApiKey.name).order_by(Deletion.accepted_at.desc()).limit(limit)
    query = query.outerjoin(Step, and_(Step.deletion_id == Deletion.id, at)).outerjoin(ApiKey, whose)
    if status:
        query = query.where(Deletion.status == status)
    if bulk_id:
        query = query.where(Deletion.bulk_id == bulk_id)
    with translate_errors("the own database"), Session(own) as session:
        return [_facts(*row) for row in session.execute(query)]


def _facts(deletion: Deletion, step: str | None, key_name: str | None) -> dict[str, Any]:
    """One deletion of the list; `step` is where it stopped, or where it is now."""
    return {
        "id": deletion.id,
        "name": deletion.instance_name,
        "status": deletion.status.value,
        "step": deletion.failed_step or (step if deletion.status in UNDER_WAY else None),
        "reason": deletion.reason,
        "instanceId": deletion.instance_id,
        "bulkId": deletion.bulk_id,
        "acceptedAt": deletion.accepted_at,
        "notBefore": deletion.not_before,
        "finishedAt": deletion.finished_at,
        "requestedBy": {"role": deletion.requester, "keyId": deletion.requester_key_id, "keyName": key_name},
    }


def _row(row: dict[str, Any], now: datetime) -> str:
    who = row["requestedBy"]
    name = repr(who["keyName"]) if who["keyName"] else who["keyId"] or ""
    by = who["role"] if who["role"] == Role.INSTANCE else f"{who['role']} {name}"
    age = formatting.duration(now - row["acceptedAt"])
    line = f"{row['id']}  {row['status']:<9}  {age:>7}  {row['step'] or '':<14}  {by:<20}  {row['name']!r}"
    is_scheduled = row["status"] == DeletionStatus.SCHEDULED
    begins = _("begins {time}", time=formatting.time_until(row["notBefore"], now)) if is_scheduled else None
    return f"{line}  {begins or sentences.translated(row['reason'] or '')}".rstrip()
