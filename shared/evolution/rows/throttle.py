"""How hard deletions may press on the tenant database: what is set, also while they run."""

import time
from dataclasses import dataclass, field

from sqlalchemy import Engine, delete, func, select
from sqlalchemy.dialects.postgresql import insert

from shared.database.connections import own_statement, own_transaction
from shared.database.models import ThrottleRow
from shared.settings import Settings

_FRESH_SECONDS = 1.0
_ONLY = 1  # there is one row, or none
_ROW = select(ThrottleRow).where(ThrottleRow.id == _ONLY)


@dataclass(frozen=True)
class Throttle:
    """How long one DELETE should take, and the pause before the next one, however busy the database is."""

    batch_seconds: float
    pause_seconds: float


def of_settings(settings: Settings) -> Throttle:
    """What holds as long as nobody has set anything else."""
    return Throttle(settings.batch_seconds, settings.pause_between_batches_seconds)


def read(engine: Engine, settings: Settings) -> Throttle:
    """What holds now."""
    usual = of_settings(settings)
    with own_statement(engine) as connection:
        row = connection.execute(_ROW).one_or_none()
    if row is None:
        return usual
    return Throttle(
        batch_seconds=usual.batch_seconds if row.batch_seconds is None else row.batch_seconds,
        pause_seconds=usual.pause_seconds if row.pause_seconds is None else row.pause_seconds,
    )


def write(engine: Engine, **changes: float | None) -> None:
    """Set some of it, until it is reset; running deletions follow within a second or a batch."""
    row = insert(ThrottleRow).values(id=_ONLY, changed_at=func.now(), **changes)
    with own_transaction(engine) as connection:
        connection.execute(
            row.on_conflict_do_update(index_elements=[ThrottleRow.id], set_={"changed_at": func.now(), **changes})
        )


def reset(engine: Engine) -> None:
    """Back to the settings."""
    with own_transaction(engine) as connection:
        connection.execute(delete(ThrottleRow))


@dataclass
class Watch:
    """Reads the throttle at most once a second, though it is asked before each batch."""

    engine: Engine
    settings: Settings
    _seen: Throttle | None = None
    _read_at: float = field(default=0.0)

    def __call__(self) -> Throttle:
        """What held a second ago at the most."""
        if self._seen is None or time.monotonic() - self._read_at > _FRESH_SECONDS:
            self._seen, self._read_at = read(self.engine, self.settings), time.monotonic()
        return self._seen
