"""What is needed once: the settings as they are, the own database's schema, the demo, the shell's completion."""

from typing import Any

import click
from click.shell_completion import get_completion_class

from cli.runtime import json_option


@click.command("config")
@json_option
def show_config(**given: Any) -> None:
    """Show what is set, and from where; secrets and the passwords in URLs are masked.

    Example: lethe config --json
    """
    from cli.actions import setup

    setup.show_config(**given)


@click.group("db")
def own_database() -> None:
    """Lethe's own database: the schema it has, and the newest one.

    Example: lethe db upgrade
    """


@own_database.command()
@json_option
def upgrade(**given: Any) -> None:
    """Run the migrations that are missing; safe to run at any time, and from several hosts at once.

    Example: lethe db upgrade
    """
    from cli.actions import schema

    schema.upgrade(**given)


@own_database.command()
@json_option
def status(**given: Any) -> None:
    """Show whether migrations are missing; exit code 1 when they are.

    Example: lethe db status
    """
    from cli.actions import schema

    schema.show(**given)


@click.command()
@click.option("--keep", is_flag=True, help="Leave everything running until Ctrl-C.")
def demo(**given: Any) -> None:
    """Erase an instance of a made-up deployment, and watch.

    Example: lethe demo --keep
    """
    from cli.actions import setup

    setup.demo(**given)


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print what makes a shell complete commands and options.

    Example: lethe completion bash > /etc/bash_completion.d/lethe
    """
    kind = get_completion_class(shell)
    assert kind  # one of the choices
    click.echo(kind(ctx.find_root().command, {}, "lethe", "_LETHE_COMPLETE").source())
