"""Deletions: list, show, resume, run now and cancel them."""

import shutil
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

import click

from cli.runtime import (
    NOT_POSSIBLE,
    check_without_gateways,
    connected,
    json_option,
    output,
    print_json,
    stop,
    without_gateway_option,
)
from shared.database.enums import DeletionStatus
from shared.translations.texts import _

if TYPE_CHECKING:
    from cli.deletion_view import DeletionWithKeyName
    from shared.services import Services


@click.command("list")
@click.option("--status", type=click.Choice([each.value for each in DeletionStatus]), help="Only this status.")
@click.option("--bulk", "bulk_id", type=click.UUID, metavar="ID", help="Only those of this order of many.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, show_default=True, help="How many at most.")
@json_option
def list_deletions(**given: Any) -> None:
    """List the newest deletions.

    Each with its age, its step, who requested it, and why it waits or has stopped, or when it begins.

    Example: lethe list --status failed
    """
    from cli.actions import deletion_list

    deletion_list.show(**given)


@click.command()
@click.argument("deletion_id", type=click.UUID)
@click.option("--watch", "watched", is_flag=True, help="Follow it until it ends; exit code 1 unless it succeeded.")
@json_option
def show(deletion_id: UUID, watched: bool, as_json: bool) -> None:
    """Show a deletion and its steps.

    The output has the times, the requester, what each step removed and how long it took, what the deletion waits for,
    and the webhooks. With --watch, the command follows the deletion until it ends; with --json too, it prints one line
    of JSON for each change.

    Example: lethe show 3f0c... --watch
    """
    from cli import deletion_view, watch

    with connected() as services:
        if watched:
            succeeded = watch.follow(lambda: _load(services, deletion_id).deletion, as_json=as_json)
            raise click.exceptions.Exit(0 if succeeded else NOT_POSSIBLE)
        known, settings = _load(services, deletion_id), services.settings
    if as_json:
        print_json(deletion_view.to_json(known))
        return
    lines = deletion_view.lines(
        known,
        datetime.now(UTC),
        width=shutil.get_terminal_size().columns,
        deadline_seconds=settings.deadline_seconds,
        max_failures=settings.max_failures,
    )
    click.echo("\n".join(lines))


@click.command()
@click.argument("deletion_id", type=click.UUID)
@without_gateway_option
@json_option
def retry(deletion_id: UUID, without_gateways: tuple[str, ...], as_json: bool) -> None:
    """Resume a failed or waiting deletion at once, from where it stopped.

    Example: lethe retry 3f0c... --without-gateway http://evolution-2:8080
    """
    from cli import account
    from tasks.orders import resume

    with connected() as services:
        check_without_gateways(services, without_gateways)
        if not resume.resume(services, deletion_id, account.caller(), without_gateways):
            stop(_("There is nothing to resume: {status}", status=_status_sentence(services, deletion_id)))
    output({"id": deletion_id, "resumed": True}, _("{deletion_id} continues", deletion_id=deletion_id), as_json=as_json)


@click.command("run-now")
@click.argument("deletion_id", type=click.UUID)
@json_option
def run_now(deletion_id: UUID, as_json: bool) -> None:
    """Begin a scheduled deletion now, not at its moment.

    Example: lethe run-now 3f0c...
    """
    from cli import account
    from tasks.orders import schedule

    with connected() as services:
        if not schedule.run_now(services, deletion_id, account.caller()):
            status = _status_sentence(services, deletion_id)
            stop(_("Only a scheduled deletion can be run now: {status}", status=status))
    output({"id": deletion_id, "runsNow": True}, _("{id} begins now", id=deletion_id), as_json=as_json)


@click.command()
@click.argument("deletion_id", type=click.UUID)
@json_option
def cancel(deletion_id: UUID, as_json: bool) -> None:
    """Cancel a deletion that is scheduled, or whose first step has not begun.

    Example: lethe cancel 3f0c...
    """
    from cli import account
    from tasks.orders import resume

    with connected() as services:
        if not resume.cancel(services, deletion_id, account.actor()):
            stop(_("Too late to cancel: {status}", status=_status_sentence(services, deletion_id)))
    output(
        {"id": deletion_id, "cancelled": True},
        _("{deletion_id} is cancelled, the instance is as it was", deletion_id=deletion_id),
        as_json=as_json,
    )


def _load(services: "Services", deletion_id: UUID) -> "DeletionWithKeyName":
    from cli import deletion_view

    return deletion_view.load(services, deletion_id) or stop(_("There is no such deletion"))


def _status_sentence(services: "Services", deletion_id: UUID) -> str:
    """The deletion's status and its finished steps, for an error message."""
    deletion = _load(services, deletion_id).deletion
    done = [step.name for step in deletion.steps if step.finished_at]
    return _("it is {status}, done: {steps}", status=deletion.status.value, steps=", ".join(done) or _("nothing"))
