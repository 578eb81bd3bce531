"""What keeps a deployment well: look at it, clean it, press less hard on it, mend a restore."""

from typing import Any

import click

from cli.runtime import json_option, yes_option


@click.command("doctor")
@click.option("--fix", is_flag=True, help="Create the missing indexes, after asking.")
@yes_option
@json_option
def examine(**given: Any) -> None:
    """Check everything that a deletion needs, and say what to do.

    Changes nothing without --fix. Exit code 1 when something is broken or could not be mended.

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
    help="Leave alone what has anything younger, or of unknown age: an instance may be being created. 0: all.",
)
@yes_option
@json_option
def sweep(**given: Any) -> None:
    """Find what is kept for instances that no longer exist.

    Looks for folders, objects, cache keys, rows and trash of ids and names that no living instance and no unfinished
    deletion has. Every store must be this deployment's alone: what another Evolution keeps there looks left over.

    Example: lethe sweep --remove
    """
    from cli.actions import sweep

    sweep.sweep(**given)


@click.command()
@click.option("--batch-seconds", type=click.FloatRange(0.01, 5), help="How long one DELETE should take.")
@click.option("--connections", type=click.IntRange(1, 8), help="On how many connections one deletion erases at once.")
@click.option("--pause-seconds", type=click.FloatRange(0, 10), help="The pause before each batch.")
@click.option("--reset", is_flag=True, help="Back to the settings.")
@json_option
def throttle(**given: Any) -> None:
    """Show or change how hard deletions press on Evolution's database; running ones follow within a second or a batch.

    Example: lethe throttle --connections 1 --pause-seconds 0.2
    """
    from cli.actions import throttle

    throttle.change(**given)


@click.group("tombstones")
def tombstones() -> None:
    """What was erased must stay erased, also after a restore."""


@tombstones.command()
@yes_option
@json_option
def replay(**given: Any) -> None:
    """Erase instances again that a restored tenant database has brought back, by their ids.

    Example: lethe tombstones replay --yes
    """
    from cli.actions import tombstones

    tombstones.replay(**given)
