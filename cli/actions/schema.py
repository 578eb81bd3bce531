"""`lethe db`: the schema of Lethe's own database."""

import click

from cli.runtime import NOT_POSSIBLE, print_json, reached
from shared.database import connections, migrate
from shared.database.connections import translate_errors


def upgrade(as_json: bool) -> None:
    """Run what is missing, and say from where to where."""
    with reached() as made, translate_errors("the own database"):
        # Not the services' engine: its statements are bounded, a migration takes as long as it takes.
        engine = connections.connect(made.settings.database_url.get_secret_value(), name="migrate")
        before, _ = migrate.revisions(engine)
        migrate.upgrade(engine)
        after, _ = migrate.revisions(engine)
        engine.dispose()
    if as_json:
        print_json({"before": before, "after": after})
    else:
        was = "as it was" if before == after else f"it was at {before}" if before else "the database was empty"
        click.echo(f"The schema is at {after}, {was}")


def show(as_json: bool) -> None:
    """The schema that it has, and the newest one."""
    with reached() as made, translate_errors("the own database"):
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
