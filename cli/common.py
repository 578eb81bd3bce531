"""What every command shares: services of this server, and one clear sentence when something is wrong."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import click
from pydantic import ValidationError
from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError

from shared import logs, services, settings
from shared.errors import LetheError
from shared.services import Services

NOT_POSSIBLE, NOT_REACHABLE, NOT_SET = 1, 3, 4  # exit codes; 2 is click's own, for wrong usage

json_option = click.option("--json", "as_json", is_flag=True, help="For a script.")


@contextmanager
def reached() -> Iterator[Services]:
    """Services of this server's settings; what is wrong is said in one sentence."""
    try:
        made = services.create(settings.Settings())
    except (ValidationError, OSError) as error:
        stop(settings.explain(error), NOT_SET)
    # Standard output is the command's own, and a script reads it.
    logs.configure(made.settings.model_copy(update={"log_format": "pretty", "log_level": "WARNING"}))
    try:
        yield made
    except (LetheError, RedisError, SQLAlchemyError) as error:
        what = error.title if isinstance(error, LetheError) else type(error).__name__
        stop(f"{what}. Is it running, and are the LETHE_* settings of this shell the server's?", NOT_REACHABLE)
    finally:
        made.close()


def stop(message: str, code: int = NOT_POSSIBLE) -> NoReturn:
    """Say why on standard error, and end with this exit code."""
    click.echo(message, err=True)
    sys.exit(code)
