"""Brings the own database up to date: `python -m shared.database.migrate`."""

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

_LOCK = 0x1E74E  # any number, the same in every process: two that start at once take turns


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config


def upgrade(engine: Engine) -> None:
    """Run the migrations that are missing; safe to call from several processes at once."""
    config = _config()
    # All in one transaction: a lock or setting of the session would be somebody else's behind PgBouncer.
    with engine.begin() as connection:
        connection.execute(text("SET LOCAL statement_timeout TO 0"))
        connection.execute(text("SET LOCAL lock_timeout TO 0"))
        connection.execute(text("SET LOCAL idle_in_transaction_session_timeout TO 0"))
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def revisions(engine: Engine) -> tuple[str | None, str | None]:
    """The schema that the own database has, and the newest one."""
    with engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision(), newest()


@cache
def newest() -> str | None:
    """The newest schema that this version knows."""
    return ScriptDirectory.from_config(_config()).get_current_head()


def is_current(engine: Engine) -> bool:
    """Whether the own database has the newest schema."""
    current, head = revisions(engine)
    return current == head


if __name__ == "__main__":
    try:
        upgrade(connections.connect(settings.read().database_url.get_secret_value(), name="migrate"))
    except OperationalError as error:
        raise SystemExit(f"Lethe's own database cannot be reached: {error.orig}") from None
