"""What every command shares: options, services, output, and errors as one sentence with an exit code."""

import json
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import click

from cli.language import TranslatedGroup
from shared.errors import LetheError
from shared.translations.marks import N_
from shared.translations.sentences import translated
from shared.translations.texts import _

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from shared.services import Services
    from shared.settings import Settings

Made = TypeVar("Made")
NOT_POSSIBLE, NOT_REACHABLE, NOT_SET = 1, 3, 4  # exit codes; 2 is click's own, for wrong usage
INTERRUPTED = 130  # as a shell has it for Ctrl-C

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")
without_gateway_option = click.option(
    "--without-gateway",
    "without_gateways",
    multiple=True,
    metavar="URL",
    help="A gateway that is gone for good; a server that is not in LETHE_GATEWAYS, by its clientName.",
)
yes_option = click.option("--yes", is_flag=True, help="Do not ask.")


class Commands(TranslatedGroup):
    """A group of commands that end without a traceback on Ctrl-C."""

    def invoke(self, ctx: click.Context) -> Any:  # noqa: D102
        try:
            signal.signal(signal.SIGINT, _interrupt)
            return super().invoke(ctx)
        except KeyboardInterrupt:
            stop(_("Interrupted"), INTERRUPTED)
        except click.Abort as error:
            if isinstance(error.__context__, KeyboardInterrupt):  # Ctrl-C at a prompt; click ends Ctrl-D with 1
                stop(_("Interrupted"), INTERRUPTED)
            raise


def _interrupt(number: int, frame: FrameType | None) -> None:
    """End the command with KeyboardInterrupt; at once within an import, where Python may ignore what is raised."""
    while frame:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        frame = frame.f_back
    raise KeyboardInterrupt


# Database and Redis clients take a second to import, so functions import them when a command runs.


def read_settings() -> "Settings":
    """The settings of this shell; ends the command with a message when one is missing or wrong."""
    from pydantic import ValidationError

    from shared import settings

    try:
        return settings.Settings()
    except (ValidationError, OSError) as error:
        stop(settings.explain(error, translated), NOT_SET)


def make_services() -> "Services":
    """Services from this shell's settings; nothing is connected yet."""
    from shared import services

    return _make(services.create)


def _make(create: "Callable[[Settings], Made]") -> Made:
    from sqlalchemy.exc import SQLAlchemyError

    from shared import logs

    read = read_settings()
    # Logs go to standard error: scripts read standard output.
    logs.configure(read.model_copy(update={"log_format": "pretty", "log_level": "WARNING"}))
    try:
        return create(read)
    except (ValueError, SQLAlchemyError) as error:  # not the message: it may contain a URL with its password
        stop(_("A setting cannot be used: {name} in a *_URL or the S3 endpoint", name=type(error).__name__), NOT_SET)


@contextmanager
def connected() -> Iterator["Services"]:
    """Services from this shell's settings; an error ends the command with one sentence."""
    from redis.exceptions import RedisError

    made = make_services()
    with _errors_end_the_command(RedisError), closing(made):
        yield made


@contextmanager
def connected_to_own_database() -> Iterator["Engine"]:
    """Only Lethe's own database, which takes half the time; an error ends the command with one sentence."""
    from shared.database import connections

    own = _make(connections.connect_own)
    with _errors_end_the_command():
        yield own
    own.dispose()


@contextmanager
def _errors_end_the_command(*also: type[Exception]) -> Iterator[None]:
    from sqlalchemy.exc import SQLAlchemyError

    errors: tuple[type[Exception], ...] = (LetheError, SQLAlchemyError, *also)
    try:
        yield
    except errors as error:
        stop(_sentence(error), NOT_REACHABLE)


def _sentence(error: Exception) -> str:
    what = _cause(error)
    from shared.faults import sentences

    if advice := sentences.advice_for(what):
        hint = translated(advice.hint)
        return _("{what}. {hint} See {page}", what=translated(what), hint=hint, page=advice.page)
    return _(
        "{what}. Is it running, and are the LETHE_* settings of this shell the server's? `lethe doctor` checks",
        what=translated(what),
    )


def _cause(error: Exception) -> str:
    from sqlalchemy.exc import DBAPIError, SQLAlchemyError

    if isinstance(error, LetheError):
        return error.title
    if isinstance(error, DBAPIError):
        from shared.faults import postgresql

        return postgresql.explain("the own database", error).title
    if isinstance(error, SQLAlchemyError):  # not its message: it may contain an address with its password
        return N_(f"a database cannot be reached: {type(error).__name__}")
    from redis.exceptions import RedisError

    from shared.faults import redis

    return redis.explain("Lethe's Redis", error).title if isinstance(error, RedisError) else type(error).__name__


def check_without_gateways(made: "Services", without_gateways: tuple[str, ...]) -> None:
    """End the command when a gateway or server to give up does not exist."""
    from shared.evolution.rows import servers

    if unknown := servers.unknown(made.tenant, made.settings.gateways, without_gateways):
        stop(
            _(
                "Neither a gateway of LETHE_GATEWAYS nor the clientName of a server: {unknown}",
                unknown=", ".join(unknown),
            )
        )


def print_json(value: object) -> None:
    """One JSON document on standard output; times as ISO 8601, ids as text."""
    click.echo(json.dumps(value, default=lambda each: each.isoformat() if isinstance(each, datetime) else str(each)))


def output(facts: object, text: str, *, as_json: bool) -> None:
    """Print the facts as JSON for a script, or the text for a person."""
    if as_json:
        print_json(facts)
    else:
        click.echo(text)


def stop(message: str, code: int = NOT_POSSIBLE) -> NoReturn:
    """Print the message to standard error, and end with this exit code."""
    click.echo(message, err=True)
    sys.exit(code)
