"""What is needed once: the settings as they are, the own database's schema, the demo, the shell's completion."""

import os
import sys
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import click
from click.shell_completion import get_completion_class
from pydantic import SecretStr

import shared
from cli.common import NOT_POSSIBLE, json_option, print_json, reached, read_settings, stop
from shared import database, migrate, settings
from shared.database import reaching

_MASK = "***"


@click.command("config")
@json_option
def show_config(as_json: bool) -> None:
    """Show what is set, and from where; secrets and the passwords in URLs are masked.

    Example: lethe config --json
    """
    read = read_settings()
    rows = [
        {
            "setting": f"{settings.PREFIX}{name.upper()}",
            "value": mask(getattr(read, name)),
            "from": settings.source_of(name),
        }
        for name in type(read).model_fields
    ]
    if as_json:
        print_json(rows)
        return
    width = max(len(row["setting"]) for row in rows)
    for row in rows:
        origin = "" if row["from"] == row["setting"] else f"  ({row['from'].removeprefix(row['setting'])})"
        click.echo(f"{row['setting']:<{width}}  {_text(row['value'])}{origin}")


def _text(value: Any) -> str:
    return ",".join(value) if isinstance(value, list) else "" if value is None else str(value)


def mask(value: Any) -> Any:
    """A setting's value as it may be shown."""
    if isinstance(value, SecretStr):
        secret = value.get_secret_value()
        return mask_url(secret) if "://" in secret else _MASK
    if isinstance(value, tuple):
        return [mask(each) for each in value]
    if isinstance(value, Path):
        return str(value)
    return mask_url(value) if isinstance(value, str) and "://" in value else value


def mask_url(url: str) -> str:
    """The URL without its password, and without what its query says: that may be one as well."""
    try:
        parts = urlsplit(url)
    except ValueError:  # taken by a driver that reads it in another way
        return _MASK
    login, at, place = parts.netloc.rpartition("@")
    user, colon, _ = login.partition(":")
    query = urlencode([(name, _MASK) for name, _ in parse_qsl(parts.query, keep_blank_values=True)], safe="*")
    return parts._replace(netloc=f"{user}{colon}{_MASK if colon else ''}{at}{place}", query=query).geturl()


@click.group("db")
def own_database() -> None:
    """Lethe's own database: the schema it has, and the newest one.

    Example: lethe db upgrade
    """


@own_database.command()
@json_option
def upgrade(as_json: bool) -> None:
    """Run the migrations that are missing; safe to run at any time, and from several hosts at once.

    Example: lethe db upgrade
    """
    with reached() as made, reaching("the own database"):
        # Not the services' engine: its statements are bounded, a migration takes as long as it takes.
        engine = database.connect(made.settings.database_url.get_secret_value(), name="migrate")
        before, _ = migrate.revisions(engine)
        migrate.upgrade(engine)
        after, _ = migrate.revisions(engine)
        engine.dispose()
    if as_json:
        print_json({"before": before, "after": after})
    else:
        was = "as it was" if before == after else f"it was at {before}" if before else "the database was empty"
        click.echo(f"The schema is at {after}, {was}")


@own_database.command()
@json_option
def status(as_json: bool) -> None:
    """Show whether migrations are missing; exit code 1 when they are.

    Example: lethe db status
    """
    with reached() as made, reaching("the own database"):
        current, newest = migrate.revisions(made.own)
    if as_json:
        print_json({"current": current, "newest": newest})
    else:
        click.echo(f"{_stands(current)}, the newest is {newest}")
    if current != newest:
        if not as_json:
            click.echo("Migrations are missing: `lethe db upgrade` runs them", err=True)
        raise click.exceptions.Exit(NOT_POSSIBLE)


def _stands(revision: str | None) -> str:
    return f"The schema is at {revision}" if revision else "There is no schema yet"


@click.command()
@click.option("--keep", is_flag=True, help="Leave everything running until Ctrl-C.")
def demo(keep: bool) -> None:
    """Erase an instance of a made-up deployment, and watch.

    Example: lethe demo --keep
    """
    folder = Path(shared.__file__).parents[1]
    if not (folder / "demo" / "__main__.py").is_file():
        stop("The demo is in Lethe's source tree, not in what is installed here: clone it and run `make demo`")
    os.chdir(folder)
    # In this process's place: the demo hears a Ctrl-C itself, and has things to stop.
    os.execv(sys.executable, [sys.executable, "-m", "demo", *(["--keep"] if keep else [])])  # noqa: S606 - fixed


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
