"""Migrates the own database to the newest schema: `python -m shared.database.migrate`."""

from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, text
from sqlalchemy.exc import OperationalError

from shared import settings
from shared.database import connections
from shared.errors import RequirementNotMet

_LOCK = 0x1E74E  # any number, the same in every process, so that two processes do not migrate at once


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config


def upgrade(engine: Engine) -> None:
    """Run the missing migrations. Several processes may call it at once.

    Raises RequirementNotMet before the first one in a database that cannot hold every instance's name.
    """
    config = _config()
    if (encoding := wrong_encoding(engine)) and revisions(engine)[0] is None:
        raise RequirementNotMet(*explain_encoding(encoding), "own-database")
    # One transaction for all: behind PgBouncer, another client would get a lock or setting of the session.
    with engine.begin() as connection:
        connection.execute(text("SET LOCAL statement_timeout TO 0"))
        connection.execute(text("SET LOCAL lock_timeout TO 0"))
        connection.execute(text("SET LOCAL idle_in_transaction_session_timeout TO 0"))
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def wrong_encoding(engine: Engine) -> str | None:
    """The database's encoding where it is not UTF8."""
    with engine.connect() as connection:
        encoding = connection.execute(text("SHOW server_encoding")).scalar_one()
    return None if encoding == "UTF8" else str(encoding)


def explain_encoding(encoding: str) -> tuple[str, str]:
    """The problem and the remedy."""
    problem = f"Lethe's own database has the encoding {encoding}, which cannot hold every instance's name"
    return problem, "CREATE DATABASE ... ENCODING 'UTF8' TEMPLATE template0, and let LETHE_DATABASE_URL lead there"


def revisions(engine: Engine) -> tuple[str | None, str | None]:
    """The revision of the own database, and the newest revision."""
    with engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision(), newest()


@cache
def newest() -> str | None:
    """The newest revision that this version of Lethe knows."""
    return ScriptDirectory.from_config(_config()).get_current_head()


def is_current(engine: Engine) -> bool:
    """Whether the own database has the newest revision."""
    current, head = revisions(engine)
    return current == head


if __name__ == "__main__":
    try:
        read = settings.read()
        upgrade(connections.connect(read.database_url.get_secret_value(), name="migrate", ca_file=read.ca_file))
    except RequirementNotMet as error:
        raise SystemExit(error.title) from None
    except OperationalError as error:
        raise SystemExit(f"Lethe's own database cannot be reached: {error.orig}") from None
