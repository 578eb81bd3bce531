"""Settings, the schema of Lethe's own database, the demo, and shell completion."""

import os
import sys
from pathlib import Path
from typing import Any

import click
from click.shell_completion import get_completion_class

from cli.runtime import NOT_POSSIBLE, connected, json_option, output, stop
from shared.translations.texts import _


@click.command("config")
@json_option
def show_config(**given: Any) -> None:
    """Show each setting and its source; secrets and passwords in URLs are masked.

    Example: lethe config --json
    """
    from cli.actions import setup

    setup.show_config(**given)


@click.command()
@click.option(
    "--evolution-env",
    "evolution_env",
    type=click.Path(path_type=Path),
    required=True,
    metavar="PATH",
    help="Evolution's own .env, or its compose file.",
)
@click.option("--service", metavar="NAME", help="Evolution's service, when the compose file has several.")
@click.option(
    "--gateway", "gateways", multiple=True, metavar="URL", help="Evolution's own address; repeat for each server."
)
@click.option("--folder", metavar="PATH", help="Evolution's working directory on this host, or its volume.")
@click.option("--output", type=click.Path(path_type=Path), default=".env", show_default=True, help="The file to write.")
@click.option("--without-containers", is_flag=True, help="Lethe runs without docker compose; ends with the checks.")
@click.option("--yes", is_flag=True, help="Do not ask: take the defaults.")
@json_option
def init(
    evolution_env: Path,
    service: str | None,
    gateways: tuple[str, ...],
    folder: str | None,
    output: Path,
    without_containers: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Make Lethe's .env from Evolution's own, and show what is left to do.

    Asks only for what Evolution's file does not say, makes the secrets, and prints the SQL for Lethe's role and the
    routes for nginx. It shows no secret. An existing file is replaced only after asking, and keeps its secrets.

    Example: lethe init --evolution-env /srv/evolution/docker-compose.yaml
    """
    from cli.setup import command
    from cli.setup.answers import Options

    options = Options(
        gateways=gateways,
        folder=folder,
        in_containers=not without_containers,
        may_ask=command.may_ask(yes=yes or as_json),
    )
    command.init(evolution_env, output, service, options, as_json)


@click.group("db")
def db() -> None:
    """The schema of Lethe's own database.

    Example: lethe db upgrade
    """


@db.command()
@json_option
def upgrade(as_json: bool) -> None:
    """Run the missing migrations; safe to run at any time, and from several hosts at once.

    Example: lethe db upgrade
    """
    from shared.database import connections, migrate

    with connected() as made, connections.translate_errors("the own database"):
        # Not the services' engine: its statements have a time limit, and a migration may take longer.
        url, ca_file = made.settings.database_url.get_secret_value(), made.settings.ca_file
        engine = connections.connect(url, name="migrate", ca_file=ca_file)
        before = migrate.revisions(engine)[0]
        migrate.upgrade(engine)
        after = migrate.revisions(engine)[0]
        engine.dispose()
    if before == after:
        text = _("The schema is at {after}, as before", after=after)
    elif before:
        text = _("The schema is at {after}, it was at {before}", after=after, before=before)
    else:
        text = _("The schema is at {after}, the database was empty", after=after)
    output({"before": before, "after": after}, text, as_json=as_json)


@db.command()
@json_option
def status(as_json: bool) -> None:
    """Show whether migrations are missing; exit code 1 when they are.

    Example: lethe db status
    """
    from shared.database import connections, migrate

    with connected() as made, connections.translate_errors("the own database"):
        current, newest = migrate.revisions(made.own)
    if current:
        text = _("The schema is at {current}, the newest is {newest}", current=current, newest=newest)
    else:
        text = _("There is no schema yet, the newest is {newest}", newest=newest)
    output({"current": current, "newest": newest}, text, as_json=as_json)
    if current != newest:
        if not as_json:
            click.echo(_("Migrations are missing: `lethe db upgrade` runs them"), err=True)
        raise click.exceptions.Exit(NOT_POSSIBLE)


@click.command()
@click.option("--keep", is_flag=True, help="Leave everything running until Ctrl-C.")
def demo(keep: bool) -> None:
    """Start a demo deployment, erase an instance of it and show the progress. It needs Lethe's source tree.

    Example: lethe demo --keep
    """
    folder = Path(__file__).parents[2]
    if not (folder / "demo" / "__main__.py").is_file():
        stop(_("The demo is in Lethe's source tree, not in what is installed here: clone it and run `make demo`"))
    os.chdir(folder)
    # Replaces this process: the demo handles Ctrl-C itself, because it has to stop servers.
    os.execv(sys.executable, [sys.executable, "-m", "demo", *(["--keep"] if keep else [])])  # noqa: S606 - fixed


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the completion script of a shell.

    Example: lethe completion bash > /etc/bash_completion.d/lethe
    """
    kind = get_completion_class(shell)
    assert kind  # one of the choices
    click.echo(kind(ctx.find_root().command, {}, "lethe", "_LETHE_COMPLETE").source())
