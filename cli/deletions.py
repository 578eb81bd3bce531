"""Deletions from the server: list, show, resume and cancel them, straight on Lethe's own database."""

import shutil
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import click
from sqlalchemy import and_, select
from sqlalchemy.orm import Session

from cli import operator, watch, words
from cli import show as showing
from cli.common import NOT_POSSIBLE, check_given_up, json_option, print_json, reached, stop, without_gateway_option
from cli.show import Known
from shared.database import reaching
from shared.models import UNDER_WAY, ApiKey, Deletion, DeletionStatus, Step
from shared.permissions import Role
from shared.services import Services
from tasks import pipeline


@click.command()
@click.argument("deletion_id", type=click.UUID)
@without_gateway_option
@json_option
def retry(deletion_id: UUID, given_up: tuple[str, ...], as_json: bool) -> None:
    """Let a failed or waiting deletion go on at once from where it stopped.

    Example: lethe retry 3f0c... --without-gateway http://evolution-2:8080
    """
    with reached() as made:
        check_given_up(made, given_up)
        if not pipeline.resume(made, deletion_id, operator.caller(), given_up):
            stop(f"There is nothing to resume: {_state(made, deletion_id)}")
    if as_json:
        print_json({"id": deletion_id, "resumed": True})
    else:
        click.echo(f"{deletion_id} goes on")


@click.command()
@click.argument("deletion_id", type=click.UUID)
@json_option
def cancel(deletion_id: UUID, as_json: bool) -> None:
    """Stop a deletion of which nothing has been done yet.

    Example: lethe cancel 3f0c...
    """
    with reached() as made:
        if not pipeline.cancel(made, deletion_id, operator.actor()):
            stop(f"Too late to cancel: {_state(made, deletion_id)}")
    if as_json:
        print_json({"id": deletion_id, "cancelled": True})
    else:
        click.echo(f"{deletion_id} is cancelled, the instance is as it was")


@click.command()
@click.argument("deletion_id", type=click.UUID)
@click.option("--watch", "watched", is_flag=True, help="Follow it until it ends; exit code 1 unless it succeeded.")
@json_option
def show(deletion_id: UUID, watched: bool, as_json: bool) -> None:
    """Show a deletion and its steps.

    When and by whom, what each step removed and how long it took, what it waits for, what became of its webhooks.

    With --watch and --json: one line of JSON for each change.

    Example: lethe show 3f0c... --watch
    """
    with reached() as made:
        if watched:
            succeeded = watch.follow(lambda: _load_known(made, deletion_id).deletion, as_json=as_json)
            raise click.exceptions.Exit(0 if succeeded else NOT_POSSIBLE)
        known = _load_known(made, deletion_id)
        limits = made.settings.deadline_seconds, made.settings.max_failures
    if as_json:
        print_json(showing.facts(known))
        return
    width = shutil.get_terminal_size().columns
    told = showing.lines(known, datetime.now(UTC), width=width, deadline_seconds=limits[0], max_failures=limits[1])
    click.echo("\n".join(told))


@click.command("list")
@click.option("--status", type=click.Choice([each.value for each in DeletionStatus]), help="Only those of this status.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, show_default=True, help="How many at most.")
@json_option
def list_deletions(status: str | None, limit: int, as_json: bool) -> None:
    """List the newest deletions.

    With how old each is, at which step, who asked for it, and why it waits or has stopped.

    Example: lethe list --status failed
    """
    with reached() as made:
        rows = _newest(made, DeletionStatus(status) if status else None, limit)
    if as_json:
        print_json(rows)
        return
    if not rows:
        click.echo(f"There are no {f'{status} ' if status else ''}deletions", err=True)
        return
    now = datetime.now(UTC)
    click.echo(f"{'id':<36}  {'status':<9}  {'age':>7}  {'step':<14}  {'by':<20}  name  reason")
    for row in rows:
        click.echo(_row(row, now))
    if len(rows) == limit:
        click.echo(f"Only the newest {limit} are shown: --limit shows more", err=True)


def _newest(made: Services, status: DeletionStatus | None, limit: int) -> list[dict[str, Any]]:
    at, whose = Step.position == Deletion.position, ApiKey.id == Deletion.requester_key_id
    query = select(Deletion, Step.name, ApiKey.name).order_by(Deletion.accepted_at.desc()).limit(limit)
    query = query.outerjoin(Step, and_(Step.deletion_id == Deletion.id, at)).outerjoin(ApiKey, whose)
    if status:
        query = query.where(Deletion.status == status)
    with reaching("the own database"), Session(made.own) as session:
        return [_facts(*row) for row in session.execute(query)]


def _facts(deletion: Deletion, step: str | None, key_name: str | None) -> dict[str, Any]:
    """One deletion of the list; its step is where it stopped, or where it is."""
    return {
        "id": str(deletion.id),
        "name": deletion.instance_name,
        "status": deletion.status.value,
        "step": deletion.failed_step or (step if deletion.status in UNDER_WAY else None),
        "reason": deletion.reason,
        "instanceId": deletion.instance_id,
        "acceptedAt": deletion.accepted_at.isoformat(),
        "finishedAt": deletion.finished_at.isoformat() if deletion.finished_at else None,
        "requestedBy": {"role": deletion.requester, "keyId": deletion.requester_key_id, "keyName": key_name},
    }


def _row(row: dict[str, Any], now: datetime) -> str:
    who = row["requestedBy"]
    name = repr(who["keyName"]) if who["keyName"] else who["keyId"] or ""
    by = who["role"] if who["role"] == Role.INSTANCE else f"{who['role']} {name}"
    age = words.span(now - datetime.fromisoformat(row["acceptedAt"]))
    line = f"{row['id']}  {row['status']:<9}  {age:>7}  {row['step'] or '':<14}  {by:<20}  {row['name']!r}"
    return f"{line}  {row['reason'] or ''}".rstrip()


def _load_known(made: Services, deletion_id: UUID) -> Known:
    known = showing.load(made, deletion_id)
    if known is None:
        stop("There is no such deletion")
    return known


def _state(made: Services, deletion_id: UUID) -> str:
    known = showing.load(made, deletion_id)
    if known is None:
        return "there is no such deletion"
    done = [step.name for step in known.deletion.steps if step.finished_at]
    return f"it is {known.deletion.status.value}, done: {', '.join(done) or 'nothing'}"
