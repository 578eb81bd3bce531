"""Deletions from the server: list, show, resume and cancel them, straight on Lethe's own database."""

import shutil
import textwrap
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import click
from sqlalchemy import select
from sqlalchemy.orm import Session, selectinload

from cli import operator, watch
from cli.common import NOT_POSSIBLE, json_option, print_json, reached, stop
from shared.database import reaching
from shared.models import Deletion, DeletionStatus
from shared.services import Services
from tasks import pipeline


@click.command()
@click.argument("deletion_id", type=click.UUID)
@click.option("--without-gateway", "given_up", multiple=True, metavar="URL", help="A gateway that is gone for good.")
@json_option
def retry(deletion_id: UUID, given_up: tuple[str, ...], as_json: bool) -> None:
    """Let a failed or waiting deletion go on at once from where it stopped.

    Example: lethe retry 3f0c... --without-gateway http://evolution-2:8080
    """
    with reached() as made:
        if unknown := set(given_up) - set(made.settings.gateways):
            stop(f"Not a gateway of LETHE_GATEWAYS: {', '.join(sorted(unknown))}")
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

    With --watch and --json: one line of JSON for each change.

    Example: lethe show 3f0c... --watch
    """
    with reached() as made:
        if watched:
            succeeded = watch.follow(lambda: _load_known(made, deletion_id), as_json=as_json)
            raise click.exceptions.Exit(0 if succeeded else NOT_POSSIBLE)
        deletion = _load_known(made, deletion_id)
    if as_json:
        print_json(_facts(deletion))
    else:
        click.echo("\n".join(_lines(deletion)))


def _facts(deletion: Deletion) -> dict[str, Any]:
    steps = {
        step.name: {
            "status": step.status.value, "planned": step.planned, "removed": step.removed, "error": step.error
        } for step in deletion.steps
    }  # fmt: skip
    return {"id": deletion.id, "status": deletion.status.value, "reason": deletion.reason, "steps": steps}


def _lines(deletion: Deletion) -> Iterator[str]:
    """The deletion in lines that a terminal need not break."""
    width = shutil.get_terminal_size().columns
    head = f"{deletion.id}  {deletion.instance_name!r}  {deletion.status.value}  {deletion.reason or ''}"
    yield from textwrap.wrap(head, width, subsequent_indent="  ")
    for step in deletion.steps:
        removed = ", ".join(f"{number} {what}" for what, number in step.removed.items())
        line = f"  {step.name:<15} {step.status.value:<8} {removed} {step.error or ''}"
        yield from textwrap.wrap(line, width, subsequent_indent=" " * 27, replace_whitespace=False)


@click.command("list")
@click.option("--status", type=click.Choice([each.value for each in DeletionStatus]), help="Only those of this status.")
@json_option
def list_deletions(status: str | None, as_json: bool) -> None:
    """List the newest deletions.

    Example: lethe list --status failed
    """
    query = select(Deletion).order_by(Deletion.accepted_at.desc()).limit(100)
    if status:
        query = query.where(Deletion.status == DeletionStatus(status))
    with reached() as made, reaching("the own database"), Session(made.own) as session:
        found = list(session.scalars(query))
    rows = [
        {"id": str(each.id), "name": each.instance_name, "status": each.status.value, "step": each.failed_step,
         "reason": each.reason} for each in found
    ]  # fmt: skip
    if as_json:
        print_json(rows)
        return
    for row in rows:
        click.echo(
            f"{row['id']}  {row['status']:<9}  {row['name']!r}  {row['step'] or ''} {row['reason'] or ''}".rstrip()
        )


def _load_known(made: Services, deletion_id: UUID) -> Deletion:
    deletion = _load(made, deletion_id)
    if deletion is None:
        stop("There is no such deletion")
    return deletion


def _load(made: Services, deletion_id: UUID) -> Deletion | None:
    query = select(Deletion).where(Deletion.id == deletion_id).options(selectinload(Deletion.steps))
    with reaching("the own database"), Session(made.own, expire_on_commit=False) as session:
        return session.scalar(query)


def _state(made: Services, deletion_id: UUID) -> str:
    deletion = _load(made, deletion_id)
    if deletion is None:
        return "there is no such deletion"
    done = [step.name for step in deletion.steps if step.finished_at]
    return f"it is {deletion.status.value}, done: {', '.join(done) or 'nothing'}"
