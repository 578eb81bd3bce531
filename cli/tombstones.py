"""Erases again what an old backup has brought back."""

import json

import click

from cli import operator, words
from cli.common import reached
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
            click.confirm(f"Erase {words.counted(len(found), 'instance')} again, for good?", abort=True, err=True)
        ordered = [
            {"instanceId": each.id, "deletionId": str(replay_orders.replay(made, each, operator.actor()))}
            for each in found
        ]
    if as_json:
        click.echo(json.dumps(ordered))
    elif ordered:
        click.echo(f"{words.counted(len(ordered), 'deletion')} ordered; `lethe list` shows how far they are")
