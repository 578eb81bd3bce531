"""`lethe audit`: list lines, verify the chain."""

from typing import Any

import click

from cli.runtime import json_option
from shared.audit.entries import Action, Decision

_WHEN = click.DateTime(["%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"])


@click.group("audit")
def group() -> None:
    """The audit: who did what, when, and with which result."""


@group.command("list")
@click.option("--since", type=_WHEN, help="Not before this time; in the server's time zone, unless it has its own.")
@click.option("--until", type=_WHEN, help="Before this time.")
@click.option("--action", type=click.Choice([each.value for each in Action]), help="Only this action.")
@click.option("--decision", type=click.Choice([each.value for each in Decision]), help="Only this decision or outcome.")
@click.option("--key", "key_id", metavar="ID", help="Only what this key did.")
@click.option("--deletion", "deletion_id", type=click.UUID, help="Only this deletion.")
@click.option("--instance", "instance_id", metavar="ID", help="Only this instance.")
@click.option("--cursor", type=click.IntRange(1), help="Only lines before this one.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="How many at most.")
@json_option
def list_lines(**given: Any) -> None:
    """List the newest lines.

    Example: lethe audit list --decision refused --since 2026-01-31
    """
    from cli.actions import audit

    audit.list_lines(**given)


@group.command()
@click.option(
    "--anchor",
    "anchors",
    multiple=True,
    metavar="SEQ:HASH",
    help="A line that you have stored elsewhere; repeat for more.",
)
@json_option
def verify(**given: Any) -> None:
    """Verify the whole chain; exit code 1 with the first line that is wrong.

    Store the line that it prints. Given as --anchor later, it also proves that the chain was not rewritten.

    Example: lethe audit verify --anchor 1042:5f1c...
    """
    from cli.actions import audit

    audit.verify(**given)
