"""`lethe throttle`: how hard deletions may press on the tenant database, changed while they run."""

from dataclasses import asdict

import click

from cli import account
from cli.runtime import print_json, reached
from shared.audit import chain
from shared.audit.entries import Action, Decision, Entry
from shared.database.connections import own_transaction
from shared.evolution.rows import throttle
from shared.services import Services


def change(
    batch_seconds: float | None, connections: int | None, pause_seconds: float | None, reset: bool, as_json: bool
) -> None:
    """Write the changes, and show what holds now."""
    asked = {"batch_seconds": batch_seconds, "connections": connections, "pause_seconds": pause_seconds}
    changes = {name: value for name, value in asked.items() if value is not None}
    if reset and changes:
        raise click.UsageError("--reset takes no other option")
    with reached() as made:
        if reset:
            throttle.reset(made.own)
            _tell(made, "reset")
        elif changes:
            throttle.write(made.own, **changes)
            _tell(made, ", ".join(f"{name} {value}" for name, value in changes.items()))
        now, usual = throttle.read(made.own, made.settings), throttle.of_settings(made.settings)
    if as_json:
        print_json(asdict(now))
        return
    for name, value in asdict(now).items():
        as_set = getattr(usual, name)
        click.echo(f"{name:<14} {_shown(value)}" + ("" if value == as_set else f"   (settings: {_shown(as_set)})"))


def _shown(value: float | None) -> str:
    return "automatic" if value is None else f"{value:g}"


def _tell(made: Services, what: str) -> None:
    with own_transaction(made.own) as connection:
        chain.append(connection, Entry(Action.THROTTLE, Decision.ACCEPTED, account.actor(), reason=what))
