"""Deletions: list, show, resume and cancel them."""

from typing import Any

import click

from cli.runtime import json_option, without_gateway_option
from shared.database.enums import DeletionStatus


@click.command("list")
@click.option("--status", type=click.Choice([each.value for each in DeletionStatus]), help="Only those of this status.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, show_default=True, help="How many at most.")
@json_option
def list_deletions(**given: Any) -> None:
    """List the newest deletions.

    With how old each is, at which step, who asked for it, and why it waits or has stopped.

    Example: lethe list --status failed
    """
    from cli.actions import deletion_list

    deletion_list.show(**given)


@click.command()
@click.argument("deletion_id", type=click.UUID)
@click.option("--watch", "watched", is_flag=True, help="Follow it until it ends; exit code 1 unless it succeeded.")
@json_option
def show(**given: Any) -> None:
    """Show a deletion and its steps.

    When and by whom, what each step removed and how long it took, what it waits for, what became of its webhooks.

    With --watch and --json: one line of JSON for each change.

    Example: lethe show 3f0c... --watch
    """
    from cli.actions import deletions

    deletions.show(**given)


@click.command()
@click.argument("deletion_id", type=click.UUID)
@without_gateway_option
@json_option
def retry(**given: Any) -> None:
    """Let a failed or waiting deletion go on at once from where it stopped.

    Example: lethe retry 3f0c... --without-gateway http://evolution-2:8080
    """
    from cli.actions import deletions

    deletions.retry(**given)


@click.command()
@click.argument("deletion_id", type=click.UUID)
@json_option
def cancel(**given: Any) -> None:
    """Stop a deletion of which nothing has been done yet.

    Example: lethe cancel 3f0c...
    """
    from cli.actions import deletions

    deletions.cancel(**given)
