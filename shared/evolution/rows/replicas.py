"""Replicas of the tenant database: erasing waits while one of them lags behind."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Engine, text

from shared import logs
from shared.database.connections import translate_errors
from shared.errors import LetheError

log = logs.get(__name__)
_LOOK_SECONDS = 1.0
# A replica that has replayed all it received does not lag, however long nothing was written; one that has work to do
# and has replayed nothing since it started is too far behind to say how far.
_LAG = text("""
SELECT CASE WHEN NOT pg_is_in_recovery() OR pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() THEN 0
       ELSE coalesce(CAST(extract(epoch FROM now() - pg_last_xact_replay_timestamp()) AS float8), 'Infinity') END""")


def lag_seconds(replica: Engine) -> float:
    """How far the replica is behind its primary; raises Unreachable."""
    with translate_errors("a replica"), replica.connect() as connection:
        return float(connection.execute(_LAG).scalar_one())


@dataclass
class Brake:
    """Keeps batches waiting while a replica is behind; one that cannot be asked holds nobody up."""

    replicas: Sequence[Engine]
    most_seconds: float
    _looked_at: float = field(default=0.0)

    def wait(self, give_up: Callable[[], bool]) -> None:
        """Return when all replicas are near enough, or the slice is over."""
        if not self.replicas or time.monotonic() - self._looked_at < _LOOK_SECONDS:
            return
        while self._is_behind() and not give_up():
            time.sleep(_LOOK_SECONDS / 4)  # bounded by the slice
        self._looked_at = time.monotonic()

    def _is_behind(self) -> bool:
        return any(self._lag(replica) > self.most_seconds for replica in self.replicas)

    def _lag(self, replica: Engine) -> float:
        try:
            return lag_seconds(replica)
        except LetheError as error:
            log.warning("replica not asked", reason=error.title)
            return 0.0
