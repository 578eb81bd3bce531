"""Deletions from the server: show, resume and cancel them, straight on Lethe's own database."""

import shutil
from datetime import UTC, datetime
from uuid import UUID

import click

from cli import account, watch
from cli import deletion_view as showing
from cli.deletion_view import Known
from cli.runtime import NOT_POSSIBLE, check_given_up, print_json, reached, stop
from shared.services import Services
from tasks.orders import resume


def retry(deletion_id: UUID, given_up: tuple[str, ...], as_json: bool) -> None:
    """Resume it, and say so."""
    with reached() as made:
        check_given_up(made, given_up)
        if not resume.resume(made, deletion_id, account.caller(), given_up):
            stop(f"There is nothing to resume: {_state(made, deletion_id)}")
    if as_json:
        print_json({"id": deletion_id, "resumed": True})
    else:
        click.echo(f"{deletion_id} goes on")


def cancel(deletion_id: UUID, as_json: bool) -> None:
    """Cancel it, and say so."""
    with reached() as made:
        if not resume.cancel(made, deletion_id, account.actor()):
            stop(f"Too late to cancel: {_state(made, deletion_id)}")
    if as_json:
        print_json({"id": deletion_id, "cancelled": True})
    else:
        click.echo(f"{deletion_id} is cancelled, the instance is as it was")


def show(deletion_id: UUID, watched: bool, as_json: bool) -> None:
    """Show it once, or until it ends."""
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
