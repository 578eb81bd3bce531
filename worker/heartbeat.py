"""Heartbeats of running steps: they keep the claims, and hold the instances' locks."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from uuid import UUID

from redis.exceptions import RedisError

from shared import logs
from shared.deletions import claims, lock
from shared.deletions.claims import Claim
from shared.errors import LostClaim
from shared.services import Services

log = logs.get(__name__)
_REMEMBERED = 1_000  # deletions whose lock this process has held lately


@dataclass
class _Beat:
    """A running step, and when its next heartbeat is due."""

    claim: Claim
    next_at: float  # time.monotonic()
    lost: threading.Event = field(default_factory=threading.Event)
    busy: threading.Lock = field(default_factory=threading.Lock)  # while a heartbeat is sent
    is_over: bool = False


class Heart:
    """The heartbeats of one process: one thread for all its steps, which ends when there has been none for a while."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._seconds = services.settings.heartbeat_seconds
        self._beats: dict[UUID, _Beat] = {}
        self._guard = threading.Lock()  # of the beats and the thread
        self._thread: threading.Thread | None = None
        self._held: dict[UUID, float] = {}  # when this process last took or extended a deletion's lock

    @contextmanager
    def beating(self, claim: Claim) -> Iterator[threading.Event]:
        """Hold the lock and send heartbeats until the block ends; the event is set when the claim is lost."""
        self._hold_lock(claim)
        beat = _Beat(claim, time.monotonic() + self._seconds)
        with self._guard:
            self._beats[claim.owner] = beat
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="heart", daemon=True)
                self._thread.start()
        try:
            yield beat.lost
        finally:
            with self._guard:
                del self._beats[claim.owner]
            # A heartbeat that is being sent must not take the lock after its release.
            is_idle = beat.busy.acquire(timeout=self._seconds)
            beat.is_over = True
            if is_idle:
                beat.busy.release()

    def _run(self) -> None:
        while True:
            # A step that begins meanwhile has its first heartbeat later than this.
            time.sleep(self._pause_seconds())  # until the next heartbeat
            with self._guard:
                if not self._beats:
                    self._thread = None
                    return
                due = [beat for beat in self._beats.values() if beat.next_at <= time.monotonic()]
            for beat in due:
                with beat.busy:
                    if not beat.is_over:
                        self._send(beat)

    def _pause_seconds(self) -> float:
        with self._guard:
            nexts = [beat.next_at for beat in self._beats.values()]
        return min(max(0.0, min(nexts, default=float("inf")) - time.monotonic()), self._seconds)

    def _send(self, beat: _Beat) -> None:
        beat.next_at = time.monotonic() + self._seconds
        try:
            claims.send_heartbeat(self._services.own, beat.claim)
        except LostClaim:
            beat.lost.set()
            beat.next_at = float("inf")
        except Exception as error:  # of any kind: the next one may succeed, and without heartbeats the claim is lost
            log.warning("heartbeat missed", error=type(error).__name__)
        else:
            self._hold_lock(beat.claim)

    def _hold_lock(self, claim: Claim) -> None:
        """Take or extend the instance's Redis lock; a step goes on without it, because PostgreSQL is the guard.

        Not if this process did it less than a heartbeat ago: most steps end sooner, and the lock is held far longer.
        """
        if time.monotonic() - self._held.get(claim.deletion_id, float("-inf")) < self._seconds:
            return
        try:
            lock.take(self._services.redis, claim.instance_id, claim.deletion_id, self._services.settings.stale_seconds)
        except RedisError as error:
            log.warning("lock not extended", error=type(error).__name__)
            return
        if len(self._held) >= _REMEMBERED:
            self._held.clear()
        self._held[claim.deletion_id] = time.monotonic()
