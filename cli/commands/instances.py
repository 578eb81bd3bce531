"""Instances: delete, log out, preview."""

from pathlib import Path
from typing import Any

import click

from cli.runtime import json_option, without_gateway_option


@click.command()
@click.argument("name", required=False)
@click.option("--id", "instance_id", metavar="ID", help="The instance's id, for one without a usable name.")
@click.option(
    "--from-file",
    "file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="One name a line, exactly as it is: a name may begin with #, so there are no comments.",
)
@click.option("--wait", is_flag=True, help="Until it ends; Ctrl-C ends the waiting, not the deletion.")
@click.option("--yes", is_flag=True, help="Do not ask; what is no terminal needs it.")
@json_option
def delete(**given: Any) -> None:
    """Erase an instance everywhere, after its name was typed.

    With --from-file the number of instances is typed, once. Not limited in number; the audit names the account that
    did it. Where LETHE_CONFIRMATION asks for more than a key, --yes is not enough. Exit code 1 when anything was not
    done.

    Example: lethe delete my-instance --wait
    """
    from cli.actions import instances

    instances.delete(**given)


@click.command()
@click.argument("name")
@json_option
def logout(**given: Any) -> None:
    """End an instance's WhatsApp session; nothing else is touched.

    Example: lethe logout my-instance
    """
    from cli.actions import instances

    instances.logout(**given)


@click.command()
@click.argument("name", required=False)
@click.option("--id", "instance_id", metavar="ID", help="The instance's id, for one without a usable name.")
@without_gateway_option
@json_option
def preview(**given: Any) -> None:
    """Count what a deletion would remove; changes nothing.

    Example: lethe preview my-instance
    """
    from cli.actions import instances

    instances.preview(**given)
