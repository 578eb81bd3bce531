"""Deletions: list, show, resume and cancel them."""

import shutil
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

import click

from cli.runtime import (
    NOT_POSSIBLE,
    check_given_up,
    connected,
    json_option,
    output,
    print_json,
    stop,
    without_gateway_option,
)
from shared.database.enums import DeletionStatus

if TYPE_CHECKING:
    from cli.deletion_view import Known
    from shared.services import Services


@click.command("list")
@click.option("--status", type=click.Choice([each.value for each in DeletionStatus]), help="Only this status.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, show_default=True, help="How many at most.")
@json_option
def list_deletions(**given: Any) -> None:
    """List the newest deletions.

    Each with its age, its step, who requested it, and why it waits or has stopped.

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

    Its times and requester, what each step removed and how long it took, what it waits for, and its webhooks.

    With --watch and --json: one line of JSON for each change.

    Example: lethe show 3f0c... --watch
    """
    from cli import deletion_view, watch

    with connected() as made:
        if watched:
            succeeded = watch.follow(lambda: _load(made, deletion_id).deletion, as_json=as_json)
            raise click.exceptions.Exit(0 if succeeded else NOT_POSSIBLE)
        known, settings = _load(made, deletion_id), made.settings
    if as_json:
        print_json(deletion_view.facts(known))
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
def retry(deletion_id: UUID, given_up: tuple[str, ...], as_json: bool) -> None:
    """Resume a failed or waiting deletion at once, from where it stopped.

    Example: lethe retry 3f0c... --without-gateway http://evolution-2:8080
    """
    from cli import account
    from tasks.orders import resume

    with connected() as made:
        check_given_up(made, given_up)
        if not resume.resume(made, deletion_id, account.caller(), given_up):
            stop(f"There is nothing to resume: {_state(made, deletion_id)}")
    output({"id": deletion_id, "resumed": True}, f"{deletion_id} continues", as_json=as_json)


@click.command()
@click.argument("deletion_id", type=click.UUID)
@json_option
def cancel(deletion_id: UUID, as_json: bool) -> None:
    """Cancel a deletion whose first step has not begun.

    Example: lethe cancel 3f0c...
    """
    from cli import account
    from tasks.orders import resume

    with connected() as made:
        if not resume.cancel(made, deletion_id, account.actor()):
            stop(f"Too late to cancel: {_state(made, deletion_id)}")
    output(
        {"id": deletion_id, "cancelled": True},
        f"{deletion_id} is cancelled, the instance is as it was",
        as_json=as_json,
    )


def _load(made: "Services", deletion_id: UUID) -> "Known":
    from cli import deletion_view

    return deletion_view.load(made, deletion_id) or stop("There is no such deletion")


def _state(made: "Services", deletion_id: UUID) -> str:
    deletion = _load(made, deletion_id).deletion
    done = [step.name for step in deletion.steps if step.finished_at]
    return f"it is {deletion.status.value}, done: {', '.join(done) or 'nothing'}"
