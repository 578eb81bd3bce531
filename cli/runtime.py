"""What every command shares: services of this server, and one clear sentence when something is wrong."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import click

from shared.errors import LetheError

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from shared.services import Services
    from shared.settings import Settings

Made = TypeVar("Made")
NOT_POSSIBLE, NOT_REACHABLE, NOT_SET = 1, 3, 4  # exit codes; 2 is click's own, for wrong usage
INTERRUPTED = 130  # as a shell has it for Ctrl-C

json_option = click.option("--json", "as_json", is_flag=True, help="For a script.")
without_gateway_option = click.option(
    "--without-gateway",
    "given_up",
    multiple=True,
    metavar="URL",
    help="A gateway that is gone for good, or the clientName of such a server that is no gateway of the settings.",
)
yes_option = click.option("--yes", is_flag=True, help="Do not ask.")


class Commands(click.Group):
    """Commands of which none ends with a traceback because of a Ctrl-C."""

    def invoke(self, ctx: click.Context) -> Any:  # noqa: D102
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            stop("Interrupted", INTERRUPTED)
        except click.Abort as error:
            if isinstance(error.__context__, KeyboardInterrupt):  # at a question; what click makes of Ctrl-D is 1
                stop("Interrupted", INTERRUPTED)
            raise


# What talks to databases and Redis takes a second to import: only when a command is carried out.


def read_settings() -> "Settings":
    """The settings of this shell; what is missing or wrong is said, and ends the command."""
    from pydantic import ValidationError

    from shared import settings

    try:
        return settings.Settings()
    except (ValidationError, OSError) as error:
        stop(settings.explain(error), NOT_SET)


def make_services() -> "Services":
    """Services of this server's settings, none of them reached yet."""
    from shared import services

    return _make(services.create)


def _make(create: "Callable[[Settings], Made]") -> Made:
    from sqlalchemy.exc import SQLAlchemyError

    from shared import logs

    read = read_settings()
    # Standard output is the command's own, and a script reads it.
    logs.configure(read.model_copy(update={"log_format": "pretty", "log_level": "WARNING"}))
    try:
        return create(read)
    except (ValueError, SQLAlchemyError) as error:  # never the message: it may hold the URL with its password
        stop(f"A setting cannot be used: {type(error).__name__} in a *_URL or the S3 endpoint", NOT_SET)


@contextmanager
def reached() -> Iterator["Services"]:
    """Services of this server's settings; what is wrong is said in one sentence."""
    from redis.exceptions import RedisError

    made = make_services()
    with _told(RedisError), closing(made):
        yield made


@contextmanager
def own_reached() -> Iterator["Engine"]:
    """Lethe's own database alone, which takes half the time; what is wrong is said in one sentence."""
    from shared.database import connections

    own = _make(connections.connect_own)
    with _told():
        yield own
    own.dispose()


@contextmanager
def _told(*also: type[Exception]) -> Iterator[None]:
    from sqlalchemy.exc import SQLAlchemyError

    away: tuple[type[Exception], ...] = (LetheError, SQLAlchemyError, *also)
    try:
        yield
    except away as error:
        stop(_sentence(error), NOT_REACHABLE)


def _sentence(error: Exception) -> str:
    what = _failed(error)
    if "UndefinedTable" in what or "UndefinedColumn" in what:
        if what.startswith("the tenant database"):
            return f"{what}. Is it Evolution's? `lethe doctor` looks"
        return f"{what}. Are migrations missing? `lethe db upgrade` runs them"
    return f"{what}. Is it running, and are the LETHE_* settings of this shell the server's? `lethe doctor` looks"


def _failed(error: Exception) -> str:
    from sqlalchemy.exc import SQLAlchemyError

    if isinstance(error, LetheError):
        return error.title
    # Without the client's words: they may hold an address with its password.
    what = "a database" if isinstance(error, SQLAlchemyError) else "Redis"
    return f"{what} cannot be reached: {type(error).__name__}"


def check_given_up(made: "Services", given_up: tuple[str, ...]) -> None:
    """End the command where something is to be given up that is not there."""
    from shared.evolution.rows import servers

    if unknown := servers.unknown(made.tenant, made.settings.gateways, given_up):
        stop(f"Neither a gateway of LETHE_GATEWAYS nor the clientName of a server: {', '.join(unknown)}")


def print_json(value: object) -> None:
    """One JSON document on standard output; what is no JSON (ids, times) as text."""
    click.echo(json.dumps(value, default=str))


def stop(message: str, code: int = NOT_POSSIBLE) -> NoReturn:
    """Say why on standard error, and end with this exit code."""
    click.echo(message, err=True)
    sys.exit(code)
