"""What `lethe init` does: reads, asks, writes, shows what is left to do, and checks."""

import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

import click
from pydantic import ValidationError

from cli.language import confirm
from cli.runtime import NOT_SET, print_json, stop
from cli.setup import answers, env_file, mapping, nginx, override, source
from cli.setup.answers import KEPT, Answers, Options
from cli.setup.problems import Problem
from shared import settings
from shared.settings import Settings
from shared.translations import sentences
from shared.translations.marks import N_
from shared.translations.texts import _

_ROLE_FILE = "lethe-role.sql"
# What docker-compose.yml sets by itself, for the check of all others.
_OF_COMPOSE = {"database_url": "postgresql://lethe-postgres/lethe", "redis_url": "redis://lethe-redis:6379/0"}


def init(evolution_env: Path, output: Path, service: str | None, options: Options, as_json: bool) -> None:
    """Write the .env, and show what is left to do."""
    try:
        is_there = output.exists()
        kept = _to_be_replaced(output, options) if is_there else {}
        found = _read(evolution_env, service, options)
        mapped = mapping.translate(found.variables)
        made = answers.complete(found, mapped, options, kept)
        checked = _check(made, options)
        written = _write(output, made, found, options, kept, replace=is_there)
    except Problem as problem:
        said = sentences.translated(str(problem))
        stop(f"{said[:1].upper()}{said[1:]}")
    except OSError as error:
        stop(_("{filename} cannot be written: {strerror}", filename=error.filename, strerror=error.strerror))
    notes = [*mapped.notes, *_notes(checked, found, options)]
    if as_json:
        print_json({"written": [str(path) for path in written], "notes": notes})
        return
    _show(made, found, options, notes, written)
    if not options.in_containers:
        _examine(checked)


def _to_be_replaced(output: Path, options: Options) -> dict[str, str]:
    """The variables of an .env that is there. Raises Problem when it is not to be replaced."""
    question = _("{file} is there. Replace it? Its secrets and what this command does not write stay", file=output)
    if not options.may_ask:
        raise Problem(f"{output} is there: a script cannot be asked, so give another --output")
    if not confirm(question, err=True):
        raise Problem("nothing was changed")
    return env_file.read(output)


def _read(path: Path, service: str | None, options: Options) -> source.Source:
    try:
        return source.read(path, service)
    except source.MoreThanOne as several:
        if not options.may_ask:
            raise
        chosen = click.prompt(_("Which of Evolution's servers"), type=click.Choice(several.names), err=True)
        return source.read(path, chosen)


def _check(made: Answers, options: Options) -> Settings:
    """The settings as a process will read them; ends the command with what is wrong."""
    given = made.settings | (_OF_COMPOSE | {"files_root": "/evolution"} if options.in_containers else {})
    try:
        return Settings(**given)  # type: ignore[arg-type] # as text
    except (ValidationError, OSError) as error:
        stop(settings.explain(error, sentences.translated), NOT_SET)


def _write(
    output: Path, made: Answers, found: source.Source, options: Options, kept: Mapping[str, str], *, replace: bool
) -> list[Path]:
    """Write the .env, the SQL, and where Evolution runs by compose the override; returns what was written."""
    variables = {f"{settings.PREFIX}{name.upper()}": value for name, value in made.settings.items()} | made.compose
    secrets = {name: variables.pop(name) for name in KEPT if name in variables}
    others = {name: value for name, value in kept.items() if name not in variables | secrets}
    text = env_file.render(
        {
            "Written by `lethe init`; docs/settings.md describes all settings.": variables,
            "Made for this deployment. Keep the secret key: without it nothing encrypted can be read.": secrets,
            "As before.": others,
        }
    )
    env_file.write(output, text, replace=replace)
    written = [output]
    sql = output.with_name(_ROLE_FILE)
    env_file.write(sql, made.sql, replace=True)
    written.append(sql)
    beside = output.with_name(override.NAME)
    if found.service and options.in_containers and not beside.exists():
        env_file.write(beside, override.render(found.service), replace=False)
        written.append(beside)
    return written


def _notes(checked: Settings, found: source.Source, options: Options) -> list[str]:
    notes = [
        N_(f"{settings.PREFIX}{name.upper()}: {', '.join(names)} of its query is not used")
        for name, names in checked.left_out.items()
    ]
    if options.in_containers and found.service is None:
        notes.append(
            N_(
                "Evolution's network is unknown: if it runs in containers, copy"
                " docs/operations/docker-compose.override.yml beside docker-compose.yml and write its network there"
            )
        )
    return notes


def _show(made: Answers, found: source.Source, options: Options, notes: list[str], written: list[Path]) -> None:
    env, role_file = (shlex.quote(str(path)) for path in written[:2])
    click.echo(_("Read {path}. Written: {files}", path=found.path, files=", ".join(str(path) for path in written)))
    for note in notes:
        click.echo(_("Note: {note}", note=sentences.translated(note)))
    click.echo(
        _(
            "\nFor a superuser in Evolution's database, also in {role_file} (the password is hashed):\n",
            role_file=role_file,
        )
    )
    click.echo(made.sql)
    _show_nginx(made)
    click.echo(_("Then:\n"))
    click.echo(f"  {_psql(made, found)} < {role_file}")
    if options.in_containers:
        click.echo("  docker compose up -d")
        click.echo("  docker compose exec worker lethe doctor\n")
    else:
        click.echo(f"  set -a; . {env if written[0].is_absolute() else f'./{env}'}; set +a")
        click.echo("  lethe db upgrade")
        click.echo(_("  (and with your process manager: web, worker, beat and flower, as the Procfile has them)\n"))


def _psql(made: Answers, found: source.Source) -> str:
    """The command that runs SQL as the role that Evolution has."""
    database = urlsplit(made.settings["tenant_database_url"])
    command = (
        f"psql -v ON_ERROR_STOP=1 -U {shlex.quote(made.owner)} -d {shlex.quote(unquote(database.path.strip('/')))}"
    )
    if found.service and database.hostname in found.service.beside:
        file = shlex.quote(str(found.service.file))
        return f"docker compose -f {file} exec -T {shlex.quote(found.service.beside[database.hostname])} {command}"
    return f"{command} -h {database.hostname} -p {database.port or 5432}"


def _show_nginx(made: Answers) -> None:
    lines = nginx.configuration(made.address, made.behind)
    if lines is None:
        click.echo(_("The routes of nginx are in {page} of Lethe's source.\n", page=nginx.PAGE))
        return
    click.echo(_("For nginx, so that deletions go to Lethe and the rest to Evolution:\n"))
    click.echo(lines)


def _examine(checked: Settings) -> None:
    """End with the checks of `lethe doctor`."""
    from cli.doctor import command as doctor
    from shared import logs, services

    logs.configure(checked.model_copy(update={"log_format": "pretty", "log_level": "WARNING"}))
    click.echo(_("`lethe doctor`, before these commands; run it again after them:\n"))
    doctor.report(services.create(checked), as_json=False)


def may_ask(*, yes: bool) -> bool:
    """Whether somebody is there to answer."""
    return not yes and sys.stdin.isatty()
