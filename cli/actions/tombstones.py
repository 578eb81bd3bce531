"""Erases again what an old backup has brought back."""

import json

import click

from cli import account, wording
from cli.runtime import reached
from tasks.orders import replay as replay_orders


def replay(yes: bool, as_json: bool) -> None:
    """Order the deletions, after asking."""
    if as_json and not yes:
        raise click.UsageError("--json needs --yes: a script cannot be asked")
    with reached() as made:
        found = replay_orders.find(made)
        if not as_json:
            click.echo("".join(f"{each.id}  {each.name!r}\n" for each in found) or "Nothing that was erased is there.")
        if found and not yes:
            click.confirm(f"Erase {wording.counted(len(found), 'instance')} again, for good?", abort=True, err=True)
        ordered = [
            {"instanceId": each.id, "deletionId": str(replay_orders.replay(made, each, account.actor()))}
            for each in found
        ]
    if as_json:
        click.echo(json.dumps(ordered))
    elif ordered:
        click.echo(f"{wording.counted(len(ordered), 'deletion')} ordered; `lethe list` shows how far they are")
