"""Maintenance: check a deployment, remove leftovers, limit the load, erase again after a restore."""

from dataclasses import asdict
from typing import Any

import click

from cli.language import confirm
from cli.runtime import connected, json_option, output, print_json, yes_option
from shared.formatting import quantity
from shared.translations.texts import _


@click.command("doctor")
@click.option("--fix", is_flag=True, help="Create the missing indexes, after asking.")
@yes_option
@json_option
def examine(**given: Any) -> None:
    """Check everything that a deletion needs, and say what to do.

    Changes nothing without --fix. Exit code 1 when something is broken or could not be fixed.

    Example: lethe doctor --fix
    """
    from cli.doctor import command as doctor

    doctor.examine(**given)


@click.command()
@click.option("--remove", is_flag=True, help="Remove what is found, after asking.")
@click.option(
    "--older-than",
    "older_than_seconds",
    type=click.FloatRange(min=0),
    default=3600,
    show_default=True,
    metavar="SECONDS",
    help="Keep what has any younger part, or an unknown age: an instance may be in creation. 0: remove all.",
)
@yes_option
@json_option
def sweep(**given: Any) -> None:
    """Find data of instances that no longer exist.

    Looks for folders, objects, cache keys, rows and trash whose id or name belongs to no existing instance and no
    unfinished deletion. No other deployment may use the same stores: its data would look like leftovers.

    Example: lethe sweep --remove
    """
    from cli.actions import sweep

    sweep.sweep(**given)


@click.command()
@click.option("--batch-seconds", type=click.FloatRange(0.01, 5), help="Duration of one DELETE statement, as a goal.")
@click.option("--connections", type=click.IntRange(1, 8), hidden=True, help="Of earlier versions; has no effect.")
@click.option("--pause-seconds", type=click.FloatRange(0, 10), help="Pause before each batch.")
@click.option("--reset", is_flag=True, help="Use the values of the settings again.")
@json_option
def throttle(
    batch_seconds: float | None, connections: int | None, pause_seconds: float | None, reset: bool, as_json: bool
) -> None:
    """Show or change the load that deletions put on Evolution's database; running ones follow within seconds.

    Example: lethe throttle --batch-seconds 0.05 --pause-seconds 0.2
    """
    given = {"batch_seconds": batch_seconds, "pause_seconds": pause_seconds}
    changes = {name: value for name, value in given.items() if value is not None}
    if reset and (changes or connections):
        raise click.UsageError(_("--reset takes no other option"))
    if connections:
        click.echo(_("--connections has no effect any more: rows are deleted on one connection"), err=True)

    from cli import account
    from shared.audit.entries import Action, Decision
    from shared.evolution.rows import throttle

    with connected() as made:
        if reset:
            throttle.reset(made.own)
        elif changes:
            throttle.write(made.own, **changes)
        if reset or changes:
            what = "reset" if reset else ", ".join(f"{name} {value}" for name, value in changes.items())
            account.audit(made, Action.THROTTLE, Decision.ACCEPTED, what)
        now, default = asdict(throttle.read(made.own, made.settings)), asdict(throttle.of_settings(made.settings))
    lines = (
        f"{name:<14} {value:g}" + ("" if value == default[name] else _("   (settings: {value:g})", value=default[name]))
        for name, value in now.items()
    )
    output(now, "\n".join(lines), as_json=as_json)


@click.group("tombstones")
def tombstones() -> None:
    """Erase restored instances again, after a backup of Evolution's database was restored."""


@tombstones.command()
@yes_option
@json_option
def replay(yes: bool, as_json: bool) -> None:
    """Erase the instances again that a restored tenant database has brought back; finds them by their ids.

    Example: lethe tombstones replay --yes
    """
    if as_json and not yes:
        raise click.UsageError(_("--json needs --yes: a script cannot be asked"))

    from cli import account
    from tasks.orders import replay as replay_orders

    with connected() as made:
        found = replay_orders.find(made)
        if not as_json:
            click.echo("".join(f"{each.id}  {each.name!r}\n" for each in found) or _("No erased instance is back."))
        if found and not yes:
            confirm(_("Erase {instances} again?", instances=quantity(len(found), "instance")), abort=True, err=True)
        ordered = [
            {"instanceId": each.id, "deletionId": replay_orders.replay(made, account.caller(), each)} for each in found
        ]
    if as_json:
        print_json(ordered)
    elif ordered:
        click.echo(
            _("{deletions} ordered; `lethe list` shows their progress", deletions=quantity(len(ordered), "deletion"))
        )
